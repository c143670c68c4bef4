"""Entries of the waitlist that end: notified once, and none keeps the slots of other schedules from being given."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.calendar import calendar_store
from chalicelib.booking.reservations import waitlist_store
from chalicelib.booking.waitlist import endings, offering
from tests.support.booking_client import BookingDepartment, create_patient, get_iso_date, list_rows
from tests.support.factories import Person
from tests.support.inbox_client import list_texts

pytestmark = pytest.mark.usefixtures("nine_o_clock")


@pytest.fixture
def schedule_id(department: BookingDepartment, lin: Person) -> str:
    """A half-day in three days whose only slot Lin has booked."""
    found = department.create_schedule(slots=1, date=get_iso_date(3))
    department.book_slot(lin, found)
    return found


@pytest.fixture
def people(department: BookingDepartment) -> list[Person]:
    return [create_patient(department, number) for number in range(2)]


def _list_states(department: BookingDepartment) -> list[str]:
    return [row["state"] for row in list_rows("waitlist_entries", department.hospital)]


def test_entry_is_ended_and_notified_once(
    department: BookingDepartment, schedule_id: str, people: list[Person]
) -> None:
    tenant_id = department.hospital.tenant_id
    department.join_waitlist(people[0], schedule_id)
    mysql.autocommit.execute("UPDATE members SET live = NULL WHERE member_id = %(id)s", id=people[0].member_id)
    found = waitlist_store.find_first(mysql.autocommit, tenant_id, int(schedule_id))
    assert found
    for _ in range(2):  # two processes have read the same entry
        mysql.run_transaction(lambda tx: endings.end_entry(tx, tenant_id, found))
    assert _list_states(department) == ["ended"]
    assert len(list_texts(people[0])) == 1


def test_who_has_just_left_is_not_notified_of_the_end(
    department: BookingDepartment, schedule_id: str, people: list[Person]
) -> None:
    tenant_id = department.hospital.tenant_id
    [entry] = department.join_waitlist(people[0], schedule_id).data
    found = waitlist_store.find_first(mysql.autocommit, tenant_id, int(schedule_id))
    assert found
    department.leave_waitlist(people[0], entry["entryId"])
    mysql.run_transaction(lambda tx: endings.end_entry(tx, tenant_id, found))
    assert (_list_states(department), list_texts(people[0])) == (["left"], [])


def test_a_schedule_that_fails_does_not_stop_the_others(
    department: BookingDepartment, lin: Person, schedule_id: str, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    department.join_waitlist(people[0], schedule_id)
    other = department.create_schedule(slots=1, date=get_iso_date(4))
    book_id = department.book_slot(lin, other)
    department.join_waitlist(people[1], other)
    department.cancel(lin, book_id)
    original = calendar_store.find_schedule_and_rules

    def find(tx: Any, tenant_id: int, found_id: int) -> Any:
        if found_id == int(schedule_id):
            raise ValueError("fails")
        return original(tx, tenant_id, found_id)

    monkeypatch.setattr(calendar_store, "find_schedule_and_rules", find)
    with pytest.raises(ExceptionGroup):
        offering.offer_all()
    assert _list_states(department) == ["waiting", "offered"]
