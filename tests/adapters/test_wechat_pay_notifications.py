"""What WeChat Pay v3 tells of its own accord is believed; what somebody else makes of it is not."""

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
def notice(pay: WeChatPay, merchant: Merchant) -> SignedMessage:
    assert merchant.version == "v3"
    return pay.build_payment_notification(OUT_TRADE_NO)


def read(merchant: Merchant, notice: SignedMessage, now: int = 0) -> Notification:
    return wechat_pay.parse_notification(merchant, *notice, now or clock.now())


def refused(merchant: Merchant, notice: SignedMessage, now: int = 0) -> int:
    with pytest.raises(InvalidNotificationError) as error:
        read(merchant, notice, now)
    return error.value.status


def header(name: str, value: str) -> Callable[[SignedMessage], SignedMessage]:
    return lambda notice: ({**notice[0], f"Wechatpay-{name}": value}, notice[1])


def without(name: str) -> Callable[[SignedMessage], SignedMessage]:
    return lambda notice: ({one: value for one, value in notice[0].items() if one != f"Wechatpay-{name}"}, notice[1])


def probe(notice: SignedMessage) -> SignedMessage:
    """WeChat sends these to see whether signatures are looked at."""
    signature = notice[0]["Wechatpay-Signature"]
    return {**notice[0], "Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + signature[19:]}, notice[1]


def pretty(notice: SignedMessage) -> SignedMessage:
    return notice[0], json.dumps(json.loads(notice[1]), ensure_ascii=False, indent=1).encode()


def event(notice: SignedMessage, **fields: Any) -> bytes:
    """The same with other fields of its resource."""
    said = json.loads(notice[1])
    return json.dumps({**said, "resource": {**said["resource"], **fields}}).encode()


def signed_anew(pay: WeChatPay, notice: SignedMessage, **fields: Any) -> SignedMessage:
    body = event(notice, **fields)
    return wechat_pay_protocol_v3.build_signature_headers(pay, body, clock.now()), body


def told(pay: WeChatPay, merchant: Merchant, **fields: Any) -> SignedMessage:
    """WeChat's own word, with other fields in what it seals."""
    plain = {**wechat_pay_protocol_v3._build_transaction(pay.orders[OUT_TRADE_NO]), **fields}
    return wechat_pay_protocol_v3.build_notification(pay, merchant, "transaction", plain, clock.now())


def test_lins_payment_is_read(pay: WeChatPay, merchant: Merchant, notice: SignedMessage) -> None:
    made = pay.orders[OUT_TRADE_NO]
    whole = clock.SECOND * (made.paid_at // clock.SECOND)
    said = (merchant.mch_id, 1500, "CNY", "SUCCESS", whole, merchant.appid, build_order().open_id)
    assert read(merchant, notice) == Notification(NotificationKind.PAYMENT, OUT_TRADE_NO, made.transaction_id, *said)


@pytest.mark.parametrize("state", ["SUCCESS", "ABNORMAL", "CLOSED"])
def test_her_refund_is_read(pay: WeChatPay, merchant: Merchant, state: str) -> None:
    request_refund(merchant, fee=500)
    made = pay.settle_refund(OUT_REFUND_NO, state)
    at = clock.SECOND * (made.settled_at // clock.SECOND) if state == "SUCCESS" else 0
    said = read(merchant, pay.build_refund_notification(OUT_REFUND_NO))
    assert (said.kind, said.state, said.fee, said.occurred_at) == (NotificationKind.REFUND, state, 500, at)
    assert (said.out_refund_no, said.refund_id, said.out_trade_no) == (OUT_REFUND_NO, made.refund_id, OUT_TRADE_NO)
    assert (said.mch_id, said.is_signed) == (merchant.mch_id, True)


def test_the_same_notice_again_is_read_again(merchant: Merchant, notice: SignedMessage) -> None:
    assert read(merchant, notice) == read(merchant, notice)


def test_names_of_headers_may_be_written_in_any_case(merchant: Merchant, notice: SignedMessage) -> None:
    for case in (str.lower, str.upper):
        assert read(merchant, ({case(name): value for name, value in notice[0].items()}, notice[1])).fee == 1500


def test_a_platform_certificate_proves_it_as_well_as_the_public_key(pay: WeChatPay, merchant: Merchant) -> None:
    for serial in list(pay.signers):
        pay.signing_serial = serial
        assert read(merchant, pay.build_payment_notification(OUT_TRADE_NO)).fee == 1500


@pytest.mark.parametrize(
    "forge",
    [
        header("Timestamp", "1767225600"),
        header("Timestamp", ""),
        header("Timestamp", "soon"),
        header("Nonce", "another"),
        header("Serial", "PUB_KEY_ID_0"),
        header("Serial", ""),
        header("Serial", wechat_pay_keys.PLATFORM_CERTIFICATE_SERIAL),
        header("Signature", ""),
        header("Signature", "bm8="),
        header("Signature", "no base64"),
        header("Signature", "签名"),
        *map(without, ("Timestamp", "Nonce", "Serial", "Signature")),
        probe,
        lambda notice: header("Signature", "WECHATPAY/SIGNTEST/" + notice[0]["Wechatpay-Signature"])(notice),
        pretty,
        lambda notice: (notice[0], notice[1] + b"\n"),
        lambda notice: (notice[0], notice[1].replace(b"TRANSACTION", b"TRANSACTIOM")),
        lambda notice: (notice[0], event(notice, ciphertext=base64.b64encode(b"0" * 64).decode())),
    ],
)
def test_what_somebody_has_changed_proves_nothing(
    merchant: Merchant, notice: SignedMessage, forge: Callable[[SignedMessage], SignedMessage]
) -> None:
    assert read(merchant, notice).fee == 1500
    assert refused(merchant, forge(notice)) == 401


def test_not_a_byte_of_it_can_be_another(merchant: Merchant, notice: SignedMessage) -> None:
    headers, body = notice
    for place in range(0, len(body), 7):
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        assert refused(merchant, (headers, changed)) in (400, 401)


def test_somebody_elses_key_proves_nothing(pay: WeChatPay, merchant: Merchant) -> None:
    pay.signs_with_wrong_key = True
    assert refused(merchant, pay.build_payment_notification(OUT_TRADE_NO)) == 401


def test_another_hospitals_notice_is_not_opened(pay: WeChatPay, merchant: Merchant, notice: SignedMessage) -> None:
    assert refused(pay.add_merchant(*V3), notice) == 401
    assert merchant.key.encode() not in notice[1]


def test_a_notice_is_fresh_for_five_minutes_before_and_after(pay: WeChatPay, merchant: Merchant) -> None:
    now = 1_767_577_500 * clock.SECOND
    notice = pay.build_payment_notification(OUT_TRADE_NO, at=now)
    for off in (-5 * MINUTES, 0, 5 * MINUTES):
        assert read(merchant, notice, now + off).fee == 1500
    for off in (-5 * MINUTES - clock.SECOND, 5 * MINUTES + clock.SECOND, 60 * MINUTES, -24 * 60 * MINUTES):
        assert refused(merchant, notice, now + off) == 401


def test_no_key_is_asked_for_when_a_serial_is_not_known(
    pay: WeChatPay, merchant: Merchant, notice: SignedMessage
) -> None:
    before = pay.calls.copy()
    assert refused(replace(merchant, public_keys={}), notice) == 401
    assert pay.calls == before


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"resource": 1}', b"\xff", b"<xml/>", b"[" * 60000])
def test_what_makes_no_sense_is_refused_before_anything_is_computed(
    merchant: Merchant, notice: SignedMessage, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rsa_crypto, "_load_public_key", lambda _: pytest.fail("a signature was looked at"))
    assert refused(merchant, (notice[0], body)) == 400


def test_a_huge_notice_is_refused_before_it_is_read(merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("it was read"))
    assert refused(merchant, ({}, b" " * (wechat_pay.MAX_NOTIFICATION_BYTES + 1))) == 400


def test_wechats_own_word_of_another_kind_is_refused(pay: WeChatPay, merchant: Merchant, notice: SignedMessage) -> None:
    assert refused(merchant, signed_anew(pay, notice, original_type="mch_payment")) == 400
    assert refused(merchant, signed_anew(pay, notice, algorithm="AEAD_SM4_GCM")) == 401
    assert refused(merchant, signed_anew(pay, notice, nonce="")) == 401
    assert refused(merchant, signed_anew(pay, notice, ciphertext="")) == 401
    assert refused(merchant, signed_anew(pay, notice, associated_data="refund")) == 401
    assert read(merchant, signed_anew(pay, notice)).fee == 1500


def test_a_merchant_whose_key_has_another_length_reads_nothing(pay: WeChatPay, merchant: Merchant) -> None:
    short = replace(merchant, key=merchant.key[:16])
    assert refused(short, told(pay, short)) == 401
    assert read(merchant, told(pay, merchant)).fee == 1500


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
def test_a_sealed_word_that_lacks_something_is_refused(
    pay: WeChatPay, merchant: Merchant, fields: dict[str, Any]
) -> None:
    assert refused(merchant, told(pay, merchant, **fields)) == 400


def test_it_is_acknowledged_by_nothing(merchant: Merchant) -> None:
    assert wechat_pay.build_acknowledgement(merchant) == ("application/json", b"")
