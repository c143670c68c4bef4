"""Money that goes back: a payment whole, once. Its number is fixed before WeChat is asked, and the same number is the
same refund there: asked again, after whatever happened, it goes back once. Only what WeChat has closed has another."""

import logging
from typing import Any

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import Refund, Unreachable
from chalicelib.billing import bookings as dues
from chalicelib.billing import ledger, refunds_due
from chalicelib.crypto import field_encryption
from chalicelib.outbox import outbox
from chalicelib.payment import merchants, notifications, query_schedule, refund_store
from chalicelib.payment.refund_store import DONE, DUE, SENT, STUCK

logger = logging.getLogger(__name__)

REASON = "预约已取消"  # what the patient reads in WeChat
# CLOSED: no money has moved, and by this number none will (https://pay.weixin.qq.com/doc/v3/merchant/4013071031).
# "": WeChat refuses it, or knows of none: it is sent again.
BECAME = {"SUCCESS": DONE, "PROCESSING": SENT, "CLOSED": DUE, "ABNORMAL": STUCK, "": DUE}


def run(tenant_id: int, payload: dict[str, Any]) -> None:
    """The job: send back what is to go back of a booking. What fails is tried again by reconciliation."""
    book_id = payload["book_id"]
    mysql.transact(lambda tx: _owed(tx, tenant_id, book_id))
    for refund in mysql.autocommit(lambda tx: refund_store.due_of(tx, tenant_id, book_id)):
        pay_back(refund)
    outbox.nudge()


def pay_back(refund: Row) -> None:
    """Send a refund, or ask what has become of one that was sent. Whoever comes second leaves it to the first."""
    if not mysql.autocommit(lambda tx: refund_store.claim(tx, refund, query_schedule.next_after(refund["checks"]))):
        return
    field_encryption.ready()
    try:
        said = _asked(refund)
    except Unreachable as unreachable:
        ids = {"refund_id": refund["refund_id"], "why": str(unreachable)}
        logger.warning("refund not answered", extra={"ids": ids})
        return
    mysql.transact(lambda tx: become(tx, refund, said, "refund" if refund["state"] == DUE else "query"))


def become(tx: Tx, refund: Row, said: Refund, told_by: str) -> None:
    """Keep what WeChat says of a refund; what is done stays so. After the commit: outbox.nudge()."""
    now = refund_store.locked(tx, refund["refund_id"])
    if now["state"] == DONE or now["out_refund_no"] != refund["out_refund_no"]:  # said of a number that was closed
        return
    state = DONE if said.is_needless else BECAME.get(said.state, str(now["state"]))
    refund_store.change(tx, refund["refund_id"], state, said.refund_id, said.error_code)
    if said.state == "CLOSED":
        _closed(tx, refund, told_by)
    elif state != now["state"] or said.error_code:
        ledger.note(tx, refund, state, told_by, said.error_code or said.refund_id, refund["refund_id"])
    if said.error_code:
        _alarm("paid back elsewhere" if said.is_needless else "refund refused", refund, said.error_code)
    elif state == STUCK and now["state"] != STUCK:
        _alarm("refund stuck: pay it back by hand", refund, said.state)
    if state == DONE:
        notifications.tell(tx, refund, notifications.REFUNDED)


def _closed(tx: Tx, refund: Row, told_by: str) -> None:
    refund_store.renumber(tx, refund["refund_id"], refunds_due.number())
    ledger.note(tx, refund, "closed", told_by, refund["out_refund_no"], refund["refund_id"])
    _alarm("refund closed: it is sent again by another number", refund, "CLOSED")


def _alarm(what: str, refund: Row, code: str) -> None:
    logger.error(what, extra={"ids": {"refund_id": refund["refund_id"], "provider_code": code}})


def _owed(tx: Tx, tenant_id: int, book_id: int) -> None:
    dues.find(tx, tenant_id, book_id)  # its lock: the job may run twice, also at once
    reason = refunds_due.reason(tx, tenant_id, book_id)
    payment = refunds_due.settled_by(tx, tenant_id, book_id)
    if reason and payment:  # whose row older versions made here alone
        refunds_due.owe(tx, payment, reason)
    elif reason:
        logger.error("paid elsewhere: pay it back by hand", extra={"ids": {"book_id": book_id}})


def _asked(refund: Row) -> Refund:
    merchant = merchants.of(refund)
    if refund["state"] in (SENT, STUCK):
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
