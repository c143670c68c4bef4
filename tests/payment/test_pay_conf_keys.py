"""wechat/pay_conf rejects unusable keys and certificates when they are saved, before a payment fails with them."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib.adapters.wechat_pay.types import ApiVersion
from devstack.fakes import wechat_pay_keys
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.client import get, post
from tests.support.payment_client import CONF_PATH, Checkout, build_conf

pytestmark = pytest.mark.store

# Keys of an unknown algorithm (1.2.3.4).
UNKNOWN_PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMAwCAQAwBQYDKgMEBAA=\n-----END PRIVATE KEY-----\n"
UNKNOWN_PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMAswBQYDKgMEAwIAAA==\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"private_key": UNKNOWN_PRIVATE_KEY}, "private_key"),
        ({"certificate": UNKNOWN_PUBLIC_KEY}, "certificate"),
        ({"public_keys": [{"serial": "a", "pem": UNKNOWN_PUBLIC_KEY}]}, "public_keys"),
    ],
)
def test_key_of_an_unknown_algorithm_is_rejected(checkout: Checkout, fields: dict[str, Any], field: str) -> None:
    response = post(CONF_PATH, checkout.hospital.admin.token, **build_conf(checkout.merchant, **fields))
    assert (response.status, response.error.startswith(field)) == (400, True), response.body


def test_short_key_is_rejected(checkout: Checkout) -> None:
    """WeChat Pay signs with 2048 bits."""
    short = rsa.generate_private_key(65537, 1024).public_key()
    pem = short.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    body = build_conf(checkout.merchant, public_keys=[{"serial": "a", "pem": pem}])
    assert post(CONF_PATH, checkout.hospital.admin.token, **body).error.startswith("public_keys（a）：不是 2048 位")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"certificate": wechat_pay_keys.get_public_pem("merchant")}, "certificate"),  # a key, not a certificate
        ({"certificate": wechat_pay_keys.get_certificate_pem("another")}, "certificate"),
        ({"private_key": wechat_pay_keys.get_private_pem("another")}, "certificate"),
        ({"private_key": ""}, "private_key"),
        ({"certificate": wechat_pay_keys.get_certificate_pem("merchant", 2015)}, "certificate：已过期"),
        ({"certificate": ""}, "certificate"),
        ({"private_key": "", "certificate": ""}, "certificate"),
    ],
)
def test_certificate_unusable_for_refunds_is_rejected(
    checkout: Checkout, pay: WeChatPay, fields: dict[str, Any], field: str
) -> None:
    token = checkout.hospital.admin.token
    response = post(CONF_PATH, token, **build_conf(pay.add_merchant(ApiVersion.V2), **fields))
    assert (response.status, response.error.startswith(field)) == (400, True), response.body
    assert get(CONF_PATH, token).data["mch_id"] == checkout.merchant.mch_id


def test_long_keys_are_saved_or_rejected(checkout: Checkout) -> None:
    pem = next(iter(checkout.merchant.public_keys.values()))
    for length, status in ((3000, 200), (3001, 400), (7900, 400)):
        keys = [{"serial": f"a{number}", "pem": pem + "\n" * (length - len(pem))} for number in range(10)]
        response = post(CONF_PATH, checkout.hospital.admin.token, **build_conf(checkout.merchant, public_keys=keys))
        assert response.status == status, response.body
