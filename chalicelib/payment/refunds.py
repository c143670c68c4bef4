"""Money that goes back: a payment whole, once. Its number is fixed before WeChat is asked, and the same number is the
same refund there: asked again, after whatever happened, it goes back once. Only what WeChat has closed has another."""

import logging
from typing import Any

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import RefundResult, WechatPayUnavailableError
from chalicelib.billing import bookings, ledger, refunds_due
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.crypto import field_encryption
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.payment import merchants, notifications, query_schedule, refund_store
from chalicelib.payment.refund_store import RefundState

logger = logging.getLogger(__name__)

REFUND_REASON = "预约已取消"  # what the patient reads in WeChat
# CLOSED: no money has moved, and by this number none will (https://pay.weixin.qq.com/doc/v3/merchant/4013071031).
# "": WeChat refuses it, or knows of none: it is sent again.
STATE_BY_WECHAT_STATE = {
    "SUCCESS": RefundState.SUCCESS,
    "PROCESSING": RefundState.PROCESSING,
    "CLOSED": RefundState.PENDING,
    "ABNORMAL": RefundState.ABNORMAL,
    "": RefundState.PENDING,
}


def refund_booking(tenant_id: int, payload: dict[str, Any]) -> None:
    """The job: send back what is to go back of a booking. What fails is tried again by reconciliation."""
    book_id = payload["book_id"]
    mysql.run_transaction(lambda tx: _ensure_refund(tx, tenant_id, book_id))
    for refund in refund_store.list_due_of_booking(mysql.autocommit, tenant_id, book_id):
        process(refund)
    outbox.wake_worker()


def process(refund: Row) -> None:
    """Send a refund, or ask what has become of one that was sent. Whoever comes second leaves it to the first."""
    if not refund_store.claim(mysql.autocommit, refund, query_schedule.compute_next_check(refund["checks"])):
        return
    field_encryption.preload_keys()
    try:
        said = _submit_or_query(refund)
    except WechatPayUnavailableError as unreachable:
        ids = {"refund_id": refund["refund_id"], "why": str(unreachable)}
        logger.warning("refund not answered", extra={"ids": ids})
        return
    mysql.run_transaction(
        lambda tx: apply_result(
            tx, refund, said, LedgerSource.REFUND if refund["state"] == RefundState.PENDING else LedgerSource.QUERY
        )
    )


def apply_result(tx: Tx, refund: Row, said: RefundResult, source: LedgerSource) -> None:
    """Keep what WeChat says of a refund; what is done stays so. After the commit: outbox.nudge()."""
    now = refund_store.get_for_update(tx, refund["refund_id"])
    if (
        now["state"] == RefundState.SUCCESS or now["out_refund_no"] != refund["out_refund_no"]
    ):  # said of a number that was closed
        return
    state = (
        RefundState.SUCCESS if said.is_already_refunded else STATE_BY_WECHAT_STATE.get(said.state, str(now["state"]))
    )
    refund_store.update(tx, refund["refund_id"], state, said.refund_id, said.error_code)
    if said.state == "CLOSED":
        _renumber_closed(tx, refund, source)
    elif state != now["state"] or said.error_code:
        ledger.record(
            tx,
            refund["tenant_id"],
            refund["payment_id"],
            LedgerEvent(state),
            source,
            said.error_code or said.refund_id,
            refund["refund_id"],
        )
    if said.error_code:
        _log_error("paid back elsewhere" if said.is_already_refunded else "refund refused", refund, said.error_code)
    elif state == RefundState.ABNORMAL and now["state"] != RefundState.ABNORMAL:
        _log_error("refund stuck: pay it back by hand", refund, said.state)
    if state == RefundState.SUCCESS:
        notifications.enqueue(tx, refund, EventType.PAYMENT_REFUNDED)


def _renumber_closed(tx: Tx, refund: Row, source: LedgerSource) -> None:
    refund_store.renumber(tx, refund["refund_id"], refunds_due.generate_refund_no())
    ledger.record(
        tx,
        refund["tenant_id"],
        refund["payment_id"],
        LedgerEvent.CLOSED,
        source,
        refund["out_refund_no"],
        refund["refund_id"],
    )
    _log_error("refund closed: it is sent again by another number", refund, "CLOSED")


def _log_error(what: str, refund: Row, code: str) -> None:
    logger.error(what, extra={"ids": {"refund_id": refund["refund_id"], "provider_code": code}})


def _ensure_refund(tx: Tx, tenant_id: int, book_id: int) -> None:
    bookings.find_for_update(tx, tenant_id, book_id)  # its lock: the job may run twice, also at once
    reason = refunds_due.find_refund_reason(tx, tenant_id, book_id)
    payment = refunds_due.find_settling_payment(tx, tenant_id, book_id)
    if reason and payment:  # whose row older versions made here alone
        refunds_due.enqueue_payment_refund(tx, payment, reason)
    elif reason:
        logger.error("paid elsewhere: pay it back by hand", extra={"ids": {"book_id": book_id}})


def _submit_or_query(refund: Row) -> RefundResult:
    merchant = merchants.get_for_payment(refund)
    if refund["state"] in (RefundState.PROCESSING, RefundState.ABNORMAL):
        return wechat_pay.query_refund(merchant, refund["out_refund_no"])
    return wechat_pay.refund(
        merchant,
        refund["out_trade_no"],
        refund["out_refund_no"],
        refund["fee"],
        refund["fee"],
        REFUND_REASON,
        merchants.build_notify_url(refund["tenant_id"], "refund_notify"),
    )
