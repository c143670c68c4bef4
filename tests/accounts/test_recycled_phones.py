"""Accounts whose phone may belong to another person now: they are limited after a password reset by code."""

from functools import partial
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import tokens
from chalicelib.people import account_states
from tests.accounts.conftest import ReadSms
from tests.support import booking_client, factories
from tests.support.account_client import (
    CHANGE_PHONE_CODE,
    CLOSE_CODE,
    CONFIRM_ACCOUNT,
    CONFIRM_IDENTITY,
    NEW_PASSWORD,
    REASON,
    change_account_phone,
    confirm_account,
    confirm_identity,
    get_account,
    get_token_by_key,
    leave_unused,
    limit,
    list_account_changes,
    list_audit,
    list_audit_details,
    read_myinfo,
    reset_by_another_code,
    reset_by_code,
    sign_in_limited,
    start_over,
)
from tests.support.accounts_client import MEMBERS, add_member, is_token_valid, sign_in
from tests.support.client import get, post
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_unused_id_number
from tests.support.recycled_phone import intruder, number
from tests.support.threads import run_in_threads

__all__ = ["intruder", "number"]
pytestmark = pytest.mark.usefixtures("fast_hashes")


@pytest.mark.store
def test_new_owner_of_a_number_sees_nothing_of_the_old_one(lin: Person, intruder: Person) -> None:
    response = get(MEMBERS, intruder.token)
    assert (response.status, response.code) == (403, 10104)
    assert read_myinfo(intruder) == {
        "phone": lin.phone,
        "avatar": "",
        "name": "",
        "gender": 0,
        "birthday": None,
        "age": "",
        "pati_img": "",
        "pati_id": "",
    }


@pytest.mark.parametrize(("days", "limited"), [(89, False), (91, True)])
def test_only_an_unused_account_is_limited(
    hospital: Hospital, lin: Person, read_sms: ReadSms, days: int, limited: bool
) -> None:
    leave_unused(lin, days)
    reset_by_code(hospital, lin.phone, read_sms)
    token = sign_in(hospital, lin.phone, NEW_PASSWORD).data["token"]
    assert (get(MEMBERS, token).status == 403) is limited
    assert (get_account(lin)["identity_locked_at"] is not None) is limited


def test_sign_in_counts_as_use(hospital: Hospital, lin: Person, read_sms: ReadSms) -> None:
    leave_unused(lin)
    sign_in(hospital, lin.phone, factories.PASSWORD)
    reset_by_code(hospital, lin.phone, read_sms)
    assert is_token_valid(sign_in(hospital, lin.phone, NEW_PASSWORD).data["token"])


def test_password_of_an_unused_account_suffices(hospital: Hospital, lin: Person) -> None:
    leave_unused(lin, 400)
    assert get(MEMBERS, sign_in(hospital, lin.phone, factories.PASSWORD).data["token"]).status == 200


def test_account_without_members_is_limited_too(hospital: Hospital, lin: Person, read_sms: ReadSms) -> None:
    """It may have a profile, chats with the help desk and messages; nobody else can tell whose they are."""
    mysql.autocommit.execute("DELETE FROM members WHERE user_id = %(id)s", id=lin.user_id)
    limited = sign_in_limited(hospital, lin, read_sms)
    assert get(MEMBERS, limited.token).code == 10104
    assert confirm_identity(limited, build_unused_id_number()).status == 400
    assert confirm_account(hospital.desk, lin).status == 200
    reset_by_another_code(hospital, lin.phone, read_sms)
    assert is_token_valid(sign_in(hospital, lin.phone, NEW_PASSWORD).data["token"])


def test_signing_in_to_a_limited_account_is_no_use_of_it(hospital: Hospital, lin: Person, read_sms: ReadSms) -> None:
    sign_in_limited(hospital, lin, read_sms)
    assert get_account(lin)["last_sign_in_at"] < clock.now() - 90 * clock.DAY


@pytest.mark.store
def test_document_of_a_member_lifts_the_limit_of_its_session(hospital: Hospital, intruder: Person, number: str) -> None:
    """Whoever has begun another session is not known."""
    other = sign_in(hospital, intruder.phone, NEW_PASSWORD).data["token"]
    assert confirm_identity(intruder, number).data is None
    assert get(MEMBERS, intruder.token).status == 200
    assert get(MEMBERS, other).status == 401
    assert confirm_identity(intruder, number).status == 200, "a double click"
    assert list_account_changes(hospital, intruder) == [
        ("limit_account", "", {}),
        ("confirm_account", intruder.principal, {"how": "document", "removed_password": False}),
    ]
    assert get(MEMBERS, sign_in(hospital, intruder.phone, NEW_PASSWORD).data["token"]).status == 200


@pytest.mark.store
def test_confirmation_with_a_token_by_key_ends_what_the_new_owner_has(
    hospital: Hospital, lin: Person, intruder: Person, number: str, read_sms: ReadSms
) -> None:
    """The old owner comes through the hospital's own system, without the phone."""
    owner = lin.with_token(get_token_by_key(hospital, lin))
    assert confirm_identity(owner, number).status == 200
    assert get(MEMBERS, owner.token).status == 200
    assert get(MEMBERS, intruder.token).status == 401
    assert sign_in(hospital, lin.phone, NEW_PASSWORD).status == 401
    [entry] = list_audit_details(hospital, "confirm_account", lin.principal)
    assert entry["key_id"]
    assert (entry["actor"], entry["how"], entry["removed_password"]) == (lin.principal, "document", True)
    reset_by_another_code(hospital, lin.phone, read_sms)
    again = sign_in(hospital, lin.phone, NEW_PASSWORD).data["token"]
    assert get(MEMBERS, again).code == 10104, "the key has not proved who has the phone"


def test_number_may_be_written_in_any_way(intruder: Person, number: str) -> None:
    assert confirm_identity(intruder, f" {number.lower()} ", idType="02").status == 200


@pytest.mark.store
def test_five_wrong_documents_lock_it_for_a_day(
    hospital: Hospital, intruder: Person, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = [confirm_identity(intruder, build_unused_id_number()).status for _ in range(6)]
    assert statuses == [400] * 5 + [429]
    response = confirm_identity(intruder, number)
    assert (response.status, response.error) == (429, "尝试次数过多，请 24 小时后再试，或到医院前台办理")
    assert int(response.headers["Retry-After"]) == 86_400
    again = intruder.with_token(sign_in(hospital, intruder.phone, NEW_PASSWORD).data["token"])
    assert confirm_identity(again, number).status == 429, "a new session has no new tries"
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + 20 * 60 * clock.SECOND)
    assert confirm_identity(intruder, number).status == 429
    monkeypatch.setattr(clock, "now", lambda: now() + clock.DAY + clock.SECOND)
    assert confirm_identity(intruder, number).status == 200


def test_tries_in_parallel_are_counted(intruder: Person) -> None:
    numbers = [build_unused_id_number() for _ in range(9)]
    statuses = [one.status for one in run_in_threads([partial(confirm_identity, intruder, one) for one in numbers])]
    assert sorted(statuses) == [400] * 5 + [429] * 4


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"IDNo": ""}, "IDNo"),
        ({"IDNo": "123"}, "IDNo"),
        ({"IDNo": "x" * 65}, "IDNo"),
        ({}, "IDNo"),
        ({"IDNo": "11010519900517002X", "idType": "ZZ"}, "idType"),
    ],
)
def test_invalid_document_uses_no_try(intruder: Person, number: str, fields: dict[str, Any], name: str) -> None:
    for _ in range(6):
        response = post(CONFIRM_IDENTITY, intruder.token, **fields)
        assert response.status == 400
        assert response.error.startswith(f"{name}：")
    assert confirm_identity(intruder, number).status == 200


def test_documents_of_other_accounts_and_removed_members_do_not_count(
    intruder: Person, wang: Person, number: str
) -> None:
    theirs = build_unused_id_number()
    add_member(wang, theirs)
    assert confirm_identity(intruder, theirs).status == 400
    mysql.autocommit.execute("UPDATE members SET live = NULL WHERE user_id = %(id)s", id=intruder.user_id)
    assert confirm_identity(intruder, number).status == 400


def test_full_session_needs_no_confirmation(lin: Person) -> None:
    assert confirm_identity(lin, "11010519900517002X").status == 200


@pytest.mark.store
def test_front_desk_confirms(hospital: Hospital, intruder: Person, read_sms: ReadSms) -> None:
    for _ in range(6):
        confirm_identity(intruder, build_unused_id_number())
    assert [confirm_account(hospital.desk, intruder).status for _ in range(2)] == [200, 200]
    assert get(MEMBERS, intruder.token).status == 401, "the desk does not know whose session it is"
    assert sign_in(hospital, intruder.phone, NEW_PASSWORD).status == 401
    reset_by_another_code(hospital, intruder.phone, read_sms)
    assert get(MEMBERS, sign_in(hospital, intruder.phone, NEW_PASSWORD).data["token"]).status == 200
    assert list_audit(hospital) == [
        ("limit_account", "", intruder.principal, ""),
        ("confirm_account", hospital.desk.principal, intruder.principal, REASON),
    ]


def test_front_desk_does_not_confirm_an_account_that_has_lost_its_phone(
    hospital: Hospital, lin: Person, intruder: Person
) -> None:
    start_over(intruder)
    response = confirm_account(hospital.desk, lin)
    assert (response.status, response.error) == (409, "账号没有手机号，请用更换手机号办理")


def test_front_desk_needs_an_account_of_its_hospital_and_a_reason(
    hospital: Hospital, other_hospital: Hospital, intruder: Person
) -> None:
    assert confirm_account(other_hospital.desk, intruder).status == 404
    assert confirm_account(hospital.desk, hospital.chen).status == 404
    assert post(CONFIRM_ACCOUNT, hospital.desk.token, user_id=intruder.user_id).status == 400
    assert post(CONFIRM_ACCOUNT, hospital.desk.token, user_id=intruder.user_id, reason="").status == 400
    assert get(MEMBERS, intruder.token).status == 403


def test_limit_survives_another_reset(hospital: Hospital, intruder: Person, read_sms: ReadSms) -> None:
    reset_by_another_code(hospital, intruder.phone, read_sms)
    assert get(MEMBERS, sign_in(hospital, intruder.phone, NEW_PASSWORD).data["token"]).status == 403


def test_confirmation_and_start_over_meet(hospital: Hospital, intruder: Person, number: str) -> None:
    """One of them comes first: a confirmed account keeps its phone."""
    confirmed, started = run_in_threads([partial(confirm_identity, intruder, number), partial(start_over, intruder)])
    assert confirmed.status in (200, 400, 401)
    assert started.status in (200, 400)
    assert (sign_in(hospital, intruder.phone, NEW_PASSWORD).data["userId"] == str(intruder.user_id)) is (
        started.status == 400
    )


@pytest.mark.store
def test_internal_key_gets_a_limited_token_and_does_not_act(hospital: Hospital, lin: Person) -> None:
    limit(lin)
    headers = {"X-Internal-Key": hospital.internal_key}
    assert get(MEMBERS, get_token_by_key(hospital, lin)).code == 10104
    named = {**headers, "newUserId": str(lin.user_id)}
    assert post("/message/messageCount", headers=named, userType=2).code == 10104


def test_front_desk_removes_a_password_that_the_new_owner_of_a_number_has_set(
    hospital: Hospital, lin: Person, intruder: Person, read_sms: ReadSms
) -> None:
    assert intruder.token
    change_account_phone(hospital.desk, lin, "13800000066")
    assert sign_in(hospital, "13800000066", NEW_PASSWORD).status == 401
    reset_by_code(hospital, "13800000066", read_sms)
    token = sign_in(hospital, "13800000066", NEW_PASSWORD).data["token"]
    assert len(get(MEMBERS, token).data) == 2


@pytest.mark.parametrize("path", [CHANGE_PHONE_CODE, CLOSE_CODE])
def test_account_without_phone_gets_no_code(hospital: Hospital, lin: Person, path: str) -> None:
    """The hospital's own system can give its owner a token."""
    mysql.run_transaction(lambda tx: account_states.remove_phone(tx, lin.tenant_id, lin.user_id))
    response = post(path, lin.token)
    assert (response.status, response.error) == (409, "账号没有手机号，请到医院前台办理")
    assert booking_client.list_rows("code_requests", hospital) == []


def test_limited_session_stays_so_when_its_token_is_cached(intruder: Person) -> None:
    for _ in range(2):
        assert get(MEMBERS, intruder.token).code == 10104
    assert tokens.find_session(intruder.token)
