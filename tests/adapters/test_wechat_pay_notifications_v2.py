"""Notifications of WeChat Pay v2, which are XML signed with the API key."""

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


def parse(merchant: Merchant, body: bytes) -> Notification:
    return wechat_pay.parse_notification(merchant, {}, body, clock.now())


def get_rejection_status(merchant: Merchant, body: bytes) -> int:
    with pytest.raises(InvalidNotificationError) as error:
        parse(merchant, body)
    return error.value.status


def build_notification(merchant: Merchant, signed_by: str = "", **fields: str) -> bytes:
    """Return a payment notification with these fields, signed with the merchant's key."""
    content = {
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
    sign = wechat_pay_protocol_v2.compute_signature(merchant.key, content, signed_by or merchant.sign_type)
    return wechat_pay_protocol_v2._to_xml({**content, "sign": sign})


def remove_field(body: bytes, name: str) -> bytes:
    """Return the body without a field."""
    before, _, rest = body.partition(f"<{name}>".encode())
    return before + rest.partition(f"</{name}>".encode())[2]


def get_field(body: bytes, name: str) -> str:
    return body.partition(f"<{name}><![CDATA[".encode())[2].partition(b"]]>")[0].decode()


def test_payment_notification_is_read(pay: WeChatPay, merchant: Merchant) -> None:
    order = pay.orders[OUT_TRADE_NO]
    paid_at = clock.SECOND * (order.paid_at // clock.SECOND)
    details = (merchant.mch_id, 1500, "CNY", "SUCCESS", paid_at, merchant.appid, build_order().open_id)
    assert parse(merchant, pay.build_payment_notification(OUT_TRADE_NO)[1]) == Notification(
        NotificationKind.PAYMENT, OUT_TRADE_NO, order.transaction_id, *details
    )


@pytest.mark.parametrize("state", ["SUCCESS", "ABNORMAL", "CLOSED"])
def test_refund_notification_is_read_as_unsigned(pay: WeChatPay, merchant: Merchant, state: str) -> None:
    request_refund(merchant, fee=500)
    order = pay.settle_refund(OUT_REFUND_NO, state)
    at = clock.SECOND * (order.settled_at // clock.SECOND) if state == "SUCCESS" else 0
    notification = parse(merchant, pay.build_refund_notification(OUT_REFUND_NO)[1])
    assert (notification.kind, notification.state, notification.fee, notification.occurred_at) == (
        NotificationKind.REFUND,
        state,
        500,
        at,
    )
    assert (notification.out_refund_no, notification.refund_id, notification.out_trade_no) == (
        OUT_REFUND_NO,
        order.refund_id,
        OUT_TRADE_NO,
    )
    assert (notification.mch_id, notification.appid, notification.is_signed) == (merchant.mch_id, merchant.appid, False)


def test_repeated_notification_is_read_again(pay: WeChatPay, merchant: Merchant) -> None:
    body = pay.build_payment_notification(OUT_TRADE_NO)[1]
    assert parse(merchant, body) == parse(merchant, body)


def test_failed_payment_is_reported_as_such(merchant: Merchant) -> None:
    assert parse(merchant, build_notification(merchant, result_code="FAIL")).state == "PAYERROR"
    assert get_rejection_status(merchant, build_notification(merchant, return_code="FAIL")) == 400


@pytest.mark.parametrize(
    "forge",
    [
        lambda body: remove_field(body, "sign"),
        lambda body: body.replace(get_field(body, "sign").encode(), b""),
        lambda body: body.replace(get_field(body, "sign").encode(), get_field(body, "sign").lower().encode()),
        lambda body: body.replace(get_field(body, "sign").encode(), get_field(body, "sign")[:-1].encode()),
        lambda body: body.replace(get_field(body, "sign").encode(), "签名".encode()),
        lambda body: body.replace(b"[1500]", b"[1501]"),
        lambda body: body.replace(b"[1500]", b"[1500 ]"),
        lambda body: body.replace(OUT_TRADE_NO.encode(), b"Appo20260105000002"),
        lambda body: body.replace(b"</xml>", b"<attach>x</attach></xml>"),
        lambda body: remove_field(body, "openid"),
    ],
)
def test_altered_notification_is_rejected(pay: WeChatPay, merchant: Merchant, forge: Forgery) -> None:
    body = pay.build_payment_notification(OUT_TRADE_NO)[1]
    assert forge(body) != body
    assert get_rejection_status(merchant, forge(body)) == 401


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
def test_xml_that_is_not_flat_is_rejected(pay: WeChatPay, merchant: Merchant, forge: Forgery) -> None:
    body = pay.build_payment_notification(OUT_TRADE_NO)[1]
    assert get_rejection_status(merchant, forge(body)) == 400


def test_comments_and_whitespace_are_ignored(pay: WeChatPay, merchant: Merchant) -> None:
    body = pay.build_payment_notification(OUT_TRADE_NO)[1].replace(b"<total_fee>", b"\n  <!-- in fen -->\n<total_fee>")
    assert parse(merchant, b'<?xml version="1.0" encoding="GBK"?>\n' + body).fee == 1500


def test_sign_type_of_the_merchant_counts(merchant: Merchant) -> None:
    other = {"MD5": "HMAC-SHA256", "HMAC-SHA256": "MD5"}[merchant.sign_type]
    assert get_rejection_status(merchant, build_notification(merchant, sign_type=other)) == 401
    assert get_rejection_status(merchant, build_notification(merchant, other, sign_type=other)) == 401
    assert get_rejection_status(merchant, build_notification(merchant, other)) == 401
    assert parse(merchant, build_notification(merchant)).fee == 1500


def test_value_with_ampersand_is_rejected(merchant: Merchant) -> None:
    """Its signature is also that of two fields, and the other way round."""
    two_fields, one_field = (
        build_notification(merchant, attach="a", bank_type="b"),
        build_notification(merchant, attach="a&bank_type=b"),
    )
    assert get_field(two_fields, "sign") == get_field(one_field, "sign")
    assert parse(merchant, two_fields).fee == 1500
    assert get_rejection_status(merchant, one_field) == 401


def test_signature_of_another_key_is_rejected(pay: WeChatPay, merchant: Merchant) -> None:
    body = pay.build_payment_notification(OUT_TRADE_NO)[1]
    assert get_rejection_status(replace(merchant, key="0" * 32), body) == 401
    request_refund(merchant)
    assert get_rejection_status(replace(merchant, key="0" * 32), pay.build_refund_notification(OUT_REFUND_NO)[1]) == 401


@pytest.mark.parametrize("req_info", ["", "bm8=", "no base64", "签名", "A" * 64])
def test_refund_encrypted_with_another_key_is_rejected(merchant: Merchant, req_info: str) -> None:
    assert get_rejection_status(merchant, build_notification(merchant, req_info=req_info)) == 401


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
def test_signed_notification_with_invalid_fields_is_rejected(merchant: Merchant, fields: dict[str, str]) -> None:
    assert get_rejection_status(merchant, build_notification(merchant, **fields)) == 400


def test_acknowledgement_is_xml(merchant: Merchant) -> None:
    content_type, body = wechat_pay.build_acknowledgement(merchant)
    assert (content_type, body.count(b"SUCCESS")) == ("text/xml", 1)
