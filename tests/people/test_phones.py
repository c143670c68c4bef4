"""Phones: how they are normalized, sealed and found."""

from functools import partial

import pytest

from chalicelib.adapters import mysql
from chalicelib.crypto import field_encryption
from chalicelib.people import account_phones, accounts, phone_numbers, phones
from tests.support.factories import Hospital


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("13800000001", "13800000001"),
        ("+8613800000001", "13800000001"),
        ("0086 138 0000 0001", "13800000001"),
        ("138-0000-0001", "13800000001"),
        ("+852 9123 4567", "+85291234567"),
        ("00886912345678", "+886912345678"),
        ("+1 (415) 555-0100", "+14155550100"),
    ],
)
def test_number_is_normalized(written: str, stored: str) -> None:
    assert phone_numbers.normalize(written) == stored
    assert phone_numbers.normalize(stored) == stored


@pytest.mark.parametrize("number", ["", "1380000000", "12800000001", "91234567", "+86", "+8610123456", "+0123456", "x"])
def test_other_number_is_rejected(number: str) -> None:
    with pytest.raises(ValueError, match="手机号格式不正确"):
        phone_numbers.normalize(number)


def test_number_is_sealed_for_its_row() -> None:
    sealed = phones.seal(1, "accounts", 7, "13800000001")
    assert sealed
    assert b"13800000001" not in sealed
    assert phones.unseal(1, "accounts", 7, sealed) == "13800000001"
    for tenant_id, table, row_id in ((2, "accounts", 7), (1, "staff", 7), (1, "accounts", 8)):
        with pytest.raises(field_encryption.DecryptionError):
            phones.unseal(tenant_id, table, row_id, sealed)


def test_no_number_is_sealed_as_none() -> None:
    assert phones.seal(1, "accounts", 7, "") is None
    assert phones.unseal(1, "accounts", 7, None) == ""


def test_blind_index_differs_between_tenants_and_numbers() -> None:
    found = {phones.compute_blind_index(tenant_id, f"1380000000{n}") for tenant_id in (1, 2) for n in (1, 2)}
    assert len(found) == 4
    assert phones.compute_blind_index(1, "13800000001") == phones.compute_blind_index(1, "13800000001")


@pytest.mark.store
def test_phone_of_an_account_is_replaced_and_removed(hospital: Hospital) -> None:
    lin, new = hospital.lin, "13800000009"
    key = (lin.tenant_id, lin.user_id)

    def find(number: str) -> int | None:
        phone_blind = phones.compute_blind_index(lin.tenant_id, number)
        return accounts.find_by_phone(mysql.autocommit, lin.tenant_id, phone_blind)

    mysql.run_transaction(lambda tx: account_phones.set_phone(tx, *key, new))
    assert (find(lin.phone), find(new)) == (None, lin.user_id)
    account = accounts.get(mysql.autocommit, *key)
    assert account_phones.unseal(*key, account.phone_sealed) == new
    mysql.run_transaction(lambda tx: account_phones.set_phone(tx, *key, ""))
    account = accounts.get(mysql.autocommit, *key)
    assert (find(new), account.phone_sealed, account.phone_blind) == (None, None, None)


@pytest.mark.store
def test_two_accounts_may_have_no_phone_but_not_the_same(hospital: Hospital) -> None:
    lin, wang = hospital.lin, hospital.wang
    with pytest.raises(mysql.DuplicateKeyError, match="index phone"):
        mysql.run_transaction(lambda tx: account_phones.set_phone(tx, lin.tenant_id, lin.user_id, wang.phone))
    for user_id in (lin.user_id, wang.user_id):
        mysql.run_transaction(partial(account_phones.set_phone, tenant_id=lin.tenant_id, user_id=user_id, phone=""))
