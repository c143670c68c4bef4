"""Sign a page's request to pay one of the caller's own orders.

All signed values come from the caller. Without these checks the signature could be used for something that only looks
like an order, such as a payment notification (v2) or a refund request (v3).
"""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.payment import merchants, store
from chalicelib.payment.models import PaySign, PaySignRequest
from chalicelib.payment.store import Payment
from chalicelib.wechat_account import account


def sign(caller: Caller, body: PaySignRequest) -> PaySign:
    """Return paySign for an order.

    Raises:
        ApiError: 404 if it is not a live order of the caller, or the account's sign type has changed since; 400 if
            appId or signType is not that of the order.
    """
    field_encryption.preload_keys()
    payment = store.find_signable(mysql.autocommit, caller.tenant_id, caller.user_id, body.prepayId)
    _require_app_id(caller, body.appId, payment)
    merchant = merchants.get_for_order(payment.tenant_id, payment.mch_id, payment.app_id) if payment else None
    if payment is None or merchant is None or merchant.sign_type != payment.sign_type:
        raise ApiError(errors.NOT_FOUND, "订单不存在、已支付或已失效")
    if body.signType != payment.sign_type:
        raise ApiError(errors.BAD_PARAMETER, f"signType：必须是 {payment.sign_type}")
    return PaySign(paySign=wechat_pay.sign_page(merchant, payment.prepay_id, body.timeStamp, body.nonceStr))


def _require_app_id(caller: Caller, app_id: str, payment: Payment | None) -> None:
    """Raise ApiError(BAD_PARAMETER), which names the right one, unless it is the app id of the order's account."""
    official_account = None if payment else account.find_stored(mysql.autocommit, caller.tenant_id)
    expected = payment.app_id if payment else official_account.app_id if official_account else app_id
    if app_id != expected:
        raise ApiError(errors.BAD_PARAMETER, f"appId：不是本院公众号的 AppID，应为 {expected}")
