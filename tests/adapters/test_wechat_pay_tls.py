"""v2 gives money back to whom TLS proves to be the merchant, and to nobody else."""

import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.adapters import https
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.client import WechatPayUnavailableError
from devstack.fakes import wechat_pay as fake
from devstack.fakes import wechat_pay_keys
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.wechat_pay_orders import (
    OUT_REFUND_NO,
    OUT_TRADE_NO,
    MerchantKind,
    create_paid_order,
    parametrize_kinds,
    request_refund,
)

V2: MerchantKind = ("v2", "HMAC-SHA256")


@pytest.fixture
def pay(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeChatPay]:
    """One that speaks TLS, as the real one; what this process trusts is forgotten afterwards."""
    trusting, tls = ssl.create_default_context, wechat_pay_keys.create_tls_context()
    authority = wechat_pay_keys.get_certificate_pem("server")
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting(cadata=authority))
    for one in (https._get_default_context, https._build_client_context):
        one.cache_clear()
    with fake.replace_real_server(tls) as running:
        yield running
    for one in (https._get_default_context, https._build_client_context):
        one.cache_clear()


@parametrize_kinds
def test_money_goes_back_and_is_asked_for_over_tls(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_paid_order(pay, kind)
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO).state == "SUCCESS"
    assert request_refund(merchant).state == "PROCESSING"
    pay.settle_refund(OUT_REFUND_NO)
    assert wechat_pay.query_refund(merchant, OUT_REFUND_NO).state == "SUCCESS"


def test_who_shows_no_certificate_gets_nothing(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant, call = create_paid_order(pay, V2), https.send_request

    def bare(*asked: Any, **rest: Any) -> Any:
        return call(*asked, timeout=rest["timeout"])

    monkeypatch.setattr(https, "send_request", bare)
    refused = request_refund(merchant)
    assert (refused.state, refused.error_code, refused.error_msg) == ("", "FAIL", "证书验证失败")
    assert pay.refunds == {}


def test_a_server_that_nobody_vouches_for_is_told_nothing(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant = create_paid_order(pay, V2)
    calls = dict(pay.calls)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    https._build_client_context.cache_clear()
    with pytest.raises(WechatPayUnavailableError):
        request_refund(merchant)
    assert (dict(pay.calls), pay.refunds) == (calls, {})
