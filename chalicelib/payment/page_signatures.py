"""What WeChat wants of a page that asks its visitor to pay: a signature for one of our orders, and for nothing else.

All that is signed comes from the caller: without these looks we would sign what only looks like an order, such as a
notice of payment (v2) or a refund (v3).
"""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.payment import merchants, store
from chalicelib.payment.models import PaySign, PaySignAsked


def sign(caller: Caller, asked: PaySignAsked) -> PaySign:
    """ApiError 404 for what is not the caller's own live order, 400 where it was made for another kind of signature."""
    field_encryption.preload_keys()
    own = (caller.tenant_id, caller.user_id, asked.appId, asked.prepayId)
    payment = store.find_signable(mysql.autocommit, *own)
    merchant = merchants.get_for_payment({**payment, "tenant_id": caller.tenant_id}) if payment else None
    if payment is None or merchant is None or merchant.sign_type != payment["sign_type"]:  # set up anew meanwhile
        raise ApiError(errors.NOT_FOUND, "订单不存在、已支付或已失效")
    if asked.signType != payment["sign_type"]:
        raise ApiError(errors.BAD_PARAMETER, f"signType：必须是 {payment['sign_type']}")
    return PaySign(paySign=wechat_pay.sign_page(merchant, payment["prepay_id"], asked.timeStamp, asked.nonceStr))
