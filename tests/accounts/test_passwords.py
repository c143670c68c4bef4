"""Sign-in, sign-out and password changes."""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.identity import attempts, tokens
from chalicelib.people import account_phones
from chalicelib.settings import settings
from tests.support.accounts_client import CHANGE, LOGIN, LOGOUT, RESET, VALIDATE, is_token_valid, sign_in
from tests.support.client import post
from tests.support.factories import PASSWORD, Hospital, Person, create_patient
from tests.support.processes import run_in_processes

pytestmark = pytest.mark.usefixtures("fast_hashes")
NEW = "Anderes-12345"
STAFF_LOGIN = "/pati_service/manager_service/login"


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that were compared with a hash."""
    seen: list[bytes] = []
    real = hashlib.scrypt

    def record_password(password: bytes, **parameters: Any) -> bytes:
        seen.append(password)
        return real(password, **parameters)

    monkeypatch.setattr(hashlib, "scrypt", record_password)
    return seen


def change_password(person: Person, old: str, new: str = NEW) -> Any:
    return post(CHANGE, person.token, oldPassword=old, newPassword=new)


def test_patient_signs_in(hospital: Hospital) -> None:
    data = sign_in(hospital, hospital.lin.phone, PASSWORD).data
    assert data["userId"] == str(hospital.lin.user_id)
    session = tokens.find_session(data["token"])
    assert session is not None
    assert (session.principal, session.role) == (hospital.lin.principal, "patient")
    assert is_token_valid(hospital.lin.token), "the other session goes on"


def test_unknown_phone_and_wrong_password_have_one_response_and_cost(hospital: Hospital, derived: list[bytes]) -> None:
    unknown, wrong = sign_in(hospital, "13899999999", "wrong"), sign_in(hospital, hospital.lin.phone, "wrong")
    assert (unknown.status, unknown.code) == (401, 10102)
    assert (unknown.status, unknown.body) == (wrong.status, wrong.body)
    assert derived == [b"wrong", b"wrong"]


@pytest.mark.parametrize("role", ["patient", "staff"])
def test_sign_in_imports_no_cipher(hospital: Hospital, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The import would add a tenth of a second to the cold start of a sign-in, which needs the blind index only."""
    person, path = (hospital.lin, LOGIN) if role == "patient" else (hospital.chen, STAFF_LOGIN)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    headers = {"tenantId": str(hospital.tenant_id)}
    assert post(path, headers=headers, phone=person.phone, password=PASSWORD).status == 200


def test_guesses_for_an_account_without_a_phone_are_limited(hospital: Hospital) -> None:
    lin, wang = hospital.lin, hospital.wang
    for user_id in (lin.user_id, wang.user_id):
        mysql.run_transaction(partial(account_phones.set_phone, tenant_id=lin.tenant_id, user_id=user_id, phone=""))
    assert [change_password(lin, "wrong").status for _ in range(6)] == [400] * 5 + [429]
    assert change_password(wang, PASSWORD).status == 200


@pytest.mark.store
def test_hundred_concurrent_guesses_count_as_five(
    hospital: Hospital, derived: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "settings", replace(settings, database_wait_seconds=60))
    monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 101)  # rejected requests count against their address
    with ThreadPoolExecutor(100) as pool:
        responses = list(pool.map(lambda n: sign_in(hospital, hospital.lin.phone, f"guess {n}"), range(100)))
    assert sorted(response.status for response in responses) == [401] * 5 + [429] * 95
    assert len(derived) == 5
    assert sign_in(hospital, hospital.wang.phone, PASSWORD).status == 200, "a telephone of its own"


def test_successful_sign_in_uses_up_no_try(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """All users of a hospital's Wi-Fi share one address."""
    monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 3)
    for _ in range(3):
        assert sign_in(hospital, hospital.lin.phone, PASSWORD).status == 200
        assert change_password(hospital.wang, PASSWORD, PASSWORD).status == 200
    assert [sign_in(hospital, f"1389999999{n}", "wrong").status for n in range(4)] == [401] * 3 + [429]


def test_staff_and_patients_of_other_hospitals_cannot_sign_in(hospital: Hospital, other_hospital: Hospital) -> None:
    create_patient(other_hospital.tenant_id, "13800000055", "外院患者")
    assert sign_in(hospital, hospital.chen.phone, PASSWORD).status == 401
    assert sign_in(hospital, "13800000055", PASSWORD).status == 401
    assert sign_in(other_hospital, "13800000055", PASSWORD).status == 200


@pytest.mark.usefixtures("frozen_clock")
def test_sign_in_is_recorded(hospital: Hospital, lin: Person) -> None:
    sql = "SELECT last_sign_in_at FROM accounts WHERE user_id = %(user_id)s"
    assert mysql.autocommit.fetch_value(sql, user_id=lin.user_id) is None
    sign_in(hospital, lin.phone, "wrong")
    assert mysql.autocommit.fetch_value(sql, user_id=lin.user_id) is None
    sign_in(hospital, lin.phone, PASSWORD)
    assert mysql.autocommit.fetch_value(sql, user_id=lin.user_id) == clock.now()


def test_sign_out_ends_only_this_session(hospital: Hospital, lin: Person) -> None:
    other = sign_in(hospital, lin.phone, PASSWORD).data["token"]
    assert post(LOGOUT, lin.token).data is None
    assert not is_token_valid(lin.token)
    assert is_token_valid(other)
    assert post(LOGOUT, lin.token).status == 401


@pytest.mark.store
def test_password_change_ends_the_other_sessions(hospital: Hospital, lin: Person, wang: Person) -> None:
    other = sign_in(hospital, lin.phone, PASSWORD).data["token"]
    assert change_password(lin, "wrong").status == 400
    assert is_token_valid(other), "nothing has changed"
    assert change_password(lin, PASSWORD).data is None
    assert [is_token_valid(one) for one in (lin.token, other, wang.token)] == [True, False, True]
    redis.get_client().flushdb()
    assert [is_token_valid(one) for one in (lin.token, other, wang.token)] == [True, False, True]
    assert sign_in(hospital, lin.phone, PASSWORD).status == 401
    assert sign_in(hospital, lin.phone, NEW).status == 200


def test_wrong_old_password_changes_nothing_and_counts(hospital: Hospital, lin: Person) -> None:
    response = change_password(lin, "wrong")
    assert (response.status, response.code, response.error) == (400, 10001, "oldPassword：密码错误")
    assert [change_password(lin, "wrong").status for _ in range(5)] == [400] * 4 + [429]
    assert sign_in(hospital, lin.phone, NEW).status in (401, 429)


def changed(token: str, new: str) -> int:
    return post(CHANGE, token, oldPassword=PASSWORD, newPassword=new).status


@pytest.mark.store
def test_one_of_two_concurrent_changes_succeeds(hospital: Hospital, lin: Person) -> None:
    news = [f"Anderes-{n}2345" for n in range(4)]
    statuses = run_in_processes(changed, [(lin.token, new) for new in news])
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 400, 409}
    right = [new for new in news if sign_in(hospital, lin.phone, new).status == 200]
    assert right == [news[statuses.index(200)]]


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        *((LOGIN, "phone", value) for value in (None, "", "1380000000", 13800000001)),
        *((LOGIN, "password", value) for value in (None, "", "x" * 73, 12345678)),
        *((VALIDATE, "phone", value) for value in (None, "12800000001")),
        *((VALIDATE, "verCode", value) for value in (None, "12345", 123456)),
        *((RESET, "newPassword", value) for value in (None, "short-7", "x" * 73, 12345678, "12345678", "88888888")),
        *((RESET, "verCode", value) for value in (None, "abcdef")),
        *((RESET, "phone", value) for value in (None, "")),
        *((CHANGE, "oldPassword", value) for value in (None, "", 12345678)),
        *((CHANGE, "newPassword", value) for value in (None, "short-7", "x" * 73, ["x"], "a1234567", "Password1")),
    ],
)
def test_invalid_field_is_named(hospital: Hospital, lin: Person, path: str, field: str, value: Any) -> None:
    good = {"phone": lin.phone, "password": PASSWORD, "verCode": "123456", "newPassword": NEW, "oldPassword": PASSWORD}
    headers = {"tenantId": str(hospital.tenant_id)}
    response = post(path, lin.token if path == CHANGE else "", headers, **{**good, field: value})
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{field}：")
    assert sign_in(hospital, lin.phone, PASSWORD).status == 200
