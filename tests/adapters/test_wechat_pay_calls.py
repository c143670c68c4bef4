"""Lin's order from the first call to its refund, in either version; and what is no answer."""

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
def test_lin_orders_and_pays(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_merchant(pay, kind)
    answer = wechat_pay.prepay(merchant, build_order())
    assert answer == OrderResult(prepay_id=pay.orders[OUT_TRADE_NO].prepay_id)
    assert pay.orders[OUT_TRADE_NO].description == build_order().description
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO).state == "NOTPAY"
    done = pay.pay(OUT_TRADE_NO)
    whole = clock.SECOND * (done.paid_at // clock.SECOND)
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO) == Trade(
        "SUCCESS", done.transaction_id, 1500, "CNY", whole, build_order().open_id
    )


@parametrize_kinds
def test_the_same_order_again_is_the_same_one(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_merchant(pay, kind)
    assert wechat_pay.prepay(merchant, build_order()) == wechat_pay.prepay(merchant, build_order())
    assert wechat_pay.prepay(merchant, build_order(fee=1600)).error_code == "OUT_TRADE_NO_USED"


@parametrize_kinds
def test_the_order_ends_when_it_is_said_to_in_shanghais_time(pay: WeChatPay, kind: MerchantKind) -> None:
    ends = 1_767_577_500 * clock.SECOND
    wechat_pay.prepay(create_merchant(pay, kind), replace(build_order(), expires_at=ends))
    assert pay.orders[OUT_TRADE_NO].expires_at == ("2026-01-05T09:45:00+08:00" if kind[0] == "v3" else "20260105094500")


@parametrize_kinds
def test_a_long_description_is_cut_and_not_within_a_letter(pay: WeChatPay, kind: MerchantKind) -> None:
    assert wechat_pay.prepay(create_merchant(pay, kind), build_order(description="a" + "诊" * 60)).error_code == ""
    assert pay.orders[OUT_TRADE_NO].description == "a" + "诊" * 42


@parametrize_kinds
def test_a_closed_order_cannot_be_paid_and_a_paid_one_not_closed(pay: WeChatPay, kind: MerchantKind) -> None:
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
def test_money_goes_back_once_however_often_it_is_asked(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_paid_order(pay, kind)
    first = request_refund(merchant)
    assert first == request_refund(merchant) == RefundResult("PROCESSING", pay.refunds[OUT_REFUND_NO].refund_id, 1500)
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO).state == "REFUND"
    assert request_refund(merchant, fee=1, number="Back20260105000002").error_code == "INVALID_REQUEST"
    assert request_refund(merchant, total=1600, number="Back20260105000002").state == ""
    for state in ("SUCCESS", "CLOSED", "ABNORMAL"):
        pay.settle_refund(OUT_REFUND_NO, state)
        assert wechat_pay.query_refund(merchant, OUT_REFUND_NO) == RefundResult(state, first.refund_id, 1500)


@parametrize_kinds
def test_what_wechat_does_not_know_is_told_apart(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_merchant(pay, kind)
    assert wechat_pay.query_order(merchant, OUT_TRADE_NO) == Trade("")
    assert wechat_pay.query_refund(merchant, OUT_REFUND_NO) == RefundResult("")
    assert "EXIST" in wechat_pay.close_order(merchant, OUT_TRADE_NO).error_code


@parametrize_kinds
def test_a_refusal_is_told_and_who_only_asks_has_no_answer(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_paid_order(pay, kind)
    pay.failures = dict.fromkeys(CALLS, "NOAUTH")
    assert wechat_pay.prepay(merchant, build_order()).error_code == "NOAUTH"
    assert wechat_pay.close_order(merchant, OUT_TRADE_NO).error_code == "NOAUTH"
    assert (request_refund(merchant).state, request_refund(merchant).error_code) == ("", "NOAUTH")
    assert "不行" in request_refund(merchant).error_msg
    for ask in ("query", "query_refund"):
        with pytest.raises(WechatPayUnavailableError):
            CALLS[ask](merchant)


@parametrize_kinds
@parametrize_calls
def test_an_answer_that_somebody_else_has_signed_is_none(pay: WeChatPay, kind: MerchantKind, call: str) -> None:
    merchant = create_paid_order(pay, kind)
    request_refund(merchant)
    pay.signs_with_wrong_key = True
    with pytest.raises(WechatPayUnavailableError):
        CALLS[call](merchant)


@parametrize_kinds
@parametrize_calls
@pytest.mark.parametrize("failing", ["", 500, 502, 200, 301])
def test_nonsense_is_no_answer(pay: WeChatPay, kind: MerchantKind, call: str, failing: str | int) -> None:
    merchant = create_paid_order(pay, kind)
    pay.failures[call] = failing
    with pytest.raises(WechatPayUnavailableError):
        CALLS[call](merchant)


@parametrize_kinds
@parametrize_calls
def test_no_answer_in_time_is_none(
    pay: WeChatPay, kind: MerchantKind, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant = create_paid_order(pay, kind)
    for version in (api_v2, api_v3):
        monkeypatch.setattr(version, "TIMEOUT_SECONDS", 0.05)
    pay.accepting.clear()
    with pytest.raises(WechatPayUnavailableError):
        CALLS[call](merchant)


@parametrize_kinds
def test_nobody_there_is_no_answer(pay: WeChatPay, kind: MerchantKind, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant = create_merchant(pay, kind)
    for version in (api_v2, api_v3):
        monkeypatch.setattr(version, "settings", replace(version.settings, wechat_pay_url="http://127.0.0.1:9"))
    with pytest.raises(WechatPayUnavailableError):
        wechat_pay.prepay(merchant, build_order())


@pytest.mark.parametrize("code", ["SYSTEMERROR", "BIZERR_NEED_RETRY"])
@parametrize_calls
def test_v2_may_not_know_itself(pay: WeChatPay, call: str, code: str) -> None:
    merchant = create_paid_order(pay, ("v2", "MD5"))
    pay.failures[call] = code
    with pytest.raises(WechatPayUnavailableError):
        CALLS[call](merchant)


@pytest.mark.parametrize("kind", [("v2", "MD5"), ("v3", "RSA")])
def test_an_answer_about_another_order_is_none(pay: WeChatPay, kind: MerchantKind) -> None:
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


def test_an_answer_about_another_merchants_order_is_none(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant = create_merchant(pay, ("v3", "RSA"))
    told = {"mchid": "1900009999", "out_trade_no": OUT_TRADE_NO, "trade_state": "SUCCESS"}
    monkeypatch.setattr(api_v3, "_call", lambda *_: (200, told))
    with pytest.raises(WechatPayUnavailableError):
        wechat_pay.query_order(merchant, OUT_TRADE_NO)


@parametrize_kinds
def test_a_merchant_with_a_wrong_key_learns_it(pay: WeChatPay, kind: MerchantKind) -> None:
    merchant = create_merchant(pay, kind)
    wrong = replace(merchant, key="f" * 32, private_key=wechat_pay_keys.get_private_pem("somebody"))
    answer = wechat_pay.prepay(wrong, build_order())
    assert answer.error_code == ("SIGN_ERROR" if kind[0] == "v3" else "FAIL")
    assert pay.orders == {}
    with pytest.raises(WechatPayUnavailableError):
        wechat_pay.query_order(wrong, OUT_TRADE_NO)


def test_answers_are_believed_by_key_and_by_certificate_of_those_that_are_set_up(pay: WeChatPay) -> None:
    merchant = create_merchant(pay, ("v3", "RSA"))
    for serial in pay.signers:
        pay.signing_serial = serial
        assert wechat_pay.prepay(merchant, build_order()).error_code == ""
        lacking = replace(
            merchant, public_keys={one: pem for one, pem in merchant.public_keys.items() if one != serial}
        )
        with pytest.raises(WechatPayUnavailableError):
            wechat_pay.prepay(lacking, build_order())


def test_v3_is_asked_to_answer_by_its_key_and_is_told_who_asks(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    call = https.send_request

    def heard(*asked: Any, **rest: Any) -> Any:
        sent.append({**asked[2], "body": asked[3]})
        return call(*asked, **rest)

    monkeypatch.setattr(https, "send_request", heard)
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


def test_v3_is_not_closed_where_the_patient_is_just_paying(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant = create_merchant(pay, ("v3", "RSA"))
    monkeypatch.setattr(api_v3, "_call", lambda *_: (202, {"code": "USERPAYING", "message": "支付中"}))
    assert wechat_pay.close_order(merchant, OUT_TRADE_NO) == OrderResult("USERPAYING", "支付中")


def test_v2_gives_no_money_back_without_the_merchants_certificate(pay: WeChatPay) -> None:
    merchant = create_paid_order(pay, ("v2", "MD5"))
    assert request_refund(replace(merchant, certificate="")).error_code == "CERT_MISSING"
    assert pay.refunds == {}


def test_that_all_went_back_is_believed_where_it_is_signed(pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "订单已全额退款"
    v2, v3 = create_merchant(pay, ("v2", "MD5")), create_merchant(pay, ("v3", "RSA"))
    signed = {"return_code": "SUCCESS", "result_code": "FAIL", "err_code": "ERROR", "err_code_des": text}
    for said, believed in ((signed, True), ({"return_code": "FAIL", "return_msg": text}, False)):
        monkeypatch.setattr(api_v2, "_call", lambda *_, said=said, **__: said)
        assert request_refund(v2).is_already_refunded is believed
    for status, believed in ((400, True), (403, True), (401, False), (429, False)):
        told = (status, {"code": "INVALID_REQUEST", "message": text})
        monkeypatch.setattr(api_v3, "_call", lambda *_, told=told: told)
        assert request_refund(v3).is_already_refunded is believed
