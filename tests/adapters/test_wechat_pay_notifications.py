"""Notifications of WeChat Pay v3 are read; forged and malformed ones are rejected."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay import rsa_crypto
from chalicelib.adapters.wechat_pay.client import InvalidNotificationError, Merchant, Notification
from chalicelib.adapters.wechat_pay.types import NotificationKind
from devstack.fakes import wechat_pay_keys, wechat_pay_protocol_v3
from devstack.fakes.wechat_pay import SignedMessage, WeChatPay
from tests.support.wechat_pay_orders import OUT_REFUND_NO, OUT_TRADE_NO, build_order, create_paid_order, request_refund

V3 = ("v3", "RSA")
MINUTES = 60 * clock.SECOND


@pytest.fixture
def merchant(pay: WeChatPay) -> Merchant:
    return create_paid_order(pay, V3)


@pytest.fixture
def notification(pay: WeChatPay, merchant: Merchant) -> SignedMessage:
    assert merchant.version == "v3"
    return pay.build_payment_notification(OUT_TRADE_NO)


def parse(merchant: Merchant, notification: SignedMessage, now: int = 0) -> Notification:
    return wechat_pay.parse_notification(merchant, *notification, now or clock.now())


def get_rejection_status(merchant: Merchant, notification: SignedMessage, now: int = 0) -> int:
    with pytest.raises(InvalidNotificationError) as error:
        parse(merchant, notification, now)
    return error.value.status


def replace_header(name: str, value: str) -> Callable[[SignedMessage], SignedMessage]:
    return lambda notification: ({**notification[0], f"Wechatpay-{name}": value}, notification[1])


def remove_header(name: str) -> Callable[[SignedMessage], SignedMessage]:
    return lambda notification: (
        {header: value for header, value in notification[0].items() if header != f"Wechatpay-{name}"},
        notification[1],
    )


def imitate_signature_test(notification: SignedMessage) -> SignedMessage:
    """Forge the signature like WeChat Pay's probes, which test whether signatures are verified."""
    signature = notification[0]["Wechatpay-Signature"]
    return {**notification[0], "Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + signature[19:]}, notification[1]


def reformat(notification: SignedMessage) -> SignedMessage:
    return notification[0], json.dumps(json.loads(notification[1]), ensure_ascii=False, indent=1).encode()


def build_body(notification: SignedMessage, **fields: Any) -> bytes:
    """Return the body with other fields in its resource."""
    content = json.loads(notification[1])
    return json.dumps({**content, "resource": {**content["resource"], **fields}}).encode()


def sign_again(pay: WeChatPay, notification: SignedMessage, **fields: Any) -> SignedMessage:
    body = build_body(notification, **fields)
    return wechat_pay_protocol_v3.build_signature_headers(pay, body, clock.now()), body


def build_notification(pay: WeChatPay, merchant: Merchant, **fields: Any) -> SignedMessage:
    """Return an authentic notification with other fields in its encrypted content."""
    content = {**wechat_pay_protocol_v3._build_transaction(pay.orders[OUT_TRADE_NO]), **fields}
    return wechat_pay_protocol_v3.build_notification(pay, merchant, "transaction", content, clock.now())


def test_payment_notification_is_read(pay: WeChatPay, merchant: Merchant, notification: SignedMessage) -> None:
    order = pay.orders[OUT_TRADE_NO]
    paid_at = clock.SECOND * (order.paid_at // clock.SECOND)
    details = (merchant.mch_id, 1500, "CNY", "SUCCESS", paid_at, merchant.appid, build_order().open_id)
    assert parse(merchant, notification) == Notification(
        NotificationKind.PAYMENT, OUT_TRADE_NO, order.transaction_id, *details
    )


@pytest.mark.parametrize("state", ["SUCCESS", "ABNORMAL", "CLOSED"])
def test_refund_notification_is_read(pay: WeChatPay, merchant: Merchant, state: str) -> None:
    request_refund(merchant, fee=500)
    order = pay.settle_refund(OUT_REFUND_NO, state)
    at = clock.SECOND * (order.settled_at // clock.SECOND) if state == "SUCCESS" else 0
    notification = parse(merchant, pay.build_refund_notification(OUT_REFUND_NO))
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
    assert (notification.mch_id, notification.is_signed) == (merchant.mch_id, True)


def test_repeated_notification_is_read_again(merchant: Merchant, notification: SignedMessage) -> None:
    assert parse(merchant, notification) == parse(merchant, notification)


def test_header_names_are_case_insensitive(merchant: Merchant, notification: SignedMessage) -> None:
    for case in (str.lower, str.upper):
        assert (
            parse(merchant, ({case(name): value for name, value in notification[0].items()}, notification[1])).fee
            == 1500
        )


def test_notification_may_be_signed_with_key_or_certificate(pay: WeChatPay, merchant: Merchant) -> None:
    for serial in list(pay.signers):
        pay.signing_serial = serial
        assert parse(merchant, pay.build_payment_notification(OUT_TRADE_NO)).fee == 1500


@pytest.mark.parametrize(
    "forge",
    [
        replace_header("Timestamp", "1767225600"),
        replace_header("Timestamp", ""),
        replace_header("Timestamp", "soon"),
        replace_header("Nonce", "another"),
        replace_header("Serial", "PUB_KEY_ID_0"),
        replace_header("Serial", ""),
        replace_header("Serial", wechat_pay_keys.PLATFORM_CERTIFICATE_SERIAL),
        replace_header("Signature", ""),
        replace_header("Signature", "bm8="),
        replace_header("Signature", "no base64"),
        replace_header("Signature", "签名"),
        *map(remove_header, ("Timestamp", "Nonce", "Serial", "Signature")),
        imitate_signature_test,
        lambda notification: replace_header(
            "Signature", "WECHATPAY/SIGNTEST/" + notification[0]["Wechatpay-Signature"]
        )(notification),
        reformat,
        lambda notification: (notification[0], notification[1] + b"\n"),
        lambda notification: (notification[0], notification[1].replace(b"TRANSACTION", b"TRANSACTIOM")),
        lambda notification: (
            notification[0],
            build_body(notification, ciphertext=base64.b64encode(b"0" * 64).decode()),
        ),
    ],
)
def test_altered_notification_is_rejected(
    merchant: Merchant, notification: SignedMessage, forge: Callable[[SignedMessage], SignedMessage]
) -> None:
    assert parse(merchant, notification).fee == 1500
    assert get_rejection_status(merchant, forge(notification)) == 401


def test_any_altered_byte_is_rejected(merchant: Merchant, notification: SignedMessage) -> None:
    headers, body = notification
    for position in range(0, len(body), 7):
        changed = body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]
        assert get_rejection_status(merchant, (headers, changed)) in (400, 401)


def test_signature_of_another_key_is_rejected(pay: WeChatPay, merchant: Merchant) -> None:
    pay.signs_with_wrong_key = True
    assert get_rejection_status(merchant, pay.build_payment_notification(OUT_TRADE_NO)) == 401


def test_notification_of_another_merchant_is_rejected(
    pay: WeChatPay, merchant: Merchant, notification: SignedMessage
) -> None:
    assert get_rejection_status(pay.add_merchant(*V3), notification) == 401
    assert merchant.key.encode() not in notification[1]


def test_notification_is_accepted_for_less_than_five_minutes(pay: WeChatPay, merchant: Merchant) -> None:
    now = 1_767_577_500 * clock.SECOND
    notification = pay.build_payment_notification(OUT_TRADE_NO, at=now)
    for offset in (1 - 5 * MINUTES, 0, 5 * MINUTES - 1):
        assert parse(merchant, notification, now + offset).fee == 1500
    for offset in (-5 * MINUTES, 5 * MINUTES, 5 * MINUTES + clock.SECOND, 60 * MINUTES, -24 * 60 * MINUTES):
        assert get_rejection_status(merchant, notification, now + offset) == 401


def test_unknown_serial_fetches_no_key(pay: WeChatPay, merchant: Merchant, notification: SignedMessage) -> None:
    before = pay.calls.copy()
    assert get_rejection_status(replace(merchant, public_keys={}), notification) == 401
    assert pay.calls == before


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"resource": 1}', b"\xff", b"<xml/>", b"[" * 60000])
def test_malformed_body_is_rejected_before_verification(
    merchant: Merchant, notification: SignedMessage, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rsa_crypto, "_load_public_key", lambda _: pytest.fail("a signature was verified"))
    assert get_rejection_status(merchant, (notification[0], body)) == 400


def test_huge_notification_is_rejected_before_parsing(merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("it was parsed"))
    assert get_rejection_status(merchant, ({}, b" " * (wechat_pay.MAX_NOTIFICATION_BYTES + 1))) == 400


def test_authentic_notification_of_another_kind_is_rejected(
    pay: WeChatPay, merchant: Merchant, notification: SignedMessage
) -> None:
    assert get_rejection_status(merchant, sign_again(pay, notification, original_type="mch_payment")) == 400
    assert get_rejection_status(merchant, sign_again(pay, notification, algorithm="AEAD_SM4_GCM")) == 401
    assert get_rejection_status(merchant, sign_again(pay, notification, nonce="")) == 401
    assert get_rejection_status(merchant, sign_again(pay, notification, ciphertext="")) == 401
    assert get_rejection_status(merchant, sign_again(pay, notification, associated_data="refund")) == 401
    assert parse(merchant, sign_again(pay, notification)).fee == 1500


def test_api_key_of_wrong_length_is_rejected(pay: WeChatPay, merchant: Merchant) -> None:
    short = replace(merchant, key=merchant.key[:16])
    assert get_rejection_status(short, build_notification(pay, short)) == 401
    assert parse(merchant, build_notification(pay, merchant)).fee == 1500


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": {"total": -1}},
        {"amount": {"total": 15.5}},
        {"amount": {"total": "1500"}},
        {"amount": {"total": True}},
        {"amount": {}},
        {"amount": None},
        {"out_trade_no": None},
        {"transaction_id": ""},
        {"success_time": "yesterday"},
        {"success_time": 5},
        {"payer": {}},
    ],
)
def test_encrypted_content_with_invalid_fields_is_rejected(
    pay: WeChatPay, merchant: Merchant, fields: dict[str, Any]
) -> None:
    assert get_rejection_status(merchant, build_notification(pay, merchant, **fields)) == 400


def test_acknowledgement_has_an_empty_body(merchant: Merchant) -> None:
    assert wechat_pay.build_acknowledgement(merchant) == ("application/json", b"")
