"""Refund payments through WeChat Pay, wholly or in parts.

The out_refund_no is stored before WeChat Pay is called, and requests with the same number are one refund there, so a
repeated request does not transfer money twice. Only a refund that WeChat Pay has closed gets another number. Requests
for one payment are at least a minute apart, as WeChat Pay demands: a refund that comes too early is postponed.
"""

import logging
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import RefundResult, RefundStatus, WechatPayUnavailableError
from chalicelib.billing import bookings, ledger, refunds_due
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.billing.refunds_due import RefundReason, RefundState
from chalicelib.crypto import field_encryption
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.payment import bill_store, merchants, notifications, query_schedule, refund_store
from chalicelib.payment.refund_store import LockedRefund, Refund

logger = logging.getLogger(__name__)

# Shown to the patient in WeChat.
CANCELLATION_TEXT = "预约已取消"
REASON_TEXTS = {RefundReason.PARTIAL: "医院退费", RefundReason.DUPLICATE: "重复支付"}
# CLOSED: no money was transferred, nor will be under this number. NONE: rejected or unknown, so it is requested again.
# Source: https://pay.weixin.qq.com/doc/v3/merchant/4013071031
STATE_BY_STATUS: dict[str, RefundState] = {
    RefundStatus.SUCCESS: RefundState.SUCCESS,
    RefundStatus.PROCESSING: RefundState.PROCESSING,
    RefundStatus.CLOSED: RefundState.PENDING,
    RefundStatus.ABNORMAL: RefundState.ABNORMAL,
    RefundStatus.NONE: RefundState.PENDING,
}


def refund_booking(tenant_id: int, payload: dict[str, Any]) -> None:
    """Request the refunds of a booking once. Handler of Job.REFUND_BOOKING; reconciliation retries failed ones."""
    book_id = payload["book_id"]
    mysql.run_transaction(lambda tx: _ensure_refunds(tx, tenant_id, book_id))
    for refund in refund_store.list_due_of_booking(mysql.autocommit, tenant_id, book_id):
        process(refund)
    outbox.wake_worker()


def process(refund: Refund) -> None:
    """Request a pending refund, or query one that was requested.

    Do nothing if another process has claimed it, or if a refund of the payment was requested a moment ago.
    """
    until = query_schedule.compute_next_check(refund.checks)
    if refund.state == RefundState.PENDING:
        is_claimed = mysql.run_transaction(lambda tx: refund_store.claim_request(tx, refund, until))
    else:
        is_claimed = refund_store.claim(mysql.autocommit, refund, until)
    if not is_claimed:
        return
    field_encryption.preload_keys()
    try:
        result = _request_or_query(refund)
    except WechatPayUnavailableError as error:
        ids = {"refund_id": refund.refund_id, "reason": str(error)}
        logger.warning("no response to refund", extra={"ids": ids})
        return
    source = LedgerSource.REFUND if refund.state == RefundState.PENDING else LedgerSource.QUERY
    mysql.run_transaction(lambda tx: apply_result(tx, refund, result, source))


def apply_result(tx: Tx, refund: Refund, result: RefundResult, source: LedgerSource) -> None:
    """Store the state that WeChat Pay reports for a refund; SUCCESS is final.

    Call outbox.wake_worker() after the commit.
    """
    current = refund_store.get_for_update(tx, refund.refund_id)
    if current.state == RefundState.SUCCESS or current.out_refund_no != refund.out_refund_no:
        return  # the result is outdated: it may be about a number that WeChat Pay has closed
    is_success = result.is_already_refunded
    state = RefundState.SUCCESS if is_success else STATE_BY_STATUS.get(result.state, current.state)
    accepted_at = _find_acceptance(current, state, result)
    if changed_at := accepted_at or current.accepted_at:
        bill_store.request_comparison(tx, refund.tenant_id, refund.mch_id, changed_at)
    refund_store.update(tx, refund.refund_id, state, result.refund_id, result.error_code, accepted_at)
    if result.state == RefundStatus.CLOSED:
        _renumber(tx, refund, source)
    elif state != current.state or result.error_code:
        _record(tx, refund, LedgerEvent(state.value), source, result.error_code or result.refund_id)
    if result.error_code:
        event = "refunded outside the system" if result.is_already_refunded else "refund rejected"
        _log_error(event, refund, result.error_code)
    elif state == RefundState.ABNORMAL and current.state != RefundState.ABNORMAL:
        _log_error("refund abnormal: settle it by hand", refund, result.state)
    if state == RefundState.SUCCESS:
        notifications.enqueue(tx, refund, EventType.PAYMENT_REFUNDED)


def _find_acceptance(current: LockedRefund, state: RefundState, result: RefundResult) -> int | None:
    """Return when WeChat Pay accepted a refund: the bill of that day lists it. A closed one is requested again."""
    if state == RefundState.PENDING:
        return None
    return current.accepted_at or result.accepted_at or clock.now()


def _renumber(tx: Tx, refund: Refund, source: LedgerSource) -> None:
    refund_store.renumber(tx, refund.refund_id, refunds_due.generate_refund_no())
    _record(tx, refund, LedgerEvent.CLOSED, source, refund.out_refund_no)
    _log_error("refund closed: retrying with another number", refund, RefundStatus.CLOSED)


def _record(tx: Tx, refund: Refund, event: LedgerEvent, source: LedgerSource, detail: str) -> None:
    ledger.record(tx, refund.tenant_id, refund.payment_id, event, source, detail, refund.refund_id)


def _log_error(event: str, refund: Refund, code: str) -> None:
    logger.error(event, extra={"ids": {"refund_id": refund.refund_id, "provider_code": code}})


def _ensure_refunds(tx: Tx, tenant_id: int, book_id: int) -> None:
    """Insert the refunds of a booking that are due, unless they exist."""
    bookings.find_for_update(tx, tenant_id, book_id)  # lock it: the job may run twice at the same time
    for due in refunds_due.list_due_without_refund(tx, tenant_id, book_id):
        payment = refunds_due.lock_settling_payment(tx, tenant_id, book_id)
        if payment:
            refunds_due.insert_refund(tx, payment, due.fee, due.reason, due.due_id)
        else:
            logger.error("no payment to refund: settle it by hand", extra={"ids": {"book_id": book_id}})


def _request_or_query(refund: Refund) -> RefundResult:
    merchant = merchants.get_for_order(refund.tenant_id, refund.mch_id, refund.app_id)
    if refund.state in (RefundState.PROCESSING, RefundState.ABNORMAL):
        return wechat_pay.query_refund(merchant, refund.out_refund_no)
    return wechat_pay.refund(
        merchant,
        refund.out_trade_no,
        refund.out_refund_no,
        refund.fee,
        refund.paid_fee,
        REASON_TEXTS.get(refund.reason, CANCELLATION_TEXT),
        merchants.build_notify_url(refund.tenant_id, "refund_notify"),
    )
