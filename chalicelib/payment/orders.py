"""Ordering at WeChat Pay what a booking costs.

Charge, settlement and payment are rows before WeChat is asked. A booking has one live order: whoever asks again is
given the same, and where WeChat has not answered, asks it again by the same number, which is the same order to it.
"""

import logging
import secrets
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import Merchant, Order, OrderResult, WechatPayUnavailableError
from chalicelib.billing import bookings, ledger
from chalicelib.billing.bookings import Booking, PaymentState
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.payment import merchants, store
from chalicelib.payment.models import OrderAsked, Ordered
from chalicelib.payment.store import OrderState
from chalicelib.wechat_account import openids

logger = logging.getLogger(__name__)

PREPAY_LIFETIME = 2 * 3600 * clock.SECOND  # of a prepay_id
MIN_ORDER_LIFETIME = 90 * clock.SECOND  # WeChat takes no order that ends within a minute
FIRST_CHECK_DELAY = 60 * clock.SECOND
MAX_ORDERS_PER_WINDOW, ORDER_WINDOW = (
    10,
    600 * clock.SECOND,
)  # orders of a booking in that time: each payer's is another
DESCRIPTION = "挂号费"


def get_or_create(caller: Caller, asked: OrderAsked) -> Ordered:
    """ApiError 404 for another's booking, and without an account at WeChat Pay; 400 without the payer's openid; 409 for
    what is paid, cancelled, missed, or too late to be paid; 429 for the eleventh order of a booking in ten minutes; 503
    where WeChat does not answer: then the same again."""
    field_encryption.preload_keys()
    merchant = merchants.find_active(caller.tenant_id)
    open_id = asked.open_id or _find_openid(caller, merchant)
    payment = mysql.run_transaction(lambda tx: _get_or_create_order(tx, caller, asked.appo_id, merchant, open_id))
    if payment is None or merchant is None:
        outbox.wake_worker()
        return Ordered(is_success=True, agency_id=str(caller.tenant_id))
    if payment["prepay_id"]:
        return _build_success(payment)
    answer = _request_prepay(caller, merchant, payment)
    prepared = mysql.run_transaction(lambda tx: _record_result(tx, payment, answer))
    return _build_success(prepared) if prepared["prepay_id"] else _build_failure(answer)


def _find_openid(caller: Caller, merchant: Merchant | None) -> str:
    if merchant is None:
        return ""
    token, app_id = bytes.fromhex(caller.token_hash_hex), merchant.appid
    return openids.find_for_session(mysql.autocommit, caller.tenant_id, token, app_id)


def _get_or_create_order(tx: Tx, caller: Caller, book_id: int, merchant: Merchant | None, open_id: str) -> Row | None:
    """Return the live order; None where nothing is to be paid."""
    booking = bookings.find_for_update(tx, caller.tenant_id, book_id)
    if booking is None or booking.user_id != caller.user_id:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    _require_payable(booking)
    if not booking.fee:
        store.settle(tx, store.get_or_create_settlement(tx, booking), None)
        bookings.mark_paid(tx, booking)
        return None
    if merchant is None:
        raise ApiError(errors.NOT_FOUND, "微信支付尚未配置")
    if not open_id:
        raise ApiError(errors.BAD_PARAMETER, "open_id：必填")
    fields = {"app_id": merchant.appid, "mch_id": merchant.mch_id, "open_id": open_id.encode()}
    there = store.find_live(tx, caller.tenant_id, book_id)
    if there and _is_reusable(there, {**fields, "sign_type": merchant.sign_type}):
        return there
    if store.count_since(tx, caller.tenant_id, book_id, clock.now() - ORDER_WINDOW) >= MAX_ORDERS_PER_WINDOW:
        raise ApiError(errors.TOO_MANY_REQUESTS, "下单太频繁，请稍后再试", retry_after=ORDER_WINDOW // clock.SECOND)
    if there:
        store.supersede(tx, there["payment_id"])
    return _insert_order(tx, booking, {**fields, "sign_type": merchant.sign_type})


def _require_payable(booking: Booking) -> None:
    if booking.payment_state == PaymentState.PAID:
        raise ApiError(errors.CONFLICT, "该预约已支付")
    if not booking.is_payable:
        raise ApiError(errors.CONFLICT, "该预约已取消或已失约，不能支付")
    if booking.pay_by is not None and booking.pay_by <= clock.now():
        raise ApiError(errors.CONFLICT, "已超过支付时限，请重新预约")


def _is_reusable(payment: Row, wanted: dict[str, Any]) -> bool:
    """Whether an order can still be paid, by the same person, through the same account."""
    return payment["expires_at"] > clock.now() and all(payment[name] == value for name, value in wanted.items())


def _insert_order(tx: Tx, booking: Booking, fields: dict[str, Any]) -> Row:
    now = clock.now()
    last = min(now + PREPAY_LIFETIME, booking.pay_by or now + PREPAY_LIFETIME)
    fields = {
        **fields,
        **{name: getattr(booking, name) for name in ("tenant_id", "book_id", "user_id", "fee")},
        "settlement_id": store.get_or_create_settlement(tx, booking),
        "out_trade_no": f"{clock.today():%Y%m%d}{secrets.token_hex(10)}",
        "expires_at": max(last, now + MIN_ORDER_LIFETIME),
        "check_at": now + FIRST_CHECK_DELAY,
    }
    payment = store.get_for_update(tx, booking.tenant_id, store.insert(tx, fields))
    ledger.record(tx, payment["tenant_id"], payment["payment_id"], LedgerEvent.CREATED, LedgerSource.ORDER)
    return payment


def _request_prepay(caller: Caller, merchant: Merchant, payment: Row) -> OrderResult:
    order = Order(
        out_trade_no=payment["out_trade_no"],
        description=DESCRIPTION,
        fee=payment["fee"],
        open_id=payment["open_id"].decode(),
        notify_url=merchants.build_notify_url(caller.tenant_id, "notify"),
        expires_at=payment["expires_at"],
        **({"client_ip": caller.address} if caller.address else {}),
    )
    try:
        return wechat_pay.prepay(merchant, order)
    except WechatPayUnavailableError as unreachable:
        raise ApiError(errors.UNAVAILABLE, "微信支付暂时不可用，请稍后再试", retry_after=5) from unreachable


def _record_result(tx: Tx, payment: Row, answer: OrderResult) -> Row:
    """Keep what WeChat has answered, unless another request was answered first; return the order."""
    booking = bookings.find_for_update(tx, payment["tenant_id"], payment["book_id"])
    now = store.get_for_update(tx, payment["tenant_id"], payment["payment_id"])
    if answer.error_code:
        if not now["prepay_id"] and now["live"] and now["state"] == OrderState.CREATED:
            store.supersede(tx, now["payment_id"])
            ledger.record(
                tx, now["tenant_id"], now["payment_id"], LedgerEvent.REJECTED, LedgerSource.ORDER, answer.error_code
            )
            logger.warning("order refused", extra={"ids": {"provider_code": answer.error_code}})
        return now
    if booking is None or not booking.is_payable:  # paid through the other answer, or cancelled meanwhile
        raise ApiError(errors.CONFLICT, "该预约已支付或已取消")
    if not now["live"]:  # another payer's took its place meanwhile, or WeChat refused it to another request
        raise ApiError(errors.CONFLICT, "已有另一订单，请重新下单")
    if now["prepay_id"]:
        return now
    store.set_prepay_id(tx, now["payment_id"], answer.prepay_id)
    ledger.record(tx, now["tenant_id"], now["payment_id"], LedgerEvent.PREPARED, LedgerSource.ORDER)
    return {**now, "prepay_id": answer.prepay_id}


def _build_success(payment: Row) -> Ordered:
    return Ordered(
        is_success=True,
        prepay_id=payment["prepay_id"],
        out_trade_no=payment["out_trade_no"],
        nonce_str=secrets.token_hex(16),
        sign_type=payment["sign_type"],
        agency_id=str(payment["tenant_id"]),
        timestamp=str(clock.now() // clock.SECOND),
        app_id=payment["app_id"],
    )


def _build_failure(answer: OrderResult) -> Ordered:
    return Ordered(is_success=True, error_code="FAIL", error_msg=answer.error_msg or answer.error_code)
