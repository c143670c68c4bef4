"""Changing the phone of an account, by its owner and by the front desk."""

from functools import partial
from typing import Any

import pytest

from chalicelib.accounts import phone_changes
from chalicelib.adapters import mysql
from chalicelib.identity import tokens
from chalicelib.identity.callers import Role
from chalicelib.people import phones
from tests.accounts.conftest import ReadSms
from tests.support import factories, inbox_client
from tests.support.account_client import (
    CHANGE_ACCOUNT_PHONE,
    CHANGE_PHONE,
    CHANGE_PHONE_CODE,
    NEW_PASSWORD,
    REASON,
    change_account_phone,
    get_account,
    leave_unused,
    limit,
    list_audit,
    read_myinfo,
    reset_by_code,
)
from tests.support.accounts_client import get_other_code, is_token_valid, sign_in
from tests.support.booking_client import list_rows
from tests.support.client import ApiResponse, post
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.usefixtures("fast_hashes")
NEW = "13800000088"


def request_codes(person: Person, read_sms: ReadSms, phone: str = NEW) -> tuple[str, str]:
    """Request both codes and return them."""
    assert post(CHANGE_PHONE_CODE, person.token).status == 200
    assert post(CHANGE_PHONE_CODE, person.token, phone=phone).status == 200
    return read_sms(person.phone)[-1], read_sms(phone)[-1]


def change(person: Person, codes: tuple[str, str], phone: str = NEW) -> ApiResponse:
    return post(CHANGE_PHONE, person.token, oldCode=codes[0], phone=phone, newCode=codes[1])


def change_by_staff(staff: Person, person: Person, phone: str = NEW) -> ApiResponse:
    return change_account_phone(staff, person, phone)


@pytest.mark.store
def test_both_codes_change_the_phone_and_end_other_sessions(
    hospital: Hospital, lin: Person, wang: Person, read_sms: ReadSms
) -> None:
    other = sign_in(hospital, lin.phone, PASSWORD).data["token"]
    assert change(lin, request_codes(lin, read_sms)).data is None
    assert read_myinfo(lin)["phone"] == NEW
    assert not is_token_valid(other)
    assert is_token_valid(wang.token)
    assert sign_in(hospital, lin.phone, PASSWORD).status == 401
    assert list_audit(hospital) == [("change_phone", lin.principal, lin.principal, "")]
    assert sign_in(hospital, NEW, PASSWORD).data["userId"] == str(lin.user_id)


@pytest.mark.parametrize("wrong", [0, 1])
def test_each_code_is_needed(lin: Person, read_sms: ReadSms, wrong: int) -> None:
    codes = [*request_codes(lin, read_sms)]
    codes[wrong] = get_other_code(codes[wrong])
    response = change(lin, (codes[0], codes[1]))
    name = ("oldCode", "newCode")[wrong]
    assert (response.status, response.error) == (400, f"{name}：验证码错误或已过期，请重新获取")
    assert read_myinfo(lin)["phone"] == lin.phone


def test_codes_are_not_exchangeable(lin: Person, wang: Person, read_sms: ReadSms) -> None:
    """A code proves one phone for one purpose: the code for the new phone is none for the old one."""
    old, new = request_codes(lin, read_sms)
    assert change(lin, (new, old)).status == 400
    assert change(wang, (old, new)).status == 400
    assert change(lin, (old, new), "13800000089").status == 400
    assert change(lin, (old, new)).status == 200


@pytest.mark.store
def test_code_for_a_phone_is_sent_once_for_a_double_click(lin: Person, read_sms: ReadSms) -> None:
    assert {post(CHANGE_PHONE_CODE, lin.token, phone=NEW).status for _ in range(2)} == {200}
    assert {one.status for one in run_in_threads([lambda: post(CHANGE_PHONE_CODE, lin.token)] * 3)} == {200}
    assert len(read_sms(NEW)) == len(read_sms(lin.phone)) == 1


def test_codes_have_the_limits_of_their_phone(lin: Person, read_sms: ReadSms) -> None:
    post(CHANGE_PHONE_CODE, lin.token)
    mysql.autocommit.execute(
        "UPDATE code_requests SET requested_at = requested_at - 6000000 WHERE tenant_id = %(id)s", id=lin.tenant_id
    )
    assert post(CHANGE_PHONE_CODE, lin.token).status == 429
    assert len(read_sms(lin.phone)) == 1


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"oldCode": "1"}, "oldCode"),
        ({"newCode": ""}, "newCode"),
        ({"phone": "12345"}, "phone"),
        ({"phone": "13800000001"}, "phone"),
        ({"phone": None}, "phone"),
    ],
)
def test_invalid_field_is_rejected(lin: Person, fields: dict[str, Any], name: str) -> None:
    valid = {"oldCode": "000000", "phone": NEW, "newCode": "000000"}
    response = post(CHANGE_PHONE, lin.token, **{**valid, **fields})
    assert response.status == 400
    assert response.error.startswith(f"{name}：")


def test_present_phone_gets_no_code_as_new_one(lin: Person) -> None:
    response = post(CHANGE_PHONE_CODE, lin.token, phone=lin.phone)
    assert (response.status, response.error) == (400, "phone：与现在的手机号相同")
    assert post(CHANGE_PHONE_CODE, lin.token, phone="1380000").status == 400


@pytest.mark.store
def test_phone_of_another_account_is_a_conflict_only_with_its_code(
    lin: Person, wang: Person, read_sms: ReadSms
) -> None:
    codes = request_codes(lin, read_sms, wang.phone)
    assert change(lin, (codes[0], get_other_code(codes[1])), wang.phone).status == 400
    response = change(lin, codes, wang.phone)
    assert (response.status, response.error) == (409, phone_changes.TAKEN_TEXT)
    assert read_myinfo(lin)["phone"] == lin.phone
    assert read_myinfo(wang)["phone"] == wang.phone


@pytest.mark.store
def test_repeated_change_has_the_same_result(hospital: Hospital, lin: Person, read_sms: ReadSms) -> None:
    codes = request_codes(lin, read_sms)
    assert [change(lin, codes).status for _ in range(2)] == [200, 200]
    assert change(lin, (codes[0], get_other_code(codes[1]))).status == 400, "another request"
    assert sign_in(hospital, NEW, PASSWORD).status == 200


@pytest.mark.store
def test_concurrent_changes_to_two_phones(hospital: Hospital, lin: Person, read_sms: ReadSms) -> None:
    """One of them uses the code of the old phone up."""
    old, first = request_codes(lin, read_sms)
    post(CHANGE_PHONE_CODE, lin.token, phone="13800000089")
    second = read_sms("13800000089")[0]
    requests = [partial(change, lin, (old, first)), partial(change, lin, (old, second), "13800000089")]
    statuses = [one.status for one in run_in_threads(requests)]
    assert sorted(statuses) in ([200, 400], [200, 409])
    phone = (NEW, "13800000089")[statuses.index(200)]
    assert sign_in(hospital, phone, PASSWORD).status == 200


@pytest.mark.store
def test_two_accounts_that_change_to_one_phone(
    hospital: Hospital, lin: Person, wang: Person, read_sms: ReadSms
) -> None:
    own = request_codes(lin, read_sms)
    post(CHANGE_PHONE_CODE, wang.token)
    other = (read_sms(wang.phone)[0], own[1])
    statuses = [one.status for one in run_in_threads([partial(change, lin, own), partial(change, wang, other)])]
    assert sorted(statuses) in ([200, 400], [200, 409]), "the code of the new phone is used once"
    winner = (lin, wang)[statuses.index(200)]
    assert sign_in(hospital, NEW, PASSWORD).data["userId"] == str(winner.user_id)


def test_front_desk_changes_the_phone_meanwhile(
    hospital: Hospital, lin: Person, read_sms: ReadSms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's request has compared both codes, and has not locked the account yet."""
    codes = request_codes(lin, read_sms)
    real = phone_changes._run_unless_taken

    def run(replace: Any) -> None:
        monkeypatch.setattr(phone_changes, "_run_unless_taken", real)
        assert change_by_staff(hospital.desk, lin, "13800000089").status == 200
        real(replace)

    monkeypatch.setattr(phone_changes, "_run_unless_taken", run)
    response = change(lin, codes)
    assert (response.status, response.error) == (409, "手机号刚刚被更换过")
    assert phones.compute_blind_index(lin.tenant_id, "13800000089") == get_account(lin)["phone_blind"]


@pytest.mark.store
def test_sign_in_during_a_change_is_valid_or_ended(hospital: Hospital, lin: Person, read_sms: ReadSms) -> None:
    """A sign-in with the old phone that succeeds before the change is ended by it; afterwards there is none."""
    codes = request_codes(lin, read_sms)
    changed, signed_in = run_in_threads([partial(change, lin, codes), partial(sign_in, hospital, lin.phone, PASSWORD)])
    assert changed.status == 200
    assert signed_in.status in (200, 401)
    if signed_in.status == 200:
        row = mysql.autocommit.fetch_one(
            "SELECT revoked_at, created_at FROM tokens WHERE token_hash = %(hash)s",
            hash=tokens.hash_token(signed_in.data["token"]),
        )
        assert row
        assert row["revoked_at"] or sign_in(hospital, lin.phone, PASSWORD).status == 401


@pytest.mark.store
@pytest.mark.parametrize("role", [Role.SERVICE_STAFF, Role.ADMIN])
def test_front_desk_changes_the_phone(
    hospital: Hospital, lin: Person, wang: Person, role: Role, read_sms: ReadSms
) -> None:
    staff = hospital.desk if role == Role.SERVICE_STAFF else hospital.admin
    assert is_token_valid(lin.token)
    assert change_by_staff(staff, lin).data is None
    assert not is_token_valid(lin.token)
    assert is_token_valid(wang.token)
    assert sign_in(hospital, NEW, PASSWORD).status == 401, "whoever has the old phone may have set it"
    reset_by_code(hospital, NEW, read_sms)
    signed_in = lin.with_token(sign_in(hospital, NEW, NEW_PASSWORD).data["token"])
    assert inbox_client.list_texts(signed_in) == [phone_changes.CHANGED_TEXT]
    assert list_audit(hospital) == [("change_account_phone", staff.principal, lin.principal, REASON)]


def test_front_desk_changes_it_once_for_a_double_click(hospital: Hospital, lin: Person) -> None:
    run_in_threads([partial(change_by_staff, hospital.desk, lin)] * 3)
    assert change_by_staff(hospital.desk, lin).status == 200
    assert len(list_audit(hospital)) == len(list_rows("site_messages", hospital)) == 1


def test_owner_at_the_front_desk_is_confirmed(hospital: Hospital, lin: Person) -> None:
    leave_unused(lin)
    limit(lin)
    change_by_staff(hospital.desk, lin)
    row = get_account(lin)
    assert (row["identity_locked_at"], row["password_hash"]) == (None, b"")


def test_front_desk_cannot_take_the_phone_of_another_account(hospital: Hospital, lin: Person, wang: Person) -> None:
    response = change_by_staff(hospital.desk, lin, wang.phone)
    assert (response.status, response.error) == (409, phone_changes.TAKEN_TEXT)
    assert is_token_valid(lin.token)
    assert list_audit(hospital) == []


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"phone": "1"}, "phone"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 256}, "reason"),
        ({"user_id": 0}, "user_id"),
    ],
)
def test_invalid_field_of_the_front_desk_is_rejected(
    hospital: Hospital, lin: Person, fields: dict[str, Any], name: str
) -> None:
    valid = {"user_id": lin.user_id, "phone": NEW, "reason": REASON}
    response = post(CHANGE_ACCOUNT_PHONE, hospital.desk.token, **{**valid, **fields})
    assert response.status == 400
    assert response.error.startswith(f"{name}：")


def test_front_desk_finds_accounts_of_its_hospital_only(
    hospital: Hospital, other_hospital: Hospital, lin: Person
) -> None:
    assert change_by_staff(other_hospital.desk, lin).status == 404
    assert change_by_staff(hospital.desk, hospital.chen).status == 404
    stranger = factories.create_patient(other_hospital.tenant_id, NEW, "同号")
    assert change_by_staff(hospital.desk, lin, stranger.phone).status == 200, "phones are unique in a hospital"
