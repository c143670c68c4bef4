"""Test vectors from WeChat Pay's documentation and SDKs for signatures and encryption."""

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
RESOURCE_FIELDS = ("algorithm", "ciphertext", "nonce", "associated_data")


def create_v2_merchant(key: str, sign_type: str = "MD5", appid: str = "wx2421b1c4370ec43b") -> Merchant:
    return Merchant(appid, "10000100", "v2", sign_type, key)


def create_v3_merchant(key: str = "", **public_keys: str) -> Merchant:
    return Merchant("wxd678efh567hg6787", "1900007291", "v3", "RSA", key, public_keys=public_keys)


@pytest.fixture
def signed_messages(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Collect the messages to sign; the private key is not published with all examples."""
    messages: list[bytes] = []

    def sign(_: str, message: bytes) -> str:
        messages.append(message)
        return "signature"

    monkeypatch.setattr(api_v3, "sign", sign)
    return messages


def is_valid(signature: str, message: bytes) -> bool:
    key = load_pem_public_key(VECTORS["merchants_public_key"].encode())
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(base64.b64decode(signature), message, padding.PKCS1v15(), SHA256())
    return True


@pytest.mark.parametrize(("name", "sign_type"), [("md5", "MD5"), ("hmac", "HMAC-SHA256")])
def test_v2_signature_example(name: str, sign_type: str) -> None:
    example = VECTORS[name]
    assert shared_secret.sign(create_v2_merchant(example["key"], sign_type), example["fields"]) == example["sign"]


def test_empty_fields_and_sign_are_not_signed() -> None:
    fields = {"mchid": "2", "openid": "", "sign": "0", "appid": "3"}
    assert (
        shared_secret.sign(create_v2_merchant("K"), fields) == hashlib.md5(b"appid=3&mchid=2&key=K").hexdigest().upper()
    )


@pytest.mark.parametrize("name", ["get", "post"])
def test_v3_request_signature_example(name: str, signed_messages: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    example: dict[str, Any] = VECTORS[name]
    monkeypatch.setattr(clock, "now", lambda: int(example["timestamp"]) * clock.SECOND)
    monkeypatch.setattr(secrets, "token_hex", lambda _: example["nonce"])
    header = api_v3._build_authorization(
        create_v3_merchant(), example["method"], example["url"], example["body"].encode()
    )
    assert is_valid(example["signature"], signed_messages[0])
    assert header == (
        'WECHATPAY2-SHA256-RSA2048 mchid="1900007291",'
        f'nonce_str="{example["nonce"]}",signature="signature",timestamp="{example["timestamp"]}",serial_no=""'
    )


def test_v3_page_signature_example(signed_messages: list[bytes]) -> None:
    example = VECTORS["page"]
    merchant = Merchant(example["appId"], "1900007291", "v3", "RSA", "")
    prepay_id = example["package"].removeprefix("prepay_id=")
    assert wechat_pay.sign_page(merchant, prepay_id, example["timeStamp"], example["nonceStr"]) == "signature"
    assert is_valid(example["signature"], signed_messages[0])


def test_v3_response_signature_example() -> None:
    example = VECTORS["answer"]
    merchant, now = (
        create_v3_merchant(**{example["serial"]: example["public_key"]}),
        int(example["timestamp"]) * clock.SECOND,
    )
    headers = {f"Wechatpay-{name.title()}": example[name] for name in ("serial", "timestamp", "nonce", "signature")}
    rsa_crypto.verify(merchant, headers, example["body"].encode(), now)
    with pytest.raises(InvalidNotificationError):
        rsa_crypto.verify(merchant, headers, example["body"].encode() + b" ", now)


def test_resource_encrypted_by_the_java_sdk_is_decrypted() -> None:
    example = VECTORS["sealed"]
    values = ("AEAD_AES_256_GCM", example["ciphertext"], example["nonce"], example["aad"])
    resource = dict(zip(RESOURCE_FIELDS, values, strict=True))
    assert rsa_crypto.decrypt_resource(create_v3_merchant(example["key"]), resource) == example["plain"].encode()


def test_v3_notification_example() -> None:
    example = VECTORS["notice_v3"]
    serial = example["headers"]["Wechatpay-Serial"]
    merchant = create_v3_merchant(example["key"], **{serial: example["public_key"]})
    now = example["now"] * clock.SECOND
    notification = wechat_pay.parse_notification(merchant, example["headers"], example["body"].encode(), now)
    assert (notification.kind, notification.out_trade_no, notification.fee) == (
        NotificationKind.PAYMENT,
        "1217752501201407033233368018",
        1500,
    )
    assert (notification.appid, notification.mch_id, notification.currency) == (
        "wxd678efh567hg6787",
        "1230000109",
        "CNY",
    )
    assert (notification.state, clock.format_wire_time(notification.occurred_at)) == ("SUCCESS", "2026-01-01 08:00:00")


def test_v2_notification_example_with_unknown_fields() -> None:
    example = VECTORS["notice_v2"]
    notification = wechat_pay.parse_notification(create_v2_merchant(example["key"]), {}, example["xml"].encode(), 0)
    assert (notification.kind, notification.out_trade_no, notification.fee, notification.is_signed) == (
        NotificationKind.PAYMENT,
        "1409811653",
        1,
        True,
    )
    assert (notification.state, clock.format_wire_time(notification.occurred_at)) == ("SUCCESS", "2014-09-03 13:15:40")
    with pytest.raises(InvalidNotificationError):
        wechat_pay.parse_notification(
            create_v2_merchant(example["key"]), {}, example["xml"].replace("future", "other").encode(), 0
        )


def test_v2_documentation_example_has_another_key() -> None:
    example = VECTORS["notice_v2_of_an_unknown_key"]
    with pytest.raises(InvalidNotificationError) as error_info:
        wechat_pay.parse_notification(create_v2_merchant(VECTORS["md5"]["key"]), {}, example["xml"].encode(), 0)
    assert error_info.value.status == 401


def test_v2_refund_notification_example() -> None:
    example = VECTORS["refund_notice_v2"]
    refund_info = shared_secret.decrypt_refund_info(create_v2_merchant(example["key"]), example["req_info"])
    assert (refund_info["out_refund_no"], refund_info["refund_id"]) == (example["out_refund_no"], example["refund_id"])


def test_page_signature_cannot_sign_a_notification() -> None:
    attack = VECTORS["not_to_be_signed"]
    merchant = create_v2_merchant(VECTORS["md5"]["key"], appid=attack["appId"])
    for prepay_id, time_stamp, nonce in [
        (attack["prepayId"], attack["timeStamp"], attack["nonceStr"]),
        ("wx1", "1767225600", attack["nonceStr"]),
        ("wx1", attack["timeStamp"], "abc"),
        (attack["prepayId"], "1767225600", "abc"),
        ("wx1\n", "1767225600", "abc"),
        ("wx1", "1767225600\n", "abc"),
        ("wx1", "１７６７２２５６００", "abc"),
        ("", "1767225600", "abc"),
    ]:
        with pytest.raises(ValueError, match="not to be signed"):
            wechat_pay.sign_page(merchant, prepay_id, time_stamp, nonce)
