"""Users remove their own members, who then neither book nor consult."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.billing import bookings
from chalicelib.consult import store as consult_store
from tests.support import booking_client, consult_client
from tests.support.accounts_client import MEMBER, add_member, list_members, remove_member
from tests.support.client import ApiResponse, get, post
from tests.support.consult_client import (
    PATIENT_SESSIONS,
    create_session,
    send_as_doctor,
    send_as_patient,
    send_picture_as_doctor,
    send_picture_as_patient,
    upload_picture,
)
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.id_numbers import build_unused_id_number
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def add(person: Person) -> str:
    return str(add_member(person, build_unused_id_number()).data["memberId"])


def list_ids(person: Person) -> list[tuple[str, bool]]:
    return [(one["memberId"], one["defaultMember"]) for one in list_members(person)]


def test_removed_member_is_not_listed(lin: Person) -> None:
    first, second = str(lin.member_id), add(lin)
    assert remove_member(lin, second).status == 200
    assert list_ids(lin) == [(first, True)]


def test_next_member_becomes_the_default_one(lin: Person) -> None:
    second, third = add(lin), add(lin)
    assert remove_member(lin, lin.member_id).status == 200
    assert list_ids(lin) == [(second, True), (third, False)]
    assert remove_member(lin, second).status == remove_member(lin, third).status == 200
    assert list_ids(lin) == []
    assert list_ids(lin.with_token(lin.token)) == []
    again = add(lin)
    assert list_ids(lin) == [(again, True)]


def test_double_click_and_repetition_have_no_further_effect(lin: Person) -> None:
    second, third = add(lin), add(lin)
    responses = run_in_threads([partial(remove_member, lin, lin.member_id)] * 4)
    assert {one.status for one in responses} == {200}
    assert remove_member(lin, lin.member_id).status == 200
    assert list_ids(lin) == [(second, True), (third, False)]


def test_person_who_was_removed_is_added_as_a_new_member(lin: Person) -> None:
    number = build_unused_id_number()
    first = add_member(lin, number).data["memberId"]
    remove_member(lin, first)
    second = add_member(lin, number).data["memberId"]
    assert second != first
    assert [one for one, _ in list_ids(lin)] == [str(lin.member_id), second]


def test_members_of_others_are_not_found(lin: Person, wang: Person, other_hospital: Hospital) -> None:
    for other in (wang, other_hospital.lin):
        response = remove_member(lin, other.member_id)
        assert (response.status, response.code) == (404, 10004)
        assert len(list_members(other)) == 1
    assert remove_member(lin, 999_999_999).status == 404


@pytest.mark.parametrize("member_id", [None, "", "a", 0, -1, 1.5, True])
def test_invalid_id_is_named(lin: Person, member_id: Any) -> None:
    response = remove_member(lin, member_id)
    assert (response.status, response.error.partition("：")[0]) == (400, "memberId")


def test_member_with_a_booking_to_come_is_not_removed(hospital: Hospital, lin: Person) -> None:
    department = booking_client.create_department(hospital)
    book_id = department.book_slot(lin, department.create_schedule())
    response = remove_member(lin, lin.member_id)
    assert (response.status, response.code, response.error) == (409, 10005, "该就诊人还有未完成的预约，请先取消")
    assert len(list_members(lin)) == 1
    assert department.cancel(lin, book_id).status == 200
    assert remove_member(lin, lin.member_id).status == 200


def test_removed_member_cannot_book(hospital: Hospital, lin: Person) -> None:
    department = booking_client.create_department(hospital)
    schedule_id = department.create_schedule()
    remove_member(lin, lin.member_id)
    assert department.submit(lin, schedule_id).status == 404


def run_while_paused(
    monkeypatch: pytest.MonkeyPatch, target: Any, name: str, work: Callable[[], Any], other: Callable[[], Any]
) -> tuple[Any, Any]:
    """Pause `work` after it has called a function, until `other` waits for a lock of it; return both results."""
    reached, proceed, real = Event(), Event(), getattr(target, name)

    def pause(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        if not reached.is_set():
            reached.set()
            assert proceed.wait(10)
        return result

    monkeypatch.setattr(target, name, pause)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(work)
        assert reached.wait(10)
        second = pool.submit(other)
        wait_until(is_row_lock_waiting)
        proceed.set()
        return first.result(), second.result()


def test_removal_and_booking_wait_for_each_other(
    hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The booking that began after the removal had looked for bookings finds no member."""
    department = booking_client.create_department(hospital)
    schedule_id = department.create_schedule()
    removed, booked = run_while_paused(
        monkeypatch,
        bookings,
        "has_member_to_come",
        lambda: remove_member(lin, lin.member_id),
        lambda: department.submit(lin, schedule_id),
    )
    assert (removed.status, booked.status) == (200, 404)
    assert booking_client.list_rows("bookings", hospital) == []


def test_consultations_of_a_removed_member_end(lin: Person, chen: Person) -> None:
    send_as_patient(lin, chen, "您好")
    session_no = create_session(lin, chen)
    pictures = [upload_picture(one, session_no) for one in (lin, chen)]
    add(lin)
    remove_member(lin, lin.member_id)
    rejected: list[ApiResponse] = [
        send_as_patient(lin, chen, "在吗"),
        send_as_patient(lin, chen, "在吗", session_no=session_no),
        send_picture_as_patient(lin, chen, pictures[0]),
        send_as_doctor(chen, session_no, "请讲"),
        send_picture_as_doctor(chen, session_no, pictures[1]),
        post(consult_client.INSERT_SESSION, lin.token, member_id=lin.member_id, doctor_id=chen.user_id),
    ]
    assert [one.status for one in rejected] == [403, 403, 404, 403, 403, 404]
    assert get(PATIENT_SESSIONS, lin.token).data == []
    assert consult_client.list_as_patient(lin, session_no).status == 404
    [message] = consult_client.list_as_doctor(chen, session_no).data
    assert message["message"] == "您好", "the doctor's records stay"


def test_session_is_not_created_for_a_member_who_is_being_removed(
    lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    created, removed = run_while_paused(
        monkeypatch,
        consult_store,
        "lock_member",
        lambda: post(consult_client.INSERT_SESSION, lin.token, member_id=lin.member_id, doctor_id=chen.user_id),
        lambda: remove_member(lin, lin.member_id),
    )
    assert (created.status, removed.status) == (200, 200)
    session_no = created.data["session_no"]
    assert send_as_doctor(chen, session_no, "您好").status == 403, "the removal found the session"
    sql = "SELECT COUNT(*) FROM conversations WHERE public_id = %(id)s AND archived_at IS NOT NULL"
    assert mysql.autocommit.fetch_value(sql, id=session_no.encode()) == 1


def test_only_patients_remove_members(hospital: Hospital) -> None:
    for person in (hospital.chen, hospital.desk, hospital.admin):
        assert post(f"{MEMBER}/remove", person.token, memberId=1).status == 403
