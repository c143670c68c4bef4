"""wechat/pay_conf: how a hospital's admin sets up its account at WeChat Pay."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.adapters.wechat_pay.types import ApiVersion, SignType
from chalicelib.crypto import field_encryption
from chalicelib.payment import merchants
from devstack.fakes import wechat_pay_keys
from devstack.fakes.wechat_pay import WeChatPay
from tests.payment.test_release_races import Held
from tests.support import payment_client as tills
from tests.support.booking_client import list_rows
from tests.support.client import get, post
from tests.support.factories import Hospital
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.payment_client import CONF_PATH, Checkout, build_conf

pytestmark = pytest.mark.store


def test_what_is_saved_is_shown_without_its_secrets(checkout: Checkout) -> None:
    admin, merchant = checkout.hospital.admin, checkout.merchant
    found = get(CONF_PATH, admin.token).data
    assert (found["mch_id"], found["version"], found["sign_type"]) == (merchant.mch_id, "v3", "RSA")
    assert (found["key"], found["private_key"]) == (f"********{merchant.key[-4:]}", "********")
    assert {one["serial"]: one["pem"] for one in found["public_keys"]} == merchant.public_keys
    assert found["notify_url"] == f"https://api.renhe.example{tills.NOTIFY_PATH}/{checkout.tenant_id}"
    [row] = list_rows("wechat_merchants", checkout.hospital)
    stored = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
    assert merchant.key.encode() not in stored
    assert b"PRIVATE KEY" not in stored


def test_what_comes_back_as_it_was_shown_stays(checkout: Checkout) -> None:
    shown = get(CONF_PATH, checkout.hospital.admin.token).data
    assert post(CONF_PATH, checkout.hospital.admin.token, **shown).data is None
    assert get(CONF_PATH, checkout.hospital.admin.token).data == shown
    checkout.pay_and_notify(checkout.book_slot())


def test_nothing_is_shown_where_nothing_was_saved(hospital: Hospital, pay: WeChatPay) -> None:
    found = get(CONF_PATH, hospital.admin.token).data
    assert set(map(str, found.values())) == {"", "[]"}
    answer = post(CONF_PATH, hospital.admin.token, **build_conf(pay.add_merchant(), key="********0001"))
    assert (answer.status, answer.error) == (400, "key：必填")


def test_a_key_of_one_version_is_none_of_the_other(checkout: Checkout) -> None:
    """WeChat has two secrets for an account, of one shape: whoever leaves the one masked had all else refused."""
    other = {
        "version": "v2",
        "sign_type": SignType.HMAC_SHA256,
        "certificate": wechat_pay_keys.get_certificate_pem("merchant"),
    }
    shown = {**get(CONF_PATH, checkout.hospital.admin.token).data, **other}
    answer = post(CONF_PATH, checkout.hospital.admin.token, **shown)
    assert (answer.status, answer.error) == (400, "key：必填")
    assert post(CONF_PATH, checkout.hospital.admin.token, **{**shown, "key": "0" * 32}).status == 200


def test_another_hospitals_is_another(checkout: Checkout, pay: WeChatPay, other_hospital: Hospital) -> None:
    assert get(CONF_PATH, other_hospital.admin.token).data["mch_id"] == ""
    tills.create_checkout(other_hospital, pay, ApiVersion.V2, SignType.HMAC_SHA256)
    assert get(CONF_PATH, checkout.hospital.admin.token).data["mch_id"] == checkout.merchant.mch_id


def test_an_account_that_is_used_again_keeps_its_keys(checkout: Checkout, pay: WeChatPay) -> None:
    admin, first = checkout.hospital.admin, get(CONF_PATH, checkout.hospital.admin.token).data
    assert (
        post(CONF_PATH, admin.token, **build_conf(pay.add_merchant(ApiVersion.V2, SignType.HMAC_SHA256))).status == 200
    )
    assert [row["in_use"] for row in list_rows("wechat_merchants", checkout.hospital)] == [None, 1]
    assert post(CONF_PATH, admin.token, **first).status == 200
    assert [row["in_use"] for row in list_rows("wechat_merchants", checkout.hospital)] == [1, None]
    checkout.pay_and_notify(checkout.book_slot())


def test_accounts_that_are_saved_at_once_keep_each_their_own_keys(
    hospital: Hospital, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (build_conf(pay.add_merchant()) for _ in range(2))
    held = Held(monkeypatch, field_encryption, "encrypt")
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(post, CONF_PATH, hospital.admin.token, **first)
        assert held.about.wait(10)
        other = pool.submit(post, CONF_PATH, hospital.admin.token, **second)
        wait_until(lambda: other.done() or is_row_lock_waiting())
        held.go.set()
        assert (one.result().status, other.result().status) == (200, 200)
    stored = {row["mch_id"]: row for row in list_rows("wechat_merchants", hospital)}
    keys = {mch_id: merchants.decrypt_row(hospital.tenant_id, row).key for mch_id, row in stored.items()}
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
def test_what_no_payment_could_be_made_with_is_refused(checkout: Checkout, fields: dict[str, Any], field: str) -> None:
    body = build_conf(checkout.merchant, **fields)
    answer = post(CONF_PATH, checkout.hospital.admin.token, **body)
    assert (answer.status, answer.error.startswith(field)) == (400, True), answer.body
    assert get(CONF_PATH, checkout.hospital.admin.token).data["mch_id"] == checkout.merchant.mch_id
