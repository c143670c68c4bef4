"""Refunds of v2 require TLS with the merchant certificate."""

import io
import ssl
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.client import WechatPayUnavailableError
from chalicelib.adapters.wechat_pay.types import BillDownload, BillKind, BillStatus
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
    """A fake with TLS whose certificate this process trusts until the end of the test."""
    create_context, tls = ssl.create_default_context, wechat_pay_keys.create_tls_context()
    authority = wechat_pay_keys.get_certificate_pem("server")
    monkeypatch.setattr(ssl, "create_default_context", lambda: create_context(cadata=authority))
    for cached_function in (https.get_default_context, https._build_client_context):
        cached_function.cache_clear()
    with fake.replace_real_server(tls) as running:
        yield running
    for cached_function in (https.get_default_context, https._build_client_context):
        cached_function.cache_clear()


@parametrize_kinds
def test_refund_is_requested_and_queried_over_tls(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_paid_order(pay, kind)
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO).state == "SUCCESS"
    assert request_refund(merchant).state == "PROCESSING"
    pay.settle_refund(OUT_REFUND_NO)
    assert wechat_pay.query_refund(merchant, OUT_REFUND_NO).state == "SUCCESS"


def test_refund_without_certificate_is_rejected(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant, call = create_paid_order(pay, V2), https.send_request

    def send_without_certificate(*arguments: Any, **named: Any) -> Any:
        return call(*arguments, timeout=named["timeout"])

    monkeypatch.setattr(https, "send_request", send_without_certificate)
    result = request_refund(merchant)
    assert (result.state, result.error_code, result.error_msg) == ("", "FAIL", "证书验证失败")
    assert pay.refunds == {}


def test_fund_flow_bill_of_v2_requires_the_certificate(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant, now = create_paid_order(pay, V2), clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + clock.DAY)
    yesterday = clock.today() - timedelta(1)
    assert wechat_pay.download_bill(merchant, BillKind.FUND, yesterday, io.BytesIO()).status == BillStatus.READY
    download = https.download

    def download_without_certificate(*arguments: Any, **named: Any) -> Any:
        return download(*arguments, **{**named, "certificate": ""})

    monkeypatch.setattr(https, "download", download_without_certificate)
    result = wechat_pay.download_bill(merchant, BillKind.FUND, yesterday, io.BytesIO())
    assert result == BillDownload(BillStatus.REJECTED, "证书验证失败")


def test_untrusted_server_receives_no_request(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant = create_paid_order(pay, V2)
    calls = dict(pay.calls)
    empty_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(ssl, "create_default_context", lambda: empty_context)
    https._build_client_context.cache_clear()
    with pytest.raises(WechatPayUnavailableError):
        request_refund(merchant)
    assert (dict(pay.calls), pay.refunds) == (calls, {})
