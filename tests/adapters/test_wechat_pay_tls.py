"""v2 gives money back to whom TLS proves to be the merchant, and to nobody else."""

import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.adapters import https
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.client import WechatPayUnavailableError
from devstack import wechat_pay as fake
from devstack import wechat_pay_keys
from devstack.wechat_pay import WeChatPay
from tests.adapters.paying import NUMBER, REFUND, Kind, back, each_kind, paid

V2: Kind = ("v2", "HMAC-SHA256")


@pytest.fixture
def pay(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeChatPay]:
    """One that speaks TLS, as the real one; what this process trusts is forgotten afterwards."""
    trusting, tls = ssl.create_default_context, wechat_pay_keys.tls()
    authority = wechat_pay_keys.certificate_pem("server")
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting(cadata=authority))
    for one in (https._get_default_context, https._build_client_context):
        one.cache_clear()
    with fake.standing_in(tls) as running:
        yield running
    for one in (https._get_default_context, https._build_client_context):
        one.cache_clear()


@each_kind
def test_money_goes_back_and_is_asked_for_over_tls(pay: WeChatPay, kind: Kind) -> None:
    merchant = paid(pay, kind)
    assert wechat_pay.query_order(merchant, NUMBER).state == "SUCCESS"
    assert back(merchant).state == "PROCESSING"
    pay.settle(REFUND)
    assert wechat_pay.query_refund(merchant, REFUND).state == "SUCCESS"


def test_who_shows_no_certificate_gets_nothing(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant, call = paid(pay, V2), https.send_request

    def bare(*asked: Any, **rest: Any) -> Any:
        return call(*asked, timeout=rest["timeout"])

    monkeypatch.setattr(https, "send_request", bare)
    refused = back(merchant)
    assert (refused.state, refused.error_code, refused.error_msg) == ("", "FAIL", "证书验证失败")
    assert pay.refunds == {}


def test_a_server_that_nobody_vouches_for_is_told_nothing(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant = paid(pay, V2)
    calls = dict(pay.calls)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    https._build_client_context.cache_clear()
    with pytest.raises(WechatPayUnavailableError):
        back(merchant)
    assert (dict(pay.calls), pay.refunds) == (calls, {})
