"""What admins decide about orders and refunds that do not resolve by themselves: query them now, or end a refund."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import RefundResult, RefundStatus, WechatPayUnavailableError
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.billing import ledger
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.billing.refunds_due import RefundState
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.payment import merchants, query_schedule, refund_store, refunds, store
from chalicelib.payment.admin_models import PaymentReference, RefundReference, SettledRefund, SettleRefundRequest
from chalicelib.payment.refund_store import Refund

UNDER_WAY_TEXT = "微信正在处理这笔退款，请稍后再试"


def check_payment(caller: Caller, request: PaymentReference) -> None:
    """Have an order queried within a minute. One that is paid or closed is left as it is.

    Raises:
        ApiError: 404 if the tenant has no such order.
    """
    if not mysql.run_transaction(lambda tx: store.schedule_check(tx, caller.tenant_id, request.payment_id)):
        raise ApiError(errors.NOT_FOUND, "支付不存在")


def check_refund(caller: Caller, request: RefundReference) -> None:
    """Have a refund requested or queried within a minute. One that has succeeded is left as it is.

    Raises:
        ApiError: 404 if the tenant has no such refund.
    """
    refund_store.schedule_check(mysql.autocommit, _get(caller, request.refund_id).refund_id)


def settle(caller: Caller, request: SettleRefundRequest) -> SettledRefund:
    """End a refund that WeChat Pay does not make, because the patient got the money in another way.

    WeChat Pay is queried before: a refund that it has made is marked so. Settling it again changes nothing.

    Raises:
        ApiError: 404 if the tenant has no such refund; 409 unless WeChat Pay has rejected it, or while a request for it
            may be under way; 503 if WeChat Pay does not respond.
    """
    refund = _get(caller, request.refund_id)
    if refund.state == RefundState.SUCCESS:
        by_person = refund_store.was_settled_by_person(mysql.autocommit, caller.tenant_id, refund)
        return SettledRefund(refund_id=str(refund.refund_id), state=refund.state, by_wechat=not by_person)
    _require_rejected(caller, refund)
    if not refund_store.claim(mysql.autocommit, refund, query_schedule.compute_next_check(refund.checks)):
        raise ApiError(errors.CONFLICT, UNDER_WAY_TEXT)
    result = _query(refund)
    if result.state == RefundStatus.PROCESSING:
        raise ApiError(errors.CONFLICT, UNDER_WAY_TEXT)
    by_wechat = result.state == RefundStatus.SUCCESS
    if by_wechat:
        mysql.run_transaction(lambda tx: refunds.apply_result(tx, refund, result, LedgerSource.QUERY))
    else:
        mysql.run_transaction(lambda tx: _end(tx, caller, refund, request.reason))
    outbox.wake_worker()
    return SettledRefund(refund_id=str(refund.refund_id), state=RefundState.SUCCESS, by_wechat=by_wechat)


def _get(caller: Caller, refund_id: int) -> Refund:
    refund = refund_store.find(mysql.autocommit, caller.tenant_id, refund_id)
    if refund is None:
        raise ApiError(errors.NOT_FOUND, "退款不存在")
    return refund


def _require_rejected(caller: Caller, refund: Refund) -> None:
    """Raise ApiError 409 unless WeChat Pay has rejected a refund and no request for it can be under way."""
    error, requested_at = refund_store.get_last_request(mysql.autocommit, caller.tenant_id, refund.refund_id)
    if refund.state == RefundState.PROCESSING or not (error or refund.state == RefundState.ABNORMAL):
        raise ApiError(errors.CONFLICT, "微信没有拒绝这笔退款，不能人工了结")
    is_recent = requested_at is not None and clock.now() < requested_at + refund_store.REQUEST_INTERVAL
    if refund.state == RefundState.PENDING and is_recent:
        raise ApiError(errors.CONFLICT, UNDER_WAY_TEXT)


def _query(refund: Refund) -> RefundResult:
    field_encryption.preload_keys()
    merchant = merchants.get_for_order(refund.tenant_id, refund.mch_id, refund.app_id)
    try:
        return wechat_pay.query_refund(merchant, refund.out_refund_no)
    except WechatPayUnavailableError as error:
        raise ApiError(errors.UNAVAILABLE, retry_after=5) from error


def _end(tx: Tx, caller: Caller, refund: Refund, reason: str) -> None:
    current = refund_store.get_for_update(tx, refund.refund_id)
    if current.state == RefundState.SUCCESS or current.out_refund_no != refund.out_refund_no:
        return
    refund_store.update(tx, refund.refund_id, RefundState.SUCCESS, "", "", current.accepted_at)
    event, source = LedgerEvent.SUCCESS, LedgerSource.PERSON
    ledger.record(tx, refund.tenant_id, refund.payment_id, event, source, current.state, refund.refund_id)
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, AuditAction.SETTLE_REFUND, f"refund:{refund.refund_id}"),
        reason=reason,
        before=current.state,
        after=RefundState.SUCCESS,
        fee=refund.fee,
    )
