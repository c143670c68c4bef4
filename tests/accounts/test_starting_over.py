"""start_over: the new owner of a number gets an account of their own."""

from functools import partial
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.accounts import owner_confirmation
from chalicelib.adapters import mysql
from chalicelib.people import double_submission
from tests.accounts.conftest import ReadSms
from tests.support import booking_client
from tests.support.account_client import (
    NEW_PASSWORD,
    change_account_phone,
    confirm_account,
    get_account,
    get_token_by_key,
    leave_unused,
    list_account_changes,
    read_myinfo,
    reset_by_code,
    start_over,
)
from tests.support.accounts_client import MEMBERS, MYINFO, sign_in
from tests.support.client import get
from tests.support.factories import Hospital, Person
from tests.support.recycled_phone import intruder, number
from tests.support.threads import run_in_threads

__all__ = ["intruder", "number"]
pytestmark = pytest.mark.usefixtures("fast_hashes")


@pytest.mark.store
def test_new_owner_starts_over(hospital: Hospital, lin: Person, intruder: Person) -> None:
    before = booking_client.list_rows("members", hospital)
    data = start_over(intruder).data
    assert data["userId"] != str(lin.user_id)
    assert get(MEMBERS, data["token"]).data == []
    assert read_myinfo(intruder.with_token(data["token"]))["phone"] == lin.phone
    assert sign_in(hospital, lin.phone, NEW_PASSWORD).data["userId"] == data["userId"]
    assert booking_client.list_rows("members", hospital) == before, "the old account keeps its members"
    row = get_account(lin)
    assert (row["phone_blind"], row["phone_sealed"], row["password_hash"]) == (None, None, b"")
    assert list_account_changes(hospital, lin) == [
        ("limit_account", "", {}),
        ("start_over", lin.principal, {"new_user_id": int(data["userId"])}),
    ]


@pytest.mark.store
def test_double_click_starts_over_once(hospital: Hospital, intruder: Person) -> None:
    accounts_before = len(booking_client.list_rows("accounts", hospital))
    first = start_over(intruder).data
    assert start_over(intruder).data["userId"] == first["userId"]
    assert len(booking_client.list_rows("accounts", hospital)) == accounts_before + 1


def test_sessions_of_the_old_account_end(hospital: Hospital, intruder: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    other = sign_in(hospital, intruder.phone, NEW_PASSWORD).data["token"]
    start_over(intruder)
    assert get(MYINFO, other).status == 401
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + double_submission.WINDOW + clock.SECOND)
    assert start_over(intruder).status == 401, "the session by which it was requested ends after some seconds"


def test_full_session_cannot_start_over(lin: Person) -> None:
    response = start_over(lin)
    assert (response.status, response.error) == (400, "账号已确认为本人所有，不能重新开始")


@pytest.mark.store
def test_old_owner_recovers_the_account_at_the_front_desk(
    hospital: Hospital, lin: Person, intruder: Person, read_sms: ReadSms
) -> None:
    start_over(intruder)
    new_phone = "13800000066"
    assert change_account_phone(hospital.desk, lin, new_phone).status == 200
    assert sign_in(hospital, new_phone, NEW_PASSWORD).status == 401, "the intruder's password"
    reset_by_code(hospital, new_phone, read_sms)
    data = sign_in(hospital, new_phone, NEW_PASSWORD).data
    assert data["userId"] == str(lin.user_id)
    assert len(get(MEMBERS, data["token"]).data) == 2
    assert get_account(lin)["replaced_by"] is None


def test_account_that_was_recovered_can_be_started_over_again(
    hospital: Hospital, lin: Person, intruder: Person, read_sms: ReadSms
) -> None:
    first = start_over(intruder).data["userId"]
    change_account_phone(hospital.desk, lin, "13800000066")
    leave_unused(lin)
    reset_by_code(hospital, "13800000066", read_sms)
    token = sign_in(hospital, "13800000066", NEW_PASSWORD).data["token"]
    second = start_over(lin.with_token(token)).data["userId"]
    assert second not in (first, str(lin.user_id))


def test_start_over_takes_no_phone_from_an_account_that_was_confirmed_meanwhile(
    hospital: Hospital, intruder: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request has read its session as limited, and has not locked the account yet."""
    real = owner_confirmation._start_over

    def start(*arguments: Any) -> Any:
        assert confirm_account(hospital.desk, intruder).status == 200
        return real(*arguments)

    monkeypatch.setattr(owner_confirmation, "_start_over", start)
    assert start_over(intruder).status == 400
    assert get_account(intruder)["phone_blind"]


@pytest.mark.store
def test_session_that_a_key_has_begun_cannot_start_over(hospital: Hospital, lin: Person, intruder: Person) -> None:
    """It does not prove who has the phone, neither before nor after the phone's new owner has started over."""
    by_key = lin.with_token(get_token_by_key(hospital, lin))
    response = start_over(by_key)
    assert (response.status, response.error) == (403, "请先用手机验证码重设密码并登录，再重新开始")
    assert start_over(intruder).status == 200
    assert start_over(lin.with_token(get_token_by_key(hospital, lin))).status == 403


@pytest.mark.store
@pytest.mark.parametrize(
    ("change", "status"),
    [("closed_at = 1, phone_blind = NULL, phone_sealed = NULL", 404), ("identity_locked_at = 1", 200)],
)
def test_repeated_request_gets_no_more_than_the_new_account_has(
    hospital: Hospital, intruder: Person, change: str, status: int
) -> None:
    new_id = start_over(intruder).data["userId"]
    mysql.autocommit.execute(f"UPDATE accounts SET {change} WHERE user_id = %(id)s", id=new_id)
    before = len(booking_client.list_rows("tokens", hospital))
    response = start_over(intruder)
    assert response.status == status
    if status == 200:
        assert get(MEMBERS, response.data["token"]).code == 10104
    else:
        assert len(booking_client.list_rows("tokens", hospital)) == before


@pytest.mark.store
def test_concurrent_requests_start_over_once(hospital: Hospital, intruder: Person) -> None:
    accounts_before = len(booking_client.list_rows("accounts", hospital))
    responses = run_in_threads([partial(start_over, intruder)] * 4)
    assert len({one.data["userId"] for one in responses}) == 1
    assert len(booking_client.list_rows("accounts", hospital)) == accounts_before + 1
    assert all(get(MEMBERS, one.data["token"]).status == 200 for one in responses)
