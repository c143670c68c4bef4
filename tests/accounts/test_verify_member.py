"""Verifying a member: by the account's phone, a code to the file's phone, or the visit card."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.people.patient_status import PatientStatus
from tests.support import accounts_client, booking_client, inbox_client
from tests.support.booking_client import list_rows
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import (
    MEMBER_PATH,
    Declared,
    declare,
    file_patient,
    find_pati_id,
    get_file,
    merge_patients,
    request_member_code,
    verify_member,
    verify_patient,
)
from tests.support.id_numbers import build_unused_id_number
from tests.support.sms_provider import Provider, provider
from tests.support.statements import record_statements
from tests.support.threads import run_in_threads

__all__ = ["provider"]
pytestmark = pytest.mark.usefixtures("provider")  # jobs run when a test runs them

WRONG = "核验未通过，请核对就诊人的姓名、证件，以及验证码或就诊卡号；也可持证件到医院前台办理"
OWNERS_PHONE = "13800000055"


@pytest.fixture
def number() -> str:
    return build_unused_id_number()


def run_jobs() -> None:
    for queue in (Queue.INTERNAL, Queue.EXTERNAL, Queue.INTERNAL):
        outbox.run_due_jobs(queue)


@pytest.fixture
def verified(hospital: Hospital, number: str) -> int:
    """A verified file, whose phone no account has."""
    return file_patient(hospital.desk, number, pati_phone=OWNERS_PHONE)


@pytest.fixture
def declared(lin: Person, number: str, verified: int) -> Declared:
    """Lin's self-declared member of the same identity and name."""
    assert verified
    return declare(lin, number)


def is_bound(declared: Declared, verified: int) -> bool:
    return find_pati_id(declared.person.member_id) == verified


def test_member_is_bound_by_the_phone_of_the_account(
    hospital: Hospital, lin: Person, number: str, provider: Provider
) -> None:
    verified = file_patient(hospital.desk, number, pati_phone=lin.phone)
    declared = declare(lin, number)
    assert not is_bound(declared, verified)
    run_jobs()
    assert is_bound(declared, verified)
    [shown] = [one for one in accounts_client.list_members(lin) if one["memberId"] == str(declared.person.member_id)]
    assert (shown["bindPatiId"], shown["verified"]) == (str(verified), True)
    [merge] = list_rows("patient_merges", hospital)
    assert (merge["how"], merge["merged_by"]) == ("phone", None)
    texts = [one["msg_text"] for one in inbox_client.list_messages(lin)]
    assert texts == ["就诊人林小雨的身份已核验，已关联医院档案，可查看和预约。"]
    assert provider.sent == [], "the owner needs no text message about her own account"


@pytest.mark.parametrize("changed", [{"name": "林大雨"}, {"phone": OWNERS_PHONE}])
def test_other_name_or_phone_is_not_bound(
    hospital: Hospital, lin: Person, number: str, changed: dict[str, str]
) -> None:
    """The phone that counts is that of the account, which it has proved, not that of the member."""
    verified = file_patient(hospital.desk, number, pati_phone=lin.phone if "name" in changed else OWNERS_PHONE)
    declared = declare(lin, number, **changed)
    run_jobs()
    assert not is_bound(declared, verified)


def test_spelling_of_a_name_makes_no_difference(hospital: Hospital, lin: Person, number: str) -> None:
    verified = file_patient(hospital.desk, number, pati_name="阿依古丽·买买提", pati_phone=lin.phone)
    declared = declare(lin, number, name="阿依古丽•买买提")
    run_jobs()
    assert is_bound(declared, verified)


def test_job_of_a_verified_or_removed_member_has_no_effect(hospital: Hospital, lin: Person, number: str) -> None:
    declared = declare(lin, number)
    file_patient(hospital.desk, number, pati_phone=lin.phone)
    accounts_client.remove_member(lin, declared.person.member_id)
    run_jobs()
    assert get_file(declared.pati_id)["status"] == PatientStatus.DECLARED
    assert not [row for row in list_rows("outbox", hospital) if row["attempts"]]


def test_member_is_bound_by_a_code(
    hospital: Hospital, lin: Person, verified: int, declared: Declared, provider: Provider
) -> None:
    assert request_member_code(lin, declared.person.member_id).data is None
    run_jobs()
    [(phone, code)] = provider.sent
    assert phone == OWNERS_PHONE
    for _ in range(2):  # a double click
        result = verify_member(lin, declared.person.member_id, verCode=code)
        assert result.data == {"memberId": str(declared.person.member_id)}
    assert is_bound(declared, verified)
    [merge] = list_rows("patient_merges", hospital)
    assert (merge["how"], merge["merged_by"]) == ("code", lin.user_id)
    run_jobs()
    assert [phone for phone, _ in provider.sent[1:]] == [OWNERS_PHONE], "the notice"


def test_code_to_a_phone_that_the_desk_has_replaced_binds_nothing(
    hospital: Hospital, lin: Person, verified: int, declared: Declared, provider: Provider
) -> None:
    request_member_code(lin, declared.person.member_id)
    run_jobs()
    [(phone, code)] = provider.sent
    assert phone == OWNERS_PHONE
    assert verify_patient(hospital.desk, verified, pati_phone="13800000056", reason="本人换号").status == 200
    result = verify_member(lin, declared.person.member_id, verCode=code)
    assert (result.status, result.error) == (400, WRONG)
    assert not is_bound(declared, verified)


def test_two_concurrent_requests_with_a_code_bind_once(
    hospital: Hospital, lin: Person, declared: Declared, provider: Provider
) -> None:
    request_member_code(lin, declared.person.member_id)
    run_jobs()
    code = provider.sent[0][1]
    responses = run_in_threads([lambda: verify_member(lin, declared.person.member_id, verCode=code)] * 2)
    assert [one.status for one in responses] == [200, 200]
    assert len(list_rows("patient_merges", hospital)) == 1


def test_member_is_bound_by_a_card(hospital: Hospital, lin: Person, verified: int, declared: Declared) -> None:
    card_no = get_file(verified)["card_no"]
    assert verify_member(lin, declared.person.member_id, cardNo=card_no).status == 200
    assert is_bound(declared, verified)
    assert list_rows("patient_merges", hospital)[0]["how"] == "card"


def test_card_of_a_file_that_was_merged_is_valid(
    hospital: Hospital, lin: Person, verified: int, declared: Declared
) -> None:
    other = file_patient(hospital.desk, build_unused_id_number())
    merge_patients(hospital.desk, other, verified)
    assert verify_member(lin, declared.person.member_id, cardNo=get_file(other)["card_no"]).status == 200


def test_whatever_does_not_match_has_one_response(
    hospital: Hospital, lin: Person, wang: Person, number: str, verified: int, declared: Declared
) -> None:
    """A wrong card or code, an identity without a verified file, the right card under another name."""
    right = get_file(verified)["card_no"]
    unfiled = declare(lin, build_unused_id_number()).person
    misnamed = declare(wang, number, name="林大雨").person
    responses = [
        verify_member(lin, declared.person.member_id, cardNo="000000000000"),
        verify_member(lin, declared.person.member_id, verCode="000000"),
        verify_member(lin, unfiled.member_id, cardNo=right),
        verify_member(lin, unfiled.member_id, verCode="000000"),
        verify_member(wang, misnamed.member_id, cardNo=right),
    ]
    assert {(one.status, one.code, one.error) for one in responses} == {(400, 10001, WRONG)}
    assert list_rows("patient_merges", hospital) == []


@pytest.mark.parametrize("proof", [{"cardNo": "000000000000"}, {"verCode": "000000"}])
def test_statements_do_not_depend_on_whether_there_is_a_verified_file(
    lin: Person, declared: Declared, proof: dict[str, str]
) -> None:
    members = [declared.person.member_id, declare(lin, build_unused_id_number()).person.member_id]
    recorded = []
    for member_id in members:
        with record_statements() as statements:
            assert request_member_code(lin, member_id).status == 200
            assert verify_member(lin, member_id, **proof).status == 400
        recorded.append(statements)
    assert recorded[0] == recorded[1]


def test_no_code_is_sent_without_a_verified_file_or_under_another_name(
    lin: Person, wang: Person, number: str, provider: Provider
) -> None:
    for account, member in (
        (lin, declare(lin, build_unused_id_number()).person),
        (wang, declare(wang, number, name="林大雨").person),
    ):
        assert request_member_code(account, member.member_id).data is None
    run_jobs()
    assert provider.sent == []


def test_guesses_are_limited_for_each_account(
    lin: Person, verified: int, declared: Declared, provider: Provider
) -> None:
    card_no, member_id = get_file(verified)["card_no"], declared.person.member_id
    for number in range(5):
        assert verify_member(lin, member_id, cardNo=f"{number:012}").status == 400
    blocked = verify_member(lin, member_id, cardNo=card_no)
    assert (blocked.status, blocked.headers["Retry-After"]) == (429, "900")
    provider.wait(901)
    assert verify_member(lin, member_id, cardNo=card_no).status == 200


def test_members_of_others_are_not_found(
    lin: Person, wang: Person, other_hospital: Hospital, declared: Declared
) -> None:
    accounts_client.remove_member(lin, (removed := declare(lin, build_unused_id_number()).person).member_id)
    cases = [
        (wang, declared.person.member_id),
        (other_hospital.lin, declared.person.member_id),
        (lin, removed.member_id),
        (lin, 999_999_999),
    ]
    for account, member_id in cases:
        for response in (
            request_member_code(account, member_id),
            verify_member(account, member_id, cardNo="000000000000"),
        ):
            assert (response.status, response.error) == (404, "就诊人不存在")


@pytest.mark.parametrize(
    ("proof", "error"),
    [
        ({}, "verCode：与 cardNo 须填且只能填其一"),
        ({"verCode": "123456", "cardNo": "123456789012"}, "verCode：与 cardNo 须填且只能填其一"),
        ({"verCode": "12345"}, "verCode："),
        ({"verCode": 123456}, "verCode："),
        ({"cardNo": "1234"}, "cardNo："),
        ({"cardNo": "12345678901x"}, "cardNo："),
    ],
)
def test_invalid_proof_is_named(lin: Person, proof: dict[str, Any], error: str) -> None:
    response = verify_member(lin, lin.member_id, **proof)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(error)


@pytest.mark.parametrize("value", ["x", "", None, 0, True])
@pytest.mark.parametrize("path", ["verification_code", "verify"])
def test_invalid_member_is_named(lin: Person, path: str, value: Any) -> None:
    response = post(f"{MEMBER_PATH}/{path}", lin.token, memberId=value, verCode="123456")
    assert (response.status, response.error.partition("：")[0]) == (400, "memberId")


def test_bookings_and_consultations_follow(hospital: Hospital, lin: Person, verified: int, declared: Declared) -> None:
    department = booking_client.create_department(hospital)
    department.book_slot(declared.person, department.create_schedule())
    verify_member(lin, declared.person.member_id, cardNo=get_file(verified)["card_no"])
    [row] = list_rows("bookings", hospital)
    assert (row["pati_id"], row["is_declared"]) == (verified, 0)


def test_codes_are_limited_for_each_member(lin: Person, declared: Declared, provider: Provider) -> None:
    member_id = declared.person.member_id
    assert [request_member_code(lin, member_id).status for _ in range(2)] == [200, 200], "a double click"
    provider.wait(6)
    assert request_member_code(lin, member_id).status == 429
    provider.wait(55)
    assert request_member_code(lin, member_id).status == 200
    assert (
        mysql.autocommit.fetch_value("SELECT COUNT(*) FROM code_requests WHERE tenant_id = %(id)s", id=lin.tenant_id)
        == 2
    )
