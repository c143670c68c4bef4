"""wechat/pay_conf: keys and certificates that could not be used are refused where they are saved, and not by a payment
that fails."""

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

# Keys of a kind (1.2.3.4) that nobody knows.
PRIVATE = "-----BEGIN PRIVATE KEY-----\nMAwCAQAwBQYDKgMEBAA=\n-----END PRIVATE KEY-----\n"
PUBLIC = "-----BEGIN PUBLIC KEY-----\nMAswBQYDKgMEAwIAAA==\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"private_key": PRIVATE}, "private_key"),
        ({"certificate": PUBLIC}, "certificate"),
        ({"public_keys": [{"serial": "a", "pem": PUBLIC}]}, "public_keys"),
    ],
)
def test_a_key_of_an_unknown_kind_is_refused(checkout: Checkout, fields: dict[str, Any], field: str) -> None:
    answer = post(CONF_PATH, checkout.hospital.admin.token, **build_conf(checkout.merchant, **fields))
    assert (answer.status, answer.error.startswith(field)) == (400, True), answer.body


def test_a_key_that_is_too_short_is_refused(checkout: Checkout) -> None:
    """WeChat signs with 2048 bits; what has fewer is not WeChat's, or can be forged."""
    short = rsa.generate_private_key(65537, 1024).public_key()
    pem = short.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    body = build_conf(checkout.merchant, public_keys=[{"serial": "a", "pem": pem}])
    assert post(CONF_PATH, checkout.hospital.admin.token, **body).error.startswith("public_keys（a）：不是 2048 位")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"certificate": wechat_pay_keys.get_public_pem("merchant")}, "certificate"),  # a key is no certificate
        ({"certificate": wechat_pay_keys.get_certificate_pem("somebody")}, "certificate"),
        ({"private_key": wechat_pay_keys.get_private_pem("somebody")}, "certificate"),
        ({"private_key": ""}, "private_key"),
        ({"certificate": wechat_pay_keys.get_certificate_pem("merchant", 2015)}, "certificate：已过期"),
        ({"certificate": ""}, "certificate"),
        ({"private_key": "", "certificate": ""}, "certificate"),
    ],
)
def test_a_certificate_that_no_money_could_go_back_with_is_refused(
    checkout: Checkout, pay: WeChatPay, fields: dict[str, Any], field: str
) -> None:
    token = checkout.hospital.admin.token
    answer = post(CONF_PATH, token, **build_conf(pay.add_merchant(ApiVersion.V2), **fields))
    assert (answer.status, answer.error.startswith(field)) == (400, True), answer.body
    assert get(CONF_PATH, token).data["mch_id"] == checkout.merchant.mch_id


def test_keys_of_any_length_are_saved_or_refused(checkout: Checkout) -> None:
    pem = next(iter(checkout.merchant.public_keys.values()))
    for length, status in ((3000, 200), (3001, 400), (7900, 400)):
        keys = [{"serial": f"a{number}", "pem": pem + "\n" * (length - len(pem))} for number in range(10)]
        answer = post(CONF_PATH, checkout.hospital.admin.token, **build_conf(checkout.merchant, public_keys=keys))
        assert answer.status == status, answer.body
