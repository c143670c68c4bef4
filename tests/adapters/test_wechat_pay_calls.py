"""Calls of WeChat Pay in both versions, from the order to its refund, and invalid responses."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.wechat_pay import api_v2, api_v3
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.client import OrderResult, RefundResult, Trade, WechatPayUnavailableError
from devstack.fakes import wechat_pay_keys
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.wechat_pay_orders import (
    CALLS,
    OUT_REFUND_NO,
    OUT_TRADE_NO,
    MerchantKind,
    build_order,
    create_merchant,
    create_paid_order,
    parametrize_calls,
    parametrize_kinds,
    request_refund,
)


@parametrize_kinds
def test_order_is_created_and_paid(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_merchant(pay, kind)
    result = wechat_pay.prepay(merchant, build_order())
    assert result == OrderResult(prepay_id=pay.orders[OUT_TRADE_NO].prepay_id)
    assert pay.orders[OUT_TRADE_NO].description == build_order().description
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO).state == "NOTPAY"
    paid_order = pay.pay(OUT_TRADE_NO)
    paid_at = clock.SECOND * (paid_order.paid_at // clock.SECOND)
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO) == Trade(
        "SUCCESS", paid_order.transaction_id, 1500, "CNY", paid_at, build_order().open_id
    )


@parametrize_kinds
def test_repeated_order_returns_the_same_prepay_id(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_merchant(pay, kind)
    assert wechat_pay.prepay(merchant, build_order()) == wechat_pay.prepay(merchant, build_order())
    assert wechat_pay.prepay(merchant, build_order(fee=1600)).error_code == "OUT_TRADE_NO_USED"


@parametrize_kinds
def test_order_expires_at_the_given_time_in_shanghai(pay: WeChatPay, kind: MerchantKind) -> None:
    expires_at = 1_767_577_500 * clock.SECOND
    wechat_pay.prepay(create_merchant(pay, kind), replace(build_order(), expires_at=expires_at))
    assert pay.orders[OUT_TRADE_NO].expires_at == ("2026-01-05T09:45:00+08:00" if kind[0] == "v3" else "20260105094500")


@parametrize_kinds
def test_long_description_is_truncated_between_characters(pay: WeChatPay, kind: MerchantKind) -> None:
    assert wechat_pay.prepay(create_merchant(pay, kind), build_order(description="a" + "诊" * 60)).error_code == ""
    assert pay.orders[OUT_TRADE_NO].description == "a" + "诊" * 42


@parametrize_kinds
def test_closed_order_cannot_be_paid_nor_paid_order_closed(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_merchant(pay, kind)
    wechat_pay.prepay(merchant, build_order())
    assert wechat_pay.close_order(merchant, OUT_TRADE_NO) == OrderResult()
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO).state == "CLOSED"
    assert "CLOSED" in wechat_pay.prepay(merchant, build_order()).error_code
    other = "Appo20260105000002"
    wechat_pay.prepay(merchant, build_order(other))
    pay.pay(other)
    assert wechat_pay.close_order(merchant, other).error_code == "ORDERPAID"


@parametrize_kinds
def test_repeated_refund_request_is_one_refund(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_paid_order(pay, kind)
    first = request_refund(merchant)
    assert first == request_refund(merchant)
    created_at = pay.refunds[OUT_REFUND_NO].created_at
    accepted_at = created_at - created_at % clock.SECOND if kind[0] == "v3" else 0
    assert first == RefundResult("PROCESSING", pay.refunds[OUT_REFUND_NO].refund_id, 1500, accepted_at=accepted_at)
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO).state == "REFUND"
    assert request_refund(merchant, fee=1, number="Back20260105000002").error_code == "INVALID_REQUEST"
    assert request_refund(merchant, total=1600, number="Back20260105000002").state == ""
    for state in ("SUCCESS", "CLOSED", "ABNORMAL"):
        pay.settle_refund(OUT_REFUND_NO, state)
        expected = RefundResult(state, first.refund_id, 1500, accepted_at=accepted_at)
        assert wechat_pay.query_refund(merchant, OUT_REFUND_NO) == expected


@parametrize_kinds
def test_parts_of_an_order_are_refunded_a_minute_apart(
    pay: WeChatPay, kind: MerchantKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant, second = create_paid_order(pay, kind), "Back20260105000002"
    first = request_refund(merchant, fee=500)
    too_soon = request_refund(merchant, fee=1000, number=second)
    assert (too_soon.state, too_soon.error_code, too_soon.is_already_refunded) == ("", "FREQUENCY_LIMITED", False)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + 61 * clock.SECOND)
    assert request_refund(merchant, fee=1001, number=second).error_code == "INVALID_REQUEST", "more than is left"
    assert request_refund(merchant, fee=1000, number=second).fee == 1000
    pay.settle_refund(second)
    found = [wechat_pay.query_refund(merchant, number) for number in (OUT_REFUND_NO, second)]
    assert [(one.state, one.fee) for one in found] == [("PROCESSING", 500), ("SUCCESS", 1000)]
    assert found[0].refund_id == first.refund_id != found[1].refund_id


@parametrize_kinds
def test_refunds_of_an_order_are_at_most_fifty_within_a_year(
    pay: WeChatPay, kind: MerchantKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant, paid_at = create_paid_order(pay, kind), clock.now()
    for number in range(51):
        monkeypatch.setattr(clock, "now", lambda number=number: paid_at + (number + 1) * 61 * clock.SECOND)
        result = request_refund(merchant, fee=1, number=f"Back{number:014d}")
        assert result.error_code == ("INVALID_REQUEST" if number == 50 else "")
    assert len(pay.refunds) == 50
    pay.refunds.clear()
    monkeypatch.setattr(clock, "now", lambda: paid_at + 366 * clock.DAY)
    assert request_refund(merchant).error_code == "TRADE_OVERDUE"


@parametrize_kinds
@pytest.mark.parametrize("notify_url", ["https://api.renhe.example/refunds/1", ""])
def test_refund_has_the_given_notify_url(pay: WeChatPay, kind: MerchantKind, notify_url: str) -> None:
    merchant = create_paid_order(pay, kind)
    wechat_pay.refund(merchant, OUT_TRADE_NO, OUT_REFUND_NO, 1500, 1500, "医生停诊，退号", notify_url)
    assert pay.refunds[OUT_REFUND_NO].notify_url == notify_url


@parametrize_kinds
def test_unknown_order_or_refund_is_reported(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_merchant(pay, kind)
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO) == Trade("")
    assert wechat_pay.query_refund(merchant, OUT_REFUND_NO) == RefundResult("")
    assert "EXIST" in wechat_pay.close_order(merchant, OUT_TRADE_NO).error_code


@parametrize_kinds
def test_rejected_call_returns_its_code_and_rejected_query_raises(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_paid_order(pay, kind)
    pay.failures = dict.fromkeys(CALLS, "NOAUTH")
    assert wechat_pay.prepay(merchant, build_order()).error_code == "NOAUTH"
    assert wechat_pay.close_order(merchant, OUT_TRADE_NO).error_code == "NOAUTH"
    assert (request_refund(merchant).state, request_refund(merchant).error_code) == ("", "NOAUTH")
    assert "不行" in request_refund(merchant).error_msg
    for query in ("query", "query_refund"):
        with pytest.raises(WechatPayUnavailableError):
            CALLS[query](merchant)


@parametrize_kinds
@parametrize_calls
def test_response_with_another_signature_is_rejected(pay: WeChatPay, kind: MerchantKind, call: str) -> None:
    merchant = create_paid_order(pay, kind)
    request_refund(merchant)
    pay.signs_with_wrong_key = True
    with pytest.raises(WechatPayUnavailableError):
        CALLS[call](merchant)


@parametrize_kinds
@parametrize_calls
@pytest.mark.parametrize("failure", ["", 500, 502, 200, 301])
def test_malformed_response_is_rejected(pay: WeChatPay, kind: MerchantKind, call: str, failure: str | int) -> None:
    merchant = create_paid_order(pay, kind)
    pay.failures[call] = failure
    with pytest.raises(WechatPayUnavailableError):
        CALLS[call](merchant)


@parametrize_kinds
@parametrize_calls
def test_timeout_raises_unavailable(
    pay: WeChatPay, kind: MerchantKind, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant = create_paid_order(pay, kind)
    for version in (api_v2, api_v3):
        monkeypatch.setattr(version, "TIMEOUT_SECONDS", 0.05)
    pay.accepting.clear()
    with pytest.raises(WechatPayUnavailableError):
        CALLS[call](merchant)


@parametrize_kinds
def test_closed_port_raises_unavailable(pay: WeChatPay, kind: MerchantKind, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant = create_merchant(pay, kind)
    for version in (api_v2, api_v3):
        monkeypatch.setattr(version, "settings", replace(version.settings, wechat_pay_url="http://127.0.0.1:9"))
    with pytest.raises(WechatPayUnavailableError):
        wechat_pay.prepay(merchant, build_order())


@pytest.mark.parametrize("code", ["SYSTEMERROR", "BIZERR_NEED_RETRY"])
@parametrize_calls
def test_indeterminate_error_of_v2_raises_unavailable(pay: WeChatPay, call: str, code: str) -> None:
    merchant = create_paid_order(pay, ("v2", "MD5"))
    pay.failures[call] = code
    with pytest.raises(WechatPayUnavailableError):
        CALLS[call](merchant)


@pytest.mark.parametrize("kind", [("v2", "MD5"), ("v3", "RSA")])
def test_response_about_another_order_is_rejected(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_paid_order(pay, kind)
    request_refund(merchant)
    pay.orders["Appo20260105000002"] = pay.orders[OUT_TRADE_NO]
    pay.refunds["Back20260105000002"] = pay.refunds[OUT_REFUND_NO]
    with pytest.raises(WechatPayUnavailableError):
        wechat_pay.query_order(merchant, "Appo20260105000002")
    with pytest.raises(WechatPayUnavailableError):
        wechat_pay.query_refund(merchant, "Back20260105000002")
    with pytest.raises(WechatPayUnavailableError):
        request_refund(merchant, number="Back20260105000002")


def test_response_about_another_merchants_order_is_rejected(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant = create_merchant(pay, ("v3", "RSA"))
    response = {"mchid": "1900009999", "out_trade_no": OUT_TRADE_NO, "trade_state": "SUCCESS"}
    monkeypatch.setattr(api_v3, "_call", lambda *_: (200, response))
    with pytest.raises(WechatPayUnavailableError):
        wechat_pay.query_order(merchant, OUT_TRADE_NO)


@parametrize_kinds
def test_wrong_merchant_key_is_reported(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_merchant(pay, kind)
    wrong_merchant = replace(merchant, key="f" * 32, private_key=wechat_pay_keys.get_private_pem("another"))
    result = wechat_pay.prepay(wrong_merchant, build_order())
    assert result.error_code == ("SIGN_ERROR" if kind[0] == "v3" else "FAIL")
    assert pay.orders == {}
    with pytest.raises(WechatPayUnavailableError):
        wechat_pay.query_order(wrong_merchant, OUT_TRADE_NO)


def test_responses_are_verified_with_the_configured_keys(pay: WeChatPay) -> None:
    merchant = create_merchant(pay, ("v3", "RSA"))
    for serial in pay.signers:
        pay.signing_serial = serial
        assert wechat_pay.prepay(merchant, build_order()).error_code == ""
        without_key = replace(
            merchant, public_keys={other: pem for other, pem in merchant.public_keys.items() if other != serial}
        )
        with pytest.raises(WechatPayUnavailableError):
            wechat_pay.prepay(without_key, build_order())


def test_v3_request_headers(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    call = https.send_request

    def record(*arguments: Any, **named: Any) -> Any:
        sent.append({**arguments[2], "body": arguments[3]})
        return call(*arguments, **named)

    monkeypatch.setattr(https, "send_request", record)
    merchant = create_merchant(pay, ("v3", "RSA"))
    wechat_pay.prepay(merchant, build_order())
    assert sent[0]["Wechatpay-Serial"] == wechat_pay_keys.PUBLIC_KEY_ID
    assert sent[0]["User-Agent"] == "zhenxun"
    assert "内科".encode() in sent[0]["body"]
    certificate = {
        wechat_pay_keys.PLATFORM_CERTIFICATE_SERIAL: merchant.public_keys[wechat_pay_keys.PLATFORM_CERTIFICATE_SERIAL]
    }
    pay.signing_serial = wechat_pay_keys.PLATFORM_CERTIFICATE_SERIAL
    wechat_pay.prepay(replace(merchant, public_keys=certificate), build_order())
    assert "Wechatpay-Serial" not in sent[1]


def test_v3_order_being_paid_is_not_closed(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant = create_merchant(pay, ("v3", "RSA"))
    monkeypatch.setattr(api_v3, "_call", lambda *_: (202, {"code": "USERPAYING", "message": "支付中"}))
    assert wechat_pay.close_order(merchant, OUT_TRADE_NO) == OrderResult("USERPAYING", "支付中")


def test_v2_refund_requires_the_merchant_certificate(pay: WeChatPay) -> None:
    merchant = create_paid_order(pay, ("v2", "MD5"))
    assert request_refund(replace(merchant, certificate="")).error_code == "CERT_MISSING"
    assert pay.refunds == {}


def test_full_refund_is_recognised_only_in_signed_responses(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "订单已全额退款"
    v2, v3 = create_merchant(pay, ("v2", "MD5")), create_merchant(pay, ("v3", "RSA"))
    signed = {"return_code": "SUCCESS", "result_code": "FAIL", "err_code": "ERROR", "err_code_des": text}
    for fields, expected in ((signed, True), ({"return_code": "FAIL", "return_msg": text}, False)):
        monkeypatch.setattr(api_v2, "_call", lambda *_, fields=fields, **__: fields)
        assert request_refund(v2).is_already_refunded is expected
    for status, expected in ((400, True), (403, True), (401, False), (429, False)):
        response = (status, {"code": "INVALID_REQUEST", "message": text})
        monkeypatch.setattr(api_v3, "_call", lambda *_, response=response: response)
        assert request_refund(v3).is_already_refunded is expected
