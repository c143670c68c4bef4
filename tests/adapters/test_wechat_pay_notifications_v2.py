"""The same of WeChat Pay v2, whose notices are XML under one secret."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.client import InvalidNotificationError, Merchant, Notification
from chalicelib.adapters.wechat_pay.types import NotificationKind
from devstack.fakes import wechat_pay_protocol_v2
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.wechat_pay_orders import OUT_REFUND_NO, OUT_TRADE_NO, build_order, create_paid_order, request_refund

Forgery = Callable[[bytes], bytes]


@pytest.fixture(params=["MD5", "HMAC-SHA256"])
def merchant(pay: WeChatPay, request: pytest.FixtureRequest) -> Merchant:
    return create_paid_order(pay, ("v2", request.param))


def read(merchant: Merchant, body: bytes) -> Notification:
    return wechat_pay.parse_notification(merchant, {}, body, clock.now())


def refused(merchant: Merchant, body: bytes) -> int:
    with pytest.raises(InvalidNotificationError) as error:
        read(merchant, body)
    return error.value.status


def said(merchant: Merchant, signed_by: str = "", **fields: str) -> bytes:
    """A notice of these fields, signed with the merchant's key."""
    told = {
        "return_code": "SUCCESS",
        "result_code": "SUCCESS",
        "appid": merchant.appid,
        "mch_id": merchant.mch_id,
        "out_trade_no": OUT_TRADE_NO,
        "transaction_id": "42",
        "total_fee": "1500",
        "openid": "o",
        "time_end": "20260105093000",
        **fields,
    }
    sign = wechat_pay_protocol_v2.compute_signature(merchant.key, told, signed_by or merchant.sign_type)
    return wechat_pay_protocol_v2._to_xml({**told, "sign": sign})


def bare(body: bytes, name: str) -> bytes:
    """Without that field."""
    before, _, rest = body.partition(f"<{name}>".encode())
    return before + rest.partition(f"</{name}>".encode())[2]


def field(body: bytes, name: str) -> str:
    return body.partition(f"<{name}><![CDATA[".encode())[2].partition(b"]]>")[0].decode()


def test_lins_payment_is_read(pay: WeChatPay, merchant: Merchant) -> None:
    made = pay.orders[OUT_TRADE_NO]
    whole = clock.SECOND * (made.paid_at // clock.SECOND)
    told = (merchant.mch_id, 1500, "CNY", "SUCCESS", whole, merchant.appid, build_order().open_id)
    assert read(merchant, pay.build_payment_notification(OUT_TRADE_NO)[1]) == Notification(
        NotificationKind.PAYMENT, OUT_TRADE_NO, made.transaction_id, *told
    )


@pytest.mark.parametrize("state", ["SUCCESS", "ABNORMAL", "CLOSED"])
def test_her_refund_is_read_and_known_not_to_be_signed(pay: WeChatPay, merchant: Merchant, state: str) -> None:
    request_refund(merchant, fee=500)
    made = pay.settle_refund(OUT_REFUND_NO, state)
    at = clock.SECOND * (made.settled_at // clock.SECOND) if state == "SUCCESS" else 0
    told = read(merchant, pay.build_refund_notification(OUT_REFUND_NO)[1])
    assert (told.kind, told.state, told.fee, told.occurred_at) == (NotificationKind.REFUND, state, 500, at)
    assert (told.out_refund_no, told.refund_id, told.out_trade_no) == (OUT_REFUND_NO, made.refund_id, OUT_TRADE_NO)
    assert (told.mch_id, told.appid, told.is_signed) == (merchant.mch_id, merchant.appid, False)


def test_the_same_notice_again_is_read_again(pay: WeChatPay, merchant: Merchant) -> None:
    body = pay.build_payment_notification(OUT_TRADE_NO)[1]
    assert read(merchant, body) == read(merchant, body)


def test_a_payment_that_failed_is_no_payment(merchant: Merchant) -> None:
    assert read(merchant, said(merchant, result_code="FAIL")).state == "PAYERROR"
    assert refused(merchant, said(merchant, return_code="FAIL")) == 400


@pytest.mark.parametrize(
    "forge",
    [
        lambda body: bare(body, "sign"),
        lambda body: body.replace(field(body, "sign").encode(), b""),
        lambda body: body.replace(field(body, "sign").encode(), field(body, "sign").lower().encode()),
        lambda body: body.replace(field(body, "sign").encode(), field(body, "sign")[:-1].encode()),
        lambda body: body.replace(field(body, "sign").encode(), "签名".encode()),
        lambda body: body.replace(b"[1500]", b"[1501]"),
        lambda body: body.replace(b"[1500]", b"[1500 ]"),
        lambda body: body.replace(OUT_TRADE_NO.encode(), b"Appo20260105000002"),
        lambda body: body.replace(b"</xml>", b"<attach>x</attach></xml>"),
        lambda body: bare(body, "openid"),
    ],
)
def test_what_somebody_has_changed_proves_nothing(pay: WeChatPay, merchant: Merchant, forge: Forgery) -> None:
    body = pay.build_payment_notification(OUT_TRADE_NO)[1]
    assert forge(body) != body
    assert refused(merchant, forge(body)) == 401


@pytest.mark.parametrize(
    "forge",
    [
        lambda body: b"<!DOCTYPE xml>" + body,
        lambda body: b'<!DOCTYPE xml [<!ENTITY a "1500">]>' + body.replace(b"<![CDATA[1500]]>", b"&a;"),
        lambda body: b'<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + body,
        lambda body: body.replace(b"</xml>", b"<total_fee>1500</total_fee></xml>"),
        lambda body: body.replace(b"<xml>", b"<xml><sign>x</sign>"),
        lambda body: body.replace(b"<![CDATA[1500]]>", b"<fen>1500</fen>"),
        lambda body: body.replace(b"</xml>", b"<a><b/></a></xml>"),
        lambda body: body.replace(b"<total_fee>", b'<total_fee unit="yuan">'),
        lambda body: body.replace(b"<xml>", b'<xml xmlns="urn:x">'),
        lambda body: body.replace(b"<xml>", b"<xml>1500"),
        lambda body: body.replace(b"xml>", b"root>"),
        lambda body: b"<a>" + body + b"</a>",
        lambda body: body[:-1],
        lambda body: body + body,
        lambda body: body + b"x",
        lambda body: body.replace(b"<![CDATA[1500]]>", b"&a;"),
        lambda body: body.replace(b"<![CDATA[1500]]>", b"15\xff"),
        lambda body: body.decode().encode("utf-16"),
        lambda body: body.replace(b"</xml>", b"".join(b"<a%d/>" % one for one in range(400)) + b"</xml>"),
        lambda body: body.replace(b"</xml>", b"<a>" * 5000 + b"</a>" * 5000 + b"</xml>"),
        lambda body: body.replace(b"</xml>", b" " * wechat_pay.MAX_NOTIFICATION_BYTES + b"</xml>"),
        lambda _: b"",
        lambda _: b"<xml/>",
        lambda _: b"<xml>hello</xml>",
        lambda _: b"{}",
    ],
)
def test_xml_that_is_not_flat_and_plain_is_refused(pay: WeChatPay, merchant: Merchant, forge: Forgery) -> None:
    body = pay.build_payment_notification(OUT_TRADE_NO)[1]
    assert refused(merchant, forge(body)) == 400


def test_a_comment_or_space_in_it_changes_nothing(pay: WeChatPay, merchant: Merchant) -> None:
    body = pay.build_payment_notification(OUT_TRADE_NO)[1].replace(b"<total_fee>", b"\n  <!-- in fen -->\n<total_fee>")
    assert read(merchant, b'<?xml version="1.0" encoding="GBK"?>\n' + body).fee == 1500


def test_the_merchant_says_how_it_is_signed_and_never_the_notice(merchant: Merchant) -> None:
    other = {"MD5": "HMAC-SHA256", "HMAC-SHA256": "MD5"}[merchant.sign_type]
    assert refused(merchant, said(merchant, sign_type=other)) == 401
    assert refused(merchant, said(merchant, other, sign_type=other)) == 401
    assert refused(merchant, said(merchant, other)) == 401
    assert read(merchant, said(merchant)).fee == 1500


def test_fields_cannot_be_parted_anew(merchant: Merchant) -> None:
    """What was signed as a text with & in it could be told as two fields, and the other way."""
    two, one = said(merchant, attach="a", bank_type="b"), said(merchant, attach="a&bank_type=b")
    assert field(two, "sign") == field(one, "sign")
    assert read(merchant, two).fee == 1500
    assert refused(merchant, one) == 401


def test_somebody_elses_key_proves_nothing(pay: WeChatPay, merchant: Merchant) -> None:
    body = pay.build_payment_notification(OUT_TRADE_NO)[1]
    assert refused(replace(merchant, key="0" * 32), body) == 401
    request_refund(merchant)
    assert refused(replace(merchant, key="0" * 32), pay.build_refund_notification(OUT_REFUND_NO)[1]) == 401


@pytest.mark.parametrize("sealed", ["", "bm8=", "no base64", "签名", "A" * 64])
def test_a_refund_that_is_not_sealed_with_our_key_is_none(merchant: Merchant, sealed: str) -> None:
    assert refused(merchant, said(merchant, req_info=sealed)) == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"total_fee": "-1"},
        {"total_fee": "15.00"},
        {"total_fee": "１５００"},
        {"total_fee": ""},
        {"total_fee": "9" * 13},
        {"time_end": "yesterday"},
        {"time_end": "20261305093000"},
    ],
)
def test_a_signed_word_that_makes_no_sense_is_refused(merchant: Merchant, fields: dict[str, str]) -> None:
    assert refused(merchant, said(merchant, **fields)) == 400


def test_it_is_acknowledged_in_xml(merchant: Merchant) -> None:
    content_type, body = wechat_pay.build_acknowledgement(merchant)
    assert (content_type, body.count(b"SUCCESS")) == ("text/xml", 1)
