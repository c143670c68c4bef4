"""Money that goes back: a payment whole, once. Its number is fixed before WeChat is asked, and the same number is the
same refund there: asked again, after whatever happened, it goes back once."""

import logging
import secrets
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql, wechat_pay
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.adapters.wechat_pay_terms import Refund, Unreachable
from chalicelib.dues import bookings as dues
from chalicelib.identity import sealing
from chalicelib.notices import outbox
from chalicelib.payment import checks, merchants, store, store_refunds, telling
from chalicelib.payment.store_refunds import DONE, DUE, SENT, STUCK

logger = logging.getLogger(__name__)

REASON = "预约已取消"  # what the patient reads in WeChat
# "": WeChat refuses it, or knows of none: it is sent again.
BECAME = {"SUCCESS": DONE, "PROCESSING": SENT, "CLOSED": STUCK, "ABNORMAL": STUCK, "": DUE}


def owe(tx: Tx, payment: Row, reason: str) -> None:
    """Owe a payment's money back, and promise it. After the commit: outbox.nudge(outside=True)."""
    refund_id = store_refunds.insert(tx, payment, f"{clock.today():%Y%m%d}R{secrets.token_hex(10)}", reason)
    if refund_id:
        store.note(tx, payment, "owed back", "booking", reason, refund_id)
        dues.promise(tx, payment["tenant_id"], payment["book_id"], f"payment:{payment['payment_id']}")


def run(tenant_id: int, payload: dict[str, Any]) -> None:
    """The job: send back what is to go back of a booking. What fails is tried again by reconciliation."""
    book_id = payload["book_id"]
    mysql.transact(lambda tx: _owed(tx, tenant_id, book_id))
    for refund in mysql.autocommit(lambda tx: store_refunds.due_of(tx, tenant_id, book_id)):
        pay_back(refund)
    outbox.nudge()


def pay_back(refund: Row) -> None:
    """Send a refund, or ask what has become of one that was sent. Whoever comes second leaves it to the first."""
    if not mysql.autocommit(lambda tx: store_refunds.claim(tx, refund, checks.next_after(refund["checks"]))):
        return
    sealing.ready()
    try:
        said = _asked(refund)
    except Unreachable as unreachable:
        ids = {"refund_id": refund["refund_id"], "why": str(unreachable)}
        logger.warning("refund not answered", extra={"ids": ids})
        return
    mysql.transact(lambda tx: become(tx, refund, said, "refund" if refund["state"] == DUE else "query"))


def become(tx: Tx, refund: Row, said: Refund, told_by: str) -> None:
    """Keep what WeChat says of a refund; what is done stays so. After the commit: outbox.nudge()."""
    before = store_refunds.state(tx, refund["refund_id"])
    if before == DONE:
        return
    state = BECAME.get(said.state, before)
    store_refunds.change(tx, refund["refund_id"], state, said.refund_id, said.error_code)
    if state != before or said.error_code:
        store.note(tx, refund, state, told_by, said.error_code or said.refund_id, refund["refund_id"])
    ids = {"refund_id": refund["refund_id"], "provider_code": said.error_code or said.state}
    if state == STUCK:
        logger.error("refund stuck: pay it back by hand", extra={"ids": ids})
    elif said.error_code:
        logger.error("refund refused", extra={"ids": ids})
    elif state == DONE:
        telling.tell(tx, refund, telling.REFUNDED)


def _owed(tx: Tx, tenant_id: int, book_id: int) -> None:
    dues.find(tx, tenant_id, book_id)  # its lock: the job may run twice, also at once
    reason = dues.owed_back(tx, tenant_id, book_id)
    payment = store_refunds.settled_by(tx, tenant_id, book_id)
    if reason and payment:
        owe(tx, payment, reason)
    elif reason:
        logger.error("paid elsewhere: pay it back by hand", extra={"ids": {"book_id": book_id}})


def _asked(refund: Row) -> Refund:
    merchant = merchants.of(refund)
    if refund["state"] == SENT:
        return wechat_pay.query_refund(merchant, refund["out_refund_no"])
    return wechat_pay.refund(
        merchant,
        refund["out_trade_no"],
        refund["out_refund_no"],
        refund["fee"],
        refund["fee"],
        REASON,
        merchants.notify_url(refund["tenant_id"], "refund_notify"),
    )
