"""WeChat Pay's own examples, and those of its SDKs: what they have signed and sealed is what we sign and open."""

import base64
import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from chalicelib import clock
from chalicelib.adapters.wechat_pay import api_v3, rsa_crypto, shared_secret
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.client import InvalidNotificationError, Merchant
from chalicelib.adapters.wechat_pay.types import NotificationKind

VECTORS = json.loads(Path(__file__).with_name("wechat_pay_vectors.json").read_text("utf-8"))
SEALED = ("algorithm", "ciphertext", "nonce", "associated_data")


def v2(key: str, sign_type: str = "MD5", appid: str = "wx2421b1c4370ec43b") -> Merchant:
    return Merchant(appid, "10000100", "v2", sign_type, key)


def v3(key: str = "", **public_keys: str) -> Merchant:
    return Merchant("wxd678efh567hg6787", "1900007291", "v3", "RSA", key, public_keys=public_keys)


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What would be signed with the merchant's key, which is not published with all of the examples."""
    messages: list[bytes] = []

    def sign(_: str, message: bytes) -> str:
        messages.append(message)
        return "it"

    monkeypatch.setattr(api_v3, "sign", sign)
    return messages


def proven(signature: str, message: bytes) -> bool:
    key = load_pem_public_key(VECTORS["merchants_public_key"].encode())
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(base64.b64decode(signature), message, padding.PKCS1v15(), SHA256())
    return True


@pytest.mark.parametrize(("name", "sign_type"), [("md5", "MD5"), ("hmac", "HMAC-SHA256")])
def test_fields_are_signed_as_in_v2s_document(name: str, sign_type: str) -> None:
    example = VECTORS[name]
    assert shared_secret.sign(v2(example["key"], sign_type), example["fields"]) == example["sign"]


def test_empty_fields_and_the_sign_itself_are_not_signed() -> None:
    fields = {"mchid": "2", "openid": "", "sign": "0", "appid": "3"}
    assert shared_secret.sign(v2("K"), fields) == hashlib.md5(b"appid=3&mchid=2&key=K").hexdigest().upper()


@pytest.mark.parametrize("name", ["get", "post"])
def test_requests_are_signed_as_in_v3s_document(
    name: str, signed: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    example: dict[str, Any] = VECTORS[name]
    monkeypatch.setattr(clock, "now", lambda: int(example["timestamp"]) * clock.SECOND)
    monkeypatch.setattr(secrets, "token_hex", lambda _: example["nonce"])
    header = api_v3._build_authorization(v3(), example["method"], example["url"], example["body"].encode())
    assert proven(example["signature"], signed[0])
    assert header == (
        'WECHATPAY2-SHA256-RSA2048 mchid="1900007291",'
        f'nonce_str="{example["nonce"]}",signature="it",timestamp="{example["timestamp"]}",serial_no=""'
    )


def test_a_page_is_signed_for_as_in_v3s_document(signed: list[bytes]) -> None:
    example = VECTORS["page"]
    merchant = Merchant(example["appId"], "1900007291", "v3", "RSA", "")
    prepay_id = example["package"].removeprefix("prepay_id=")
    assert wechat_pay.sign_page(merchant, prepay_id, example["timeStamp"], example["nonceStr"]) == "it"
    assert proven(example["signature"], signed[0])


def test_v3s_example_of_an_answer_is_believed_and_nothing_else_of_it() -> None:
    example = VECTORS["answer"]
    merchant, now = v3(**{example["serial"]: example["public_key"]}), int(example["timestamp"]) * clock.SECOND
    headers = {f"Wechatpay-{name.title()}": example[name] for name in ("serial", "timestamp", "nonce", "signature")}
    rsa_crypto.verify(merchant, headers, example["body"].encode(), now)
    with pytest.raises(InvalidNotificationError):
        rsa_crypto.verify(merchant, headers, example["body"].encode() + b" ", now)


def test_what_the_java_sdk_has_sealed_is_opened() -> None:
    example = VECTORS["sealed"]
    values = ("AEAD_AES_256_GCM", example["ciphertext"], example["nonce"], example["aad"])
    sealed = dict(zip(SEALED, values, strict=True))
    assert rsa_crypto.decrypt_resource(v3(example["key"]), sealed) == example["plain"].encode()


def test_a_whole_notice_of_v3_is_read() -> None:
    example = VECTORS["notice_v3"]
    serial = example["headers"]["Wechatpay-Serial"]
    merchant = v3(example["key"], **{serial: example["public_key"]})
    now = example["now"] * clock.SECOND
    notice = wechat_pay.parse_notification(merchant, example["headers"], example["body"].encode(), now)
    assert (notice.kind, notice.out_trade_no, notice.fee) == (
        NotificationKind.PAYMENT,
        "1217752501201407033233368018",
        1500,
    )
    assert (notice.appid, notice.mch_id, notice.currency) == ("wxd678efh567hg6787", "1230000109", "CNY")
    assert (notice.state, clock.format_wire_time(notice.occurred_at)) == ("SUCCESS", "2026-01-01 08:00:00")


def test_a_whole_notice_of_v2_is_read_with_the_fields_that_nobody_knows_yet() -> None:
    example = VECTORS["notice_v2"]
    notice = wechat_pay.parse_notification(v2(example["key"]), {}, example["xml"].encode(), 0)
    assert (notice.kind, notice.out_trade_no, notice.fee, notice.is_signed) == (
        NotificationKind.PAYMENT,
        "1409811653",
        1,
        True,
    )
    assert (notice.state, clock.format_wire_time(notice.occurred_at)) == ("SUCCESS", "2014-09-03 13:15:40")
    with pytest.raises(InvalidNotificationError):
        wechat_pay.parse_notification(v2(example["key"]), {}, example["xml"].replace("future", "other").encode(), 0)


def test_v2s_printed_example_is_not_of_our_key() -> None:
    example = VECTORS["notice_v2_of_an_unknown_key"]
    with pytest.raises(InvalidNotificationError) as refused:
        wechat_pay.parse_notification(v2(VECTORS["md5"]["key"]), {}, example["xml"].encode(), 0)
    assert refused.value.status == 401


def test_a_notice_of_a_refund_is_opened_as_in_v2() -> None:
    example = VECTORS["refund_notice_v2"]
    told = shared_secret.decrypt_refund_info(v2(example["key"]), example["req_info"])
    assert (told["out_refund_no"], told["refund_id"]) == (example["out_refund_no"], example["refund_id"])


def test_a_page_cannot_have_a_notice_of_money_signed() -> None:
    asked = VECTORS["not_to_be_signed"]
    merchant = v2(VECTORS["md5"]["key"], appid=asked["appId"])
    for prepay_id, time_stamp, nonce in [
        (asked["prepayId"], asked["timeStamp"], asked["nonceStr"]),
        ("wx1", "1767225600", asked["nonceStr"]),
        ("wx1", asked["timeStamp"], "abc"),
        (asked["prepayId"], "1767225600", "abc"),
        ("wx1\n", "1767225600", "abc"),
        ("wx1", "1767225600\n", "abc"),
        ("wx1", "１７６７２２５６００", "abc"),
        ("", "1767225600", "abc"),
    ]:
        with pytest.raises(ValueError, match="not to be signed"):
            wechat_pay.sign_page(merchant, prepay_id, time_stamp, nonce)
