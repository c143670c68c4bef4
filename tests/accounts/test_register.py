"""Sign-up by phone."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.identity import sms_codes, tokens
from chalicelib.people import phones
from tests.accounts.conftest import ReadSms
from tests.support.accounts_client import (
    MEMBERS,
    REGISTER,
    UNUSED_PHONE,
    build_tenant_header,
    post_as_visitor,
    register,
    request_code,
    sign_in,
)
from tests.support.client import get, post
from tests.support.factories import Hospital
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.usefixtures("fast_hashes")


@pytest.fixture
def code(hospital: Hospital, read_sms: ReadSms) -> str:
    request_code(hospital)
    return read_sms(UNUSED_PHONE)[0]


def test_correct_code_creates_an_account_and_signs_in(hospital: Hospital, code: str) -> None:
    data = register(hospital, code).data
    session = tokens.find_session(data["token"])
    assert session is not None
    assert (session.tenant_id, session.principal, session.role) == (
        hospital.tenant_id,
        f"user:{data['userId']}",
        "patient",
    )
    assert get(MEMBERS, data["token"]).data == []
    assert sign_in(hospital, UNUSED_PHONE, "Neues-12345").data["userId"] == data["userId"]


def age_account(hospital: Hospital) -> None:
    sql = "UPDATE accounts SET created_at = created_at - 6000000 WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(sql, id=hospital.tenant_id)


def test_code_is_valid_once(hospital: Hospital, code: str) -> None:
    assert register(hospital, code).status == 200
    age_account(hospital)
    assert register(hospital, code).status == 400


@pytest.mark.usefixtures("frozen_clock")
def test_double_click_signs_in_to_the_same_account(hospital: Hospital, code: str) -> None:
    first, second = (register(hospital, code).data for _ in range(2))
    assert first["userId"] == second["userId"]
    assert first["token"] != second["token"]
    for one in (first, second):
        assert get(MEMBERS, one["token"]).status == 200


@pytest.mark.usefixtures("frozen_clock")
def test_repeated_sign_up_with_another_password_or_code_is_rejected(hospital: Hospital, code: str) -> None:
    assert register(hospital, code).status == 200
    other_code = f"{(int(code) + 1) % 1_000_000:06d}"
    for fields in ({"verCode": code, "password": "Anderes-12345"}, {"verCode": other_code, "password": "Neues-12345"}):
        response = post_as_visitor(hospital, REGISTER, phone=UNUSED_PHONE, **fields)
        assert (response.status, response.error.partition("：")[0]) == (400, "verCode")


@pytest.mark.usefixtures("frozen_clock")
def test_new_code_does_not_sign_in_to_an_account_that_was_just_created(hospital: Hospital, code: str) -> None:
    assert register(hospital, code).status == 200
    sql = "UPDATE codes SET is_used = 0 WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(sql, id=hospital.tenant_id)
    assert register(hospital, code).status == 409


def test_existing_account_is_revealed_only_with_the_code(hospital: Hospital, read_sms: ReadSms) -> None:
    phone = hospital.lin.phone
    assert register(hospital, "000000", phone).status == 400
    assert request_code(hospital, phone).status == 200
    [code] = read_sms(phone)
    response = register(hospital, code, phone)
    assert (response.status, response.code) == (409, 10005)
    assert sign_in(hospital, phone, "Neues-12345").status == 401


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.store
def test_concurrent_sign_ups_create_one_account(hospital: Hospital, code: str) -> None:
    calls = [lambda: register(hospital, code)] * sms_codes.MAX_TRIES  # of more at once, some count as guesses
    responses = run_in_threads(calls)
    assert len({one.data["userId"] for one in responses}) == 1
    number = "SELECT COUNT(*) FROM accounts WHERE tenant_id = %(id)s AND phone_blind = %(phone_blind)s"
    phone_blind = phones.compute_blind_index(hospital.tenant_id, UNUSED_PHONE)
    assert mysql.autocommit.fetch_value(number, id=hospital.tenant_id, phone_blind=phone_blind) == 1


def test_code_of_another_hospital_is_rejected(hospital: Hospital, other_hospital: Hospital, code: str) -> None:
    assert register(other_hospital, code).status == 400
    assert register(hospital, code).status == 200


def test_phone_has_an_account_per_hospital(hospital: Hospital, other_hospital: Hospital, read_sms: ReadSms) -> None:
    users = []
    for number, one in enumerate((hospital, other_hospital), 1):
        request_code(one)
        users.append(register(one, read_sms(UNUSED_PHONE, number)[-1]).data["userId"])
    assert users[0] != users[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("phone", value) for value in (None, "", "12800000001", 13800000077, ["13800000077"])),
        *(("verCode", value) for value in (None, "", "12345", "1234567", "12345a", 123456, "１２３４５６", ["123456"])),
        *(("password", value) for value in (None, "", "short-7", "x" * 73, 12345678, ["Neues-12345"])),
    ],
)
def test_invalid_field_is_named_and_uses_up_no_try(hospital: Hospital, code: str, field: str, value: Any) -> None:
    response = post_as_visitor(
        hospital, REGISTER, **{"phone": UNUSED_PHONE, "verCode": code, "password": "Neues-12345", field: value}
    )
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{field}：")
    assert "Neues-12345" not in response.error
    assert register(hospital, code).status == 200


def test_all_fields_are_required(hospital: Hospital) -> None:
    response = post(REGISTER, headers=build_tenant_header(hospital))
    assert response.error == "phone：必填；verCode：必填；password：必填"
