"""Merchants of each kind at a WeChat Pay of the test's own, and an order of Lin's."""

from collections.abc import Callable

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.client import Merchant, Order, RefundResult
from devstack.wechat_pay import WeChatPay

Kind = tuple[str, str]
KINDS: list[Kind] = [("v3", "RSA"), ("v2", "MD5"), ("v2", "HMAC-SHA256")]
NUMBER, REFUND = "Appo20260105000001", "Back20260105000001"
SITE = "https://api.renhe.example/pay/1"
LATER = 600 * clock.SECOND
CALLS: dict[str, Callable[[Merchant], object]] = {
    "prepay": lambda merchant: wechat_pay.prepay(merchant, order()),
    "query": lambda merchant: wechat_pay.query_order(merchant, NUMBER),
    "close": lambda merchant: wechat_pay.close_order(merchant, NUMBER),
    "refund": lambda merchant: back(merchant),
    "query_refund": lambda merchant: wechat_pay.query_refund(merchant, REFUND),
}
each_kind = pytest.mark.parametrize("kind", KINDS, ids=[f"{version}-{sign}" for version, sign in KINDS])
each_call = pytest.mark.parametrize("call", CALLS)


def merchant_of(pay: WeChatPay, kind: Kind) -> Merchant:
    return pay.merchant(*kind)


def order(number: str = NUMBER, fee: int = 1500, description: str = "预约挂号 <内科> & 专家") -> Order:
    return Order(number, description, fee, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", SITE, clock.now() + LATER)


def paid(pay: WeChatPay, kind: Kind) -> Merchant:
    """Whose order Lin has paid."""
    merchant = merchant_of(pay, kind)
    assert wechat_pay.prepay(merchant, order()).error_code == ""
    pay.pay(NUMBER)
    return merchant


def back(merchant: Merchant, fee: int = 1500, total: int = 1500, number: str = REFUND) -> RefundResult:
    return wechat_pay.refund(merchant, NUMBER, number, fee, total, "医生停诊，退号", SITE)
