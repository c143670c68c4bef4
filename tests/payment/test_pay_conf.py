"""wechat/pay_conf: the configuration of a hospital's merchant account."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay.types import ApiVersion, SignType
from chalicelib.crypto import field_encryption
from chalicelib.payment import merchant_store, merchants
from devstack.fakes import wechat_pay_keys
from devstack.fakes.wechat_pay import WeChatPay
from tests.payment.test_release_races import PausedCall
from tests.support import payment_client
from tests.support.booking_client import list_rows
from tests.support.client import get, post
from tests.support.factories import Hospital
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.payment_client import CONF_PATH, Checkout, build_conf

pytestmark = pytest.mark.store


def get_stored_key(tenant_id: int, mch_id: str) -> str:
    stored = merchant_store.find(mysql.autocommit, tenant_id, mch_id)
    assert stored
    return merchants.decrypt(stored).key


def test_saved_keys_are_shown_masked_and_stored_encrypted(checkout: Checkout) -> None:
    admin, merchant = checkout.hospital.admin, checkout.merchant
    found = get(CONF_PATH, admin.token).data
    assert (found["mch_id"], found["version"], found["sign_type"]) == (merchant.mch_id, "v3", "RSA")
    assert (found["key"], found["private_key"]) == (f"********{merchant.key[-4:]}", "********")
    assert {one["serial"]: one["pem"] for one in found["public_keys"]} == merchant.public_keys
    assert found["notify_url"] == f"https://api.renhe.example{payment_client.NOTIFY_PATH}/{checkout.tenant_id}"
    [row] = list_rows("wechat_merchants", checkout.hospital)
    stored = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
    assert merchant.key.encode() not in stored
    assert b"PRIVATE KEY" not in stored


def test_masked_keys_keep_the_stored_ones(checkout: Checkout) -> None:
    shown = get(CONF_PATH, checkout.hospital.admin.token).data
    assert post(CONF_PATH, checkout.hospital.admin.token, **shown).data is None
    assert get(CONF_PATH, checkout.hospital.admin.token).data == shown
    checkout.pay_and_notify(checkout.book_slot())


def test_all_fields_are_empty_before_configuration(hospital: Hospital, pay: WeChatPay) -> None:
    found = get(CONF_PATH, hospital.admin.token).data
    assert set(map(str, found.values())) == {"", "[]"}
    response = post(CONF_PATH, hospital.admin.token, **build_conf(pay.add_merchant(), key="********0001"))
    assert (response.status, response.error) == (400, "key：必填")


def test_masked_key_does_not_carry_over_to_another_version(checkout: Checkout) -> None:
    """An account has one key for each version. With the other version's key all calls would be rejected."""
    v2_fields = {
        "version": "v2",
        "sign_type": SignType.HMAC_SHA256,
        "certificate": wechat_pay_keys.get_certificate_pem("merchant"),
    }
    shown = {**get(CONF_PATH, checkout.hospital.admin.token).data, **v2_fields}
    response = post(CONF_PATH, checkout.hospital.admin.token, **shown)
    assert (response.status, response.error) == (400, "key：必填")
    assert post(CONF_PATH, checkout.hospital.admin.token, **{**shown, "key": "0" * 32}).status == 200


def test_configuration_belongs_to_one_hospital(checkout: Checkout, pay: WeChatPay, other_hospital: Hospital) -> None:
    assert get(CONF_PATH, other_hospital.admin.token).data["mch_id"] == ""
    payment_client.create_checkout(other_hospital, pay, ApiVersion.V2, SignType.HMAC_SHA256)
    assert get(CONF_PATH, checkout.hospital.admin.token).data["mch_id"] == checkout.merchant.mch_id


def test_reactivated_account_keeps_its_keys(checkout: Checkout, pay: WeChatPay) -> None:
    admin, first = checkout.hospital.admin, get(CONF_PATH, checkout.hospital.admin.token).data
    assert (
        post(CONF_PATH, admin.token, **build_conf(pay.add_merchant(ApiVersion.V2, SignType.HMAC_SHA256))).status == 200
    )
    assert [row["in_use"] for row in list_rows("wechat_merchants", checkout.hospital)] == [None, 1]
    assert post(CONF_PATH, admin.token, **first).status == 200
    assert [row["in_use"] for row in list_rows("wechat_merchants", checkout.hospital)] == [1, None]
    checkout.pay_and_notify(checkout.book_slot())


def test_concurrent_saves_do_not_mix_keys(hospital: Hospital, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (build_conf(pay.add_merchant()) for _ in range(2))
    token = hospital.admin.token  # creating staff encrypts their phone
    paused = PausedCall(monkeypatch, field_encryption, "encrypt")
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(post, CONF_PATH, token, **first)
        assert paused.reached.wait(10)
        other = pool.submit(post, CONF_PATH, token, **second)
        wait_until(lambda: other.done() or is_row_lock_waiting())
        paused.proceed.set()
        assert (one.result().status, other.result().status) == (200, 200)
    stored = {row["mch_id"]: row for row in list_rows("wechat_merchants", hospital)}
    keys = {mch_id: get_stored_key(hospital.tenant_id, mch_id) for mch_id in stored}
    assert keys == {saved["mch_id"]: saved["key"] for saved in (first, second)}
    assert [stored[saved["mch_id"]]["in_use"] for saved in (first, second)] == [None, 1]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        *(({"mch_id": value}, "mch_id") for value in (None, "", "x", "0190000001", "1" * 11, 1900000001)),
        *(({"version": value}, "version") for value in (None, "v4", "")),
        *(({"sign_type": value}, "sign_type") for value in (None, "", "MD5", "HMAC-SHA256")),
        *(({"key": value}, "key") for value in (None, "", "x" * 31, "x" * 31 + "中", "***")),
        *(({"serial": value}, "serial") for value in ("", "x y", "x" * 65)),
        *(({"private_key": value}, "private_key") for value in ("", "x", "-----BEGIN PRIVATE KEY-----\nx\n", "中")),
        *(({"certificate": value}, "certificate") for value in ("x", "中")),
        *(({"public_keys": value}, "public_keys") for value in ([], None, "x", [{"serial": "a", "pem": "x"}])),
    ],
)
def test_invalid_field_is_named_and_nothing_changes(checkout: Checkout, fields: dict[str, Any], field: str) -> None:
    body = build_conf(checkout.merchant, **fields)
    response = post(CONF_PATH, checkout.hospital.admin.token, **body)
    assert (response.status, response.error.startswith(field)) == (400, True), response.body
    assert get(CONF_PATH, checkout.hospital.admin.token).data["mch_id"] == checkout.merchant.mch_id
