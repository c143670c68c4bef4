"""missed_block and clear_missed_block."""

from typing import Any

import pytest

from chalicelib.booking.jobs import scheduled
from tests.booking.test_declared_bookings import find_pati_id, invent_person
from tests.support.booking_client import STAFF_PATH, BookingDepartment, freeze_clock, get_iso_date, list_rows
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Person

REASON = "患者当日住院"


def get_block(person: Person, **query: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/missed_block", person.token, **query)


def clear_block(person: Person, **body: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/clear_missed_block", person.token, **{"reason": REASON, **body})


def miss_visits(department: BookingDepartment, person: Person, monkeypatch: pytest.MonkeyPatch, count: int = 2) -> None:
    """Let a person miss visits on the coming days, and set the clock to the day after the last one."""
    department.save_rules(missed_limit=2)
    for ahead in range(1, count + 1):
        department.book_slot(person, department.create_schedule(date=get_iso_date(ahead)))
    freeze_clock(monkeypatch, "08:00", ahead=count + 1)
    scheduled.mark_missed()


def test_block_of_a_patient_is_seen_and_lifted(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, pati_id = department.hospital.desk, find_pati_id(lin)
    counts = {"missed_limit": 2, "days": 90}
    miss_visits(department, lin, monkeypatch)
    found = {"blocked": True, "missed": 2, "cleared_time": "", **counts}
    assert get_block(desk, pati_id=pati_id).data == found
    schedule_id = department.create_schedule()
    assert department.submit(lin, schedule_id).status == 403
    for _ in range(2):  # a double click
        assert clear_block(desk, pati_id=pati_id).data is None
    cleared = {"blocked": False, "missed": 0, "cleared_time": f"{get_iso_date(0)} 08:00:00", **counts}
    assert get_block(department.hospital.admin, pati_id=pati_id).data == cleared
    department.book_slot(lin, schedule_id)
    [entry] = list_rows("audit_log", department.hospital)
    assert (entry["actor"].decode(), entry["action"], entry["subject"].decode(), entry["reason"]) == (
        *(desk.principal, "clear_missed"),
        *(f"patient:{pati_id}", REASON),
    )


def test_visits_missed_later_count_again(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, pati_id = department.hospital.desk, find_pati_id(lin)
    miss_visits(department, lin, monkeypatch)
    clear_block(desk, pati_id=pati_id)
    monkeypatch.undo()
    department.book_slot(lin, department.create_schedule(date=get_iso_date(4)))
    freeze_clock(monkeypatch, "08:00", ahead=5)
    scheduled.mark_missed()
    found = get_block(desk, pati_id=pati_id).data
    assert (found["missed"], found["blocked"]) == (1, False)


def test_block_of_an_account_is_seen_and_lifted(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, invented = department.hospital.desk, invent_person(lin, "虚构")
    miss_visits(department, invented, monkeypatch)
    schedule_id = department.create_schedule()
    assert department.submit(invented, schedule_id).status == 403
    assert get_block(desk, pati_id=find_pati_id(invented)).data["missed"] == 0
    assert get_block(desk, user_id=lin.user_id).data["blocked"] is True
    clear_block(desk, user_id=lin.user_id)
    assert get_block(desk, user_id=lin.user_id).data["missed"] == 0
    department.book_slot(invented, schedule_id)
    assert list_rows("audit_log", department.hospital)[0]["subject"].decode() == lin.principal


def test_without_a_limit_there_is_no_block(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    miss_visits(department, lin, monkeypatch)
    department.save_rules(missed_limit=0)
    assert get_block(department.hospital.desk, pati_id=find_pati_id(lin)).data["blocked"] is False


def test_nothing_to_lift_has_no_effect(department: BookingDepartment, lin: Person) -> None:
    assert clear_block(department.hospital.desk, pati_id=find_pati_id(lin)).data is None
    assert list_rows("audit_log", department.hospital) == []


@pytest.mark.parametrize("send", [get_block, clear_block])
def test_patient_and_account_of_others_are_not_found(
    department: BookingDepartment, other_department: BookingDepartment, send: Any
) -> None:
    desk, elsewhere = department.hospital.desk, other_department.hospital.lin
    for named in (
        {"pati_id": find_pati_id(elsewhere)},
        {"pati_id": 999_999_999},
        {"user_id": elsewhere.user_id},
        {"user_id": desk.user_id},  # no patient's account
    ):
        assert send(desk, **named).status == 404


@pytest.mark.parametrize("send", [get_block, clear_block])
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "pati_id：与 user_id 必填其一"),
        ({"pati_id": "", "user_id": 0}, "pati_id：与 user_id 必填其一"),
        ({"pati_id": 1, "user_id": 1}, "user_id：与 pati_id 只能填其一"),
        ({"pati_id": "x"}, "pati_id：必须是整数"),
        ({"user_id": -1}, "user_id"),
    ],
)
def test_invalid_fields_are_named(department: BookingDepartment, send: Any, fields: Any, error: str) -> None:
    response = send(department.hospital.desk, **fields)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(error)


@pytest.mark.parametrize("reason", ["", " ", None, "x", "x" * 256, "ab\n"])
def test_reason_is_required(department: BookingDepartment, lin: Person, reason: Any) -> None:
    response = clear_block(department.hospital.desk, pati_id=find_pati_id(lin), reason=reason)
    assert (response.status, response.error.partition("：")[0]) == (400, "reason")
