"""Create an order at WeChat Pay for the fee of a booking.

Charge, settlement and payment are inserted before WeChat Pay is called. A booking has one live order: a repeated
request returns the same one. If WeChat Pay did not respond, it is called again with the same out_trade_no, which is the
same order there.
"""

import logging
import secrets
from dataclasses import replace

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import Merchant, Order, OrderResult, WechatPayUnavailableError
from chalicelib.billing import bookings, ledger
from chalicelib.billing.bookings import Booking, BookingStatus, PaymentState
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.billing.orders import OrderState
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.payment import merchants, store
from chalicelib.payment.models import OrderRequest, OrderResponse
from chalicelib.payment.store import NewPayment, Payment
from chalicelib.wechat_account import openids

logger = logging.getLogger(__name__)

PREPAY_LIFETIME = 2 * 3600 * clock.SECOND  # of a prepay_id
MIN_ORDER_LIFETIME = 90 * clock.SECOND  # WeChat Pay rejects orders that expire within a minute
FIRST_CHECK_DELAY = 60 * clock.SECOND
ORDER_WINDOW = 600 * clock.SECOND
MAX_ORDERS_PER_WINDOW = 10  # of a booking: each payer needs an order of their own
DESCRIPTION = "挂号费"
NOTHING_TO_PAY = "挂号费为 0，无需支付"
# WeChat Pay's codes for what is wrong with the configuration; its own texts do not say where to correct it.
# Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791856, https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=9_1
SETTING_BY_CODE = {
    **dict.fromkeys(("SIGN_ERROR", "SIGNERROR"), "商户设置的 key、serial 或 private_key 不正确"),
    **dict.fromkeys(("MCH_NOT_EXISTS", "MCHID_NOT_EXIST"), "商户设置的 mch_id 不正确"),
    "APPID_NOT_EXIST": "公众号设置的 app_id 不正确",
    "APPID_MCHID_NOT_MATCH": "公众号的 app_id 没有绑定到商户号 mch_id",
    **dict.fromkeys(("NO_AUTH", "NOAUTH"), "商户号没有开通 JSAPI 支付"),
}


def get_or_create(caller: Caller, body: OrderRequest) -> OrderResponse:
    """Return the live order of a booking; create it at WeChat Pay if there is none. A free booking is settled at once.

    Raises:
        ApiError: 404 if the caller has no such booking or the hospital no merchant account; 400 if the payer's openid
            is unknown; 409 if the booking is paid, cancelled, missed or past its deadline to pay or confirm; 429 for
            too many orders; 503 if WeChat Pay does not respond, in which case the request may be repeated.
    """
    field_encryption.preload_keys()
    merchant = merchants.find_active(caller.tenant_id)
    open_id = body.open_id or _find_openid(caller, merchant)
    payment = mysql.run_transaction(lambda tx: _get_or_create_payment(tx, caller, body.appo_id, merchant, open_id))
    if payment is None or merchant is None:
        outbox.wake_worker()
        return OrderResponse(
            is_success=True, payment_required=False, error_msg=NOTHING_TO_PAY, agency_id=str(caller.tenant_id)
        )
    if payment.prepay_id:
        return _build_success(payment)
    result = _request_prepay(caller, merchant, payment)
    updated = mysql.run_transaction(lambda tx: _record_result(tx, payment, result))
    return _build_success(updated) if updated.prepay_id else _build_failure(result)


def _find_openid(caller: Caller, merchant: Merchant | None) -> str:
    if merchant is None:
        return ""
    token_hash, app_id = bytes.fromhex(caller.token_hash_hex), merchant.appid
    return openids.find_for_session(mysql.autocommit, caller.tenant_id, token_hash, app_id)


def _get_or_create_payment(
    tx: Tx, caller: Caller, book_id: int, merchant: Merchant | None, open_id: str
) -> Payment | None:
    """Return the live order, or None if the booking is free and now settled."""
    booking = bookings.find_for_update(tx, caller.tenant_id, book_id)
    if booking is None or booking.user_id != caller.user_id:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    _require_payable(booking)
    if not booking.fee:
        if booking.payment_state == PaymentState.UNPAID:
            store.settle(tx, store.get_or_create_settlement(tx, booking), None)
            bookings.mark_paid(tx, booking)
        return None
    if merchant is None:
        raise ApiError(errors.NOT_FOUND, "微信支付尚未配置")
    if not open_id:
        raise ApiError(errors.BAD_PARAMETER, "open_id：必填")
    live = store.find_live(tx, caller.tenant_id, book_id)
    if live and _is_reusable(live, merchant, open_id):
        return live
    if store.count_since(tx, caller.tenant_id, book_id, clock.now() - ORDER_WINDOW) >= MAX_ORDERS_PER_WINDOW:
        raise ApiError(errors.TOO_MANY_REQUESTS, "下单太频繁，请稍后再试", retry_after=ORDER_WINDOW // clock.SECOND)
    if live:
        store.supersede(tx, live.payment_id)
    return _insert_payment(tx, booking, caller.user_id, merchant, open_id)


def _require_payable(booking: Booking) -> None:
    if booking.status == BookingStatus.CANCELLED:
        is_refunded = booking.payment_state == PaymentState.PAID and booking.fee and not booking.paid_at_till
        refunded = "，已付费用原路退回" if is_refunded else ""
        raise _build_rejection(f"该预约已取消，不能支付{refunded}")
    if not booking.fee and booking.payment_state == PaymentState.PAID:
        return
    if booking.payment_state == PaymentState.PAID:
        raise _build_rejection("该预约已支付")
    if booking.status == BookingStatus.MISSED:
        raise _build_rejection("该预约已失约，不能支付")
    if booking.payable_until is not None and booking.payable_until <= clock.now():
        deadline = "支付时限" if booking.payable_until == booking.pay_by else "确认时间"
        raise _build_rejection(f"已超过{deadline}，请重新预约")


def _is_reusable(payment: Payment, merchant: Merchant, open_id: str) -> bool:
    """Return whether the same payer can still pay an order through the account as it is set up now."""
    current = (merchant.appid, merchant.mch_id, merchant.sign_type, open_id)
    ordered = (payment.app_id, payment.mch_id, payment.sign_type, payment.open_id)
    return payment.expires_at > clock.now() and ordered == current


def _insert_payment(tx: Tx, booking: Booking, user_id: int, merchant: Merchant, open_id: str) -> Payment:
    now = clock.now()
    payable_until = min(now + PREPAY_LIFETIME, booking.payable_until or now + PREPAY_LIFETIME)
    payment_id = store.insert(
        tx,
        NewPayment(
            tenant_id=booking.tenant_id,
            settlement_id=store.get_or_create_settlement(tx, booking),
            book_id=booking.book_id,
            user_id=user_id,
            out_trade_no=f"{clock.today():%Y%m%d}{secrets.token_hex(10)}",
            app_id=merchant.appid,
            mch_id=merchant.mch_id,
            sign_type=merchant.sign_type,
            open_id=open_id,
            fee=booking.fee,
            expires_at=max(payable_until, now + MIN_ORDER_LIFETIME),
            check_at=now + FIRST_CHECK_DELAY,
        ),
    )
    payment = store.get_for_update(tx, booking.tenant_id, payment_id)
    ledger.record(tx, payment.tenant_id, payment.payment_id, LedgerEvent.CREATED, LedgerSource.ORDER)
    return payment


def _request_prepay(caller: Caller, merchant: Merchant, payment: Payment) -> OrderResult:
    order = Order(
        out_trade_no=payment.out_trade_no,
        description=DESCRIPTION,
        fee=payment.fee,
        open_id=payment.open_id,
        notify_url=merchants.build_notify_url(caller.tenant_id, "notify"),
        expires_at=payment.expires_at,
        **({"client_ip": caller.address} if caller.address else {}),
    )
    try:
        return wechat_pay.prepay(merchant, order)
    except WechatPayUnavailableError as error:
        raise ApiError(errors.UNAVAILABLE, "微信支付暂时不可用，请稍后再试", retry_after=5) from error


def _record_result(tx: Tx, payment: Payment, result: OrderResult) -> Payment:
    """Store WeChat Pay's response unless a concurrent request has stored one; return the order.

    Raises:
        ApiError: 409 if the order cannot be paid any more.
    """
    booking = bookings.find_for_update(tx, payment.tenant_id, payment.book_id)
    current = store.get_for_update(tx, payment.tenant_id, payment.payment_id)
    if result.error_code:
        if not current.prepay_id and current.is_live and current.state == OrderState.CREATED:
            _record_rejection(tx, current, result.error_code)
        return current
    if booking is None or not booking.is_payable:  # cancelled meanwhile, or paid by another order
        raise _build_rejection("该预约已支付或已取消")
    if not current.is_live:  # superseded by another payer's order, or rejected in the response to another request
        raise _build_rejection("已有另一订单，请重新下单")
    if current.prepay_id:
        return current
    store.set_prepay_id(tx, current.payment_id, result.prepay_id)
    ledger.record(tx, current.tenant_id, current.payment_id, LedgerEvent.PREPARED, LedgerSource.ORDER)
    return replace(current, prepay_id=result.prepay_id)


def _record_rejection(tx: Tx, payment: Payment, error_code: str) -> None:
    store.supersede(tx, payment.payment_id)
    ledger.record(tx, payment.tenant_id, payment.payment_id, LedgerEvent.REJECTED, LedgerSource.ORDER, error_code)
    logger.warning("order rejected", extra={"ids": {"provider_code": error_code}})


def _build_success(payment: Payment) -> OrderResponse:
    return OrderResponse(
        is_success=True,
        prepay_id=payment.prepay_id,
        out_trade_no=payment.out_trade_no,
        nonce_str=secrets.token_hex(16),
        sign_type=payment.sign_type,
        agency_id=str(payment.tenant_id),
        timestamp=str(clock.now() // clock.SECOND),
        app_id=payment.app_id,
    )


def _build_failure(result: OrderResult) -> OrderResponse:
    # `is_success` of document 003 means that WeChat Pay responded, not that it created the order.
    text = result.error_msg or result.error_code
    if setting := SETTING_BY_CODE.get(result.error_code):
        text = f"{text}（{setting}，请医院管理员修改）"
    return OrderResponse(is_success=True, error_code="FAIL", error_msg=text)


def _build_rejection(text: str) -> ApiError:
    """Return the 409 for a booking that cannot be paid, with the fields by which document 003 reports a failure."""
    failure = OrderResponse(is_success=True, error_code="FAIL", error_msg=text)
    return ApiError(errors.CONFLICT, text, data=failure.model_dump())
