"""Handle the payment and refund notifications of WeChat Pay.

A notification takes effect only if its signature over the received bytes is valid (adapters/wechat_pay), its order
belongs to this hospital and to the merchant account that signed it, and its amount is the order's. It is applied in
one transaction and then acknowledged; a duplicate changes nothing. WeChat Pay repeats a notification that was
rejected, and reconciliation queries the order meanwhile.
"""

import logging
from collections.abc import Mapping

from chalicelib import clock, errors, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import (
    InvalidNotificationError,
    Merchant,
    Notification,
    NotificationKind,
    RefundResult,
)
from chalicelib.billing.ledger import LedgerSource
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.payment import merchants, refund_store, refunds, settlements, store

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024  # bytes; WeChat's have some thousand
CURRENCY = "CNY"

Acknowledgement = tuple[str, bytes]  # content type and body


def handle_payment(tenant_id: int, headers: Mapping[str, str], body: bytes) -> Acknowledgement:
    """Settle the booking that a payment notification pays.

    Raises:
        ApiError: 401 for an invalid signature, 400 if it does not match its order, 404 for an unknown order.
    """
    merchant, notice = _verify_and_parse(tenant_id, headers, body, NotificationKind.PAYMENT)
    payment = store.find_by_trade_no(mysql.autocommit, tenant_id, notice.out_trade_no)
    payment = _require_matching(payment, merchant, notice)
    if notice.state == "SUCCESS":
        at = notice.occurred_at or clock.now()
        mysql.run_transaction(
            lambda tx: settlements.settle(tx, payment, notice.transaction_id, at, LedgerSource.NOTIFICATION)
        )
        _wake_workers()
    return wechat_pay.build_acknowledgement(merchant)


def handle_refund(tenant_id: int, headers: Mapping[str, str], body: bytes) -> Acknowledgement:
    """Apply a refund notification. One without a signature (v2) only causes a query of the refund.

    Raises:
        ApiError: as handle_payment.
    """
    merchant, notice = _verify_and_parse(tenant_id, headers, body, NotificationKind.REFUND)
    refund = refund_store.find_by_refund_no(mysql.autocommit, tenant_id, notice.out_refund_no)
    if refund is None and notice.state == "CLOSED":  # a query was faster: the refund was renumbered
        return wechat_pay.build_acknowledgement(merchant)
    refund = _require_matching(refund, merchant, notice)
    if notice.is_signed:
        said = RefundResult(notice.state, refund_id=notice.refund_id)
        mysql.run_transaction(lambda tx: refunds.apply_result(tx, refund, said, LedgerSource.NOTIFICATION))
    else:
        refund_store.schedule_check(mysql.autocommit, refund["refund_id"])
    _wake_workers()
    return wechat_pay.build_acknowledgement(merchant)


def _verify_and_parse(
    tenant_id: int, headers: Mapping[str, str], body: bytes, kind: str
) -> tuple[Merchant, Notification]:
    logs.bind(tenant_id=tenant_id)
    if len(body) > MAX_BODY_BYTES:
        raise ApiError(errors.TOO_LARGE)
    field_encryption.preload_keys()
    refused: list[InvalidNotificationError] = []
    for merchant in merchants.list_all(tenant_id):  # a hospital that changed its account is still told of the old one's
        try:
            notice = wechat_pay.parse_notification(merchant, headers, body, clock.now())
        except InvalidNotificationError as bad:
            refused.append(bad)
            continue
        if notice.kind != kind:
            raise _build_mismatch_error("another kind")
        return merchant, notice
    if not refused:
        raise ApiError(errors.NOT_FOUND, "微信支付尚未配置")
    first = refused[0]
    serial = headers.get("wechatpay-serial", "")[:64]
    logger.warning("notice refused", extra={"ids": {"why": first.reason, "serial": serial}})
    raise ApiError(errors.SIGNATURE if first.status == errors.SIGNATURE.status else errors.BAD_PARAMETER)


def _require_matching(row: Row | None, merchant: Merchant, notice: Notification) -> Row:
    """Return the payment or refund that a notice speaks of, if it speaks of that and of nothing else."""
    if row is None:
        raise _build_mismatch_error("no such number", errors.NOT_FOUND)
    currency, app_id = notice.currency, notice.appid
    if notice.kind == NotificationKind.REFUND:  # v3's have neither
        currency, app_id = currency or CURRENCY, app_id or row["app_id"]
    said = (notice.mch_id, app_id, notice.out_trade_no, notice.fee, currency)
    if said != (row["mch_id"], row["app_id"], row["out_trade_no"], row["fee"], CURRENCY) or said[0] != merchant.mch_id:
        raise _build_mismatch_error("it does not fit")
    return row


def _build_mismatch_error(why: str, kind: errors.ErrorKind = errors.BAD_PARAMETER) -> ApiError:
    logger.error("notice of WeChat's refused", extra={"ids": {"why": why}})
    return ApiError(kind, "通知与订单不符")


def _wake_workers() -> None:
    outbox.wake_worker()
    outbox.wake_worker(Queue.EXTERNAL)
