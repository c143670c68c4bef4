"""What WeChat Pay tells of its own accord: that somebody has paid, what became of a refund.

Nothing of it is believed before its signature is (adapters/wechat_pay), over the bytes as they came; then it must speak
of an order of this hospital's, of the account that the order was made at, and of its whole sum. One transaction; then
it is acknowledged, and a copy of it changes nothing. What is refused WeChat sends again, and reconciliation asks for.
"""

import logging

from chalicelib import clock, errors, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import (
    PAID,
    REFUNDED,
    InvalidNotificationError,
    Merchant,
    Notification,
    RefundResult,
)
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.http.bodies import RawContent, RawRequest
from chalicelib.outbox import outbox
from chalicelib.payment import merchants, refund_store, refunds, settlements, store

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024  # bytes; WeChat's have some thousand
CURRENCY = "CNY"


def handle_payment(tenant_id: int, delivery: RawRequest) -> RawContent:
    """ApiError 401 for a bad signature, 400 for what does not fit its order, 404 for no order of the hospital's."""
    merchant, notice = _verify_and_parse(tenant_id, delivery, PAID)
    payment = mysql.run_autocommit(lambda tx: store.find_by_trade_no(tx, tenant_id, notice.out_trade_no))
    payment = _require_matching(payment, merchant, notice)
    if notice.state == "SUCCESS":
        at = notice.occurred_at or clock.now()
        mysql.run_transaction(lambda tx: settlements.settle(tx, payment, notice.transaction_id, at, "notice"))
        _wake_workers()
    return _build_acknowledgement(merchant)


def handle_refund(tenant_id: int, delivery: RawRequest) -> RawContent:
    """ApiError as `paid` is. One that is not signed (v2) is not believed: it only has us ask."""
    merchant, notice = _verify_and_parse(tenant_id, delivery, REFUNDED)
    refund = mysql.run_autocommit(lambda tx: refund_store.find_by_refund_no(tx, tenant_id, notice.out_refund_no))
    if refund is None and notice.state == "CLOSED":  # we asked before it was told: it has another number by now
        return _build_acknowledgement(merchant)
    refund = _require_matching(refund, merchant, notice)
    if notice.is_signed:
        said = RefundResult(notice.state, refund_id=notice.refund_id)
        mysql.run_transaction(lambda tx: refunds.apply_result(tx, refund, said, "notice"))
    else:
        mysql.run_autocommit(lambda tx: refund_store.schedule_check(tx, refund["refund_id"]))
    _wake_workers()
    return _build_acknowledgement(merchant)


def _verify_and_parse(tenant_id: int, delivery: RawRequest, kind: str) -> tuple[Merchant, Notification]:
    logs.bind(tenant_id=tenant_id)
    if len(delivery.body) > MAX_BODY_BYTES:
        raise ApiError(errors.TOO_LARGE)
    field_encryption.preload_keys()
    refused: list[InvalidNotificationError] = []
    for merchant in merchants.list_all(tenant_id):  # a hospital that changed its account is still told of the old one's
        try:
            notice = wechat_pay.parse_notification(merchant, delivery.headers, delivery.body, clock.now())
        except InvalidNotificationError as bad:
            refused.append(bad)
            continue
        if notice.kind != kind:
            raise _build_mismatch_error("another kind")
        return merchant, notice
    if not refused:
        raise ApiError(errors.NOT_FOUND, "微信支付尚未配置")
    first = refused[0]
    serial = delivery.headers.get("wechatpay-serial", "")[:64]
    logger.warning("notice refused", extra={"ids": {"why": first.reason, "serial": serial}})
    raise ApiError(errors.SIGNATURE if first.status == errors.SIGNATURE.status else errors.BAD_PARAMETER)


def _require_matching(row: Row | None, merchant: Merchant, notice: Notification) -> Row:
    """Return the payment or refund that a notice speaks of, if it speaks of that and of nothing else."""
    if row is None:
        raise _build_mismatch_error("no such number", errors.NOT_FOUND)
    currency, app_id = notice.currency, notice.appid
    if notice.kind == REFUNDED:  # v3's have neither
        currency, app_id = currency or CURRENCY, app_id or row["app_id"]
    said = (notice.mch_id, app_id, notice.out_trade_no, notice.fee, currency)
    if said != (row["mch_id"], row["app_id"], row["out_trade_no"], row["fee"], CURRENCY) or said[0] != merchant.mch_id:
        raise _build_mismatch_error("it does not fit")
    return row


def _build_mismatch_error(why: str, kind: errors.ErrorKind = errors.BAD_PARAMETER) -> ApiError:
    logger.error("notice of WeChat's refused", extra={"ids": {"why": why}})
    return ApiError(kind, "通知与订单不符")


def _build_acknowledgement(merchant: Merchant) -> RawContent:
    content_type, body = wechat_pay.build_acknowledgement(merchant)
    return RawContent(content_type, body.decode())


def _wake_workers() -> None:
    outbox.wake_worker()
    outbox.wake_worker(outside=True)
