"""Handle the payment and refund notifications of WeChat Pay.

A notification takes effect only if its signature over the received bytes is valid (adapters/wechat_pay), its order
belongs to this hospital and to the merchant account that signed it, and its amount is the order's. It is applied in
one transaction and then acknowledged; a duplicate changes nothing. WeChat Pay repeats a notification that was
rejected, and reconciliation queries the order meanwhile.
"""

import logging
from collections.abc import Mapping
from typing import TypeVar

from chalicelib import clock, errors, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import (
    CURRENCY,
    InvalidNotificationError,
    Merchant,
    Notification,
    NotificationKind,
    RefundResult,
    RefundStatus,
    TradeState,
)
from chalicelib.billing.ledger import LedgerSource
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.payment import merchants, refund_store, refunds, settlements, store
from chalicelib.payment.refund_store import Refund
from chalicelib.payment.store import Payment

logger = logging.getLogger(__name__)

T = TypeVar("T", Payment, Refund)

MAX_BODY_BYTES = 64 * 1024  # WeChat Pay's notifications have 1 to 4 KB
MAX_LOGGED_SERIAL_CHARS = 64

Acknowledgement = tuple[str, bytes]  # content type and body


def handle_payment(tenant_id: int, headers: Mapping[str, str], body: bytes) -> Acknowledgement:
    """Settle the booking that a payment notification pays.

    Raises:
        ApiError: 401 for an invalid signature, 400 if it does not match its order, 404 for an unknown order.
    """
    merchant, notification = _verify_and_parse(tenant_id, headers, body, NotificationKind.PAYMENT)
    payment = store.find_by_trade_no(mysql.autocommit, tenant_id, notification.out_trade_no)
    payment = _require_matching(payment, merchant, notification)
    if notification.state == TradeState.SUCCESS:
        _settle(payment, notification)
    return wechat_pay.build_acknowledgement(merchant)


def handle_refund(tenant_id: int, headers: Mapping[str, str], body: bytes) -> Acknowledgement:
    """Apply a refund notification. One without a signature (v2) only causes a query of the refund.

    Raises:
        ApiError: as handle_payment.
    """
    merchant, notification = _verify_and_parse(tenant_id, headers, body, NotificationKind.REFUND)
    refund = refund_store.find_by_refund_no(mysql.autocommit, tenant_id, notification.out_refund_no)
    if refund is None and notification.state == RefundStatus.CLOSED:  # a query was faster: the refund was renumbered
        return wechat_pay.build_acknowledgement(merchant)
    refund = _require_matching(refund, merchant, notification)
    if notification.is_signed:
        result = RefundResult(notification.state, refund_id=notification.refund_id)
        mysql.run_transaction(lambda tx: refunds.apply_result(tx, refund, result, LedgerSource.NOTIFICATION))
    else:
        refund_store.schedule_check(mysql.autocommit, refund.refund_id)
    _wake_workers()
    return wechat_pay.build_acknowledgement(merchant)


def _settle(payment: Payment, notification: Notification) -> None:
    transaction_id, paid_at = notification.transaction_id, notification.occurred_at or clock.now()
    mysql.run_transaction(
        lambda tx: settlements.settle(tx, payment, transaction_id, paid_at, LedgerSource.NOTIFICATION)
    )
    _wake_workers()


def _verify_and_parse(
    tenant_id: int, headers: Mapping[str, str], body: bytes, kind: NotificationKind
) -> tuple[Merchant, Notification]:
    """Return the notification and the account that it is for.

    All accounts of the hospital are tried: orders of a former account are still notified.
    """
    logs.bind(tenant_id=tenant_id)
    if len(body) > MAX_BODY_BYTES:
        raise ApiError(errors.TOO_LARGE)
    field_encryption.preload_keys()
    rejections: list[InvalidNotificationError] = []
    for merchant in merchants.list_all(tenant_id):
        try:
            notification = wechat_pay.parse_notification(merchant, headers, body, clock.now())
        except InvalidNotificationError as error:
            rejections.append(error)
            continue
        if notification.kind != kind:
            raise _build_mismatch_error("kind")
        return merchant, notification
    if not rejections:
        raise ApiError(errors.NOT_FOUND, "微信支付尚未配置")
    serial = headers.get("wechatpay-serial", "")[:MAX_LOGGED_SERIAL_CHARS]
    logger.warning("notification rejected", extra={"ids": {"reason": rejections[0].reason, "serial": serial}})
    is_forged = rejections[0].status == errors.INVALID_SIGNATURE.status
    raise ApiError(errors.INVALID_SIGNATURE if is_forged else errors.BAD_PARAMETER)


def _require_matching(record: T | None, merchant: Merchant, notification: Notification) -> T:
    """Return the payment or refund if the notification matches it in account, order, amount and currency."""
    if record is None:
        raise _build_mismatch_error("unknown number", errors.NOT_FOUND)
    currency, app_id = notification.currency, notification.appid
    if notification.kind == NotificationKind.REFUND:  # refund notifications of v3 have neither
        currency, app_id = currency or CURRENCY, app_id or record.app_id
    notified = (notification.mch_id, app_id, notification.out_trade_no, notification.fee, currency)
    expected = (record.mch_id, record.app_id, record.out_trade_no, record.fee, CURRENCY)
    if notified != expected or record.mch_id != merchant.mch_id:
        raise _build_mismatch_error("account, order, amount or currency")
    return record


def _build_mismatch_error(reason: str, kind: errors.ErrorKind = errors.BAD_PARAMETER) -> ApiError:
    logger.error("notification does not match its order", extra={"ids": {"reason": reason}})
    return ApiError(kind, "通知与订单不符")


def _wake_workers() -> None:
    outbox.wake_worker()
    outbox.wake_worker(Queue.EXTERNAL)
