"""Merchants of each version and sign type at the fake WeChat Pay, and an order."""

from collections.abc import Callable

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.client import Merchant, Order, RefundResult
from devstack.fakes.wechat_pay import WeChatPay

MerchantKind = tuple[str, str]
MERCHANT_KINDS: list[MerchantKind] = [("v3", "RSA"), ("v2", "MD5"), ("v2", "HMAC-SHA256")]
OUT_TRADE_NO, OUT_REFUND_NO = "Appo20260105000001", "Back20260105000001"
NOTIFY_URL = "https://api.renhe.example/pay/1"
ORDER_LIFETIME = 600 * clock.SECOND
CALLS: dict[str, Callable[[Merchant], object]] = {
    "prepay": lambda merchant: wechat_pay.prepay(merchant, build_order()),
    "query": lambda merchant: wechat_pay.query_order(merchant, OUT_TRADE_NO),
    "close": lambda merchant: wechat_pay.close_order(merchant, OUT_TRADE_NO),
    "refund": lambda merchant: request_refund(merchant),
    "query_refund": lambda merchant: wechat_pay.query_refund(merchant, OUT_REFUND_NO),
}
parametrize_kinds = pytest.mark.parametrize(
    "kind", MERCHANT_KINDS, ids=[f"{version}-{sign_type}" for version, sign_type in MERCHANT_KINDS]
)
parametrize_calls = pytest.mark.parametrize("call", CALLS)


def create_merchant(pay: WeChatPay, kind: MerchantKind) -> Merchant:
    return pay.add_merchant(*kind)


def build_order(number: str = OUT_TRADE_NO, fee: int = 1500, description: str = "预约挂号 <内科> & 专家") -> Order:
    return Order(number, description, fee, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", NOTIFY_URL, clock.now() + ORDER_LIFETIME)


def create_paid_order(pay: WeChatPay, kind: MerchantKind) -> Merchant:
    """Create a merchant with a paid order."""
    merchant = create_merchant(pay, kind)
    assert wechat_pay.prepay(merchant, build_order()).error_code == ""
    pay.pay(OUT_TRADE_NO)
    return merchant


def request_refund(merchant: Merchant, fee: int = 1500, total: int = 1500, number: str = OUT_REFUND_NO) -> RefundResult:
    return wechat_pay.refund(merchant, OUT_TRADE_NO, number, fee, total, "医生停诊，退号", NOTIFY_URL)
