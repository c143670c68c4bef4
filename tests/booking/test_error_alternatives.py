"""Rejected requests name what can be booked instead: other half-days of the department, and the waitlist."""

import pytest

from chalicelib.outbox import outbox
from tests.support.booking_client import AFTERNOON, BookingDepartment, create_patient, get_iso_date
from tests.support.factories import Person
from tests.support.staff_client import create_patient_file

pytestmark = pytest.mark.store


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No job gives a slot to those who wait."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


@pytest.fixture
def full(department: BookingDepartment) -> str:
    """A morning of Doctor Chen of which the only slot is booked."""
    schedule_id = department.create_schedule(slots=1)
    department.book_slot(create_patient(department, 1), schedule_id)
    return schedule_id


def list_errors(department: BookingDepartment, person: Person, schedule_id: str) -> set[str]:
    """Return the texts with which booking and rescheduling are rejected."""
    moving = department.book_slot(person, department.create_schedule(date=get_iso_date(9)))
    responses = [department.submit(person, schedule_id), department.reschedule(person, moving, schedule_id)]
    assert {one.status for one in responses} == {409}
    department.cancel(person, moving)
    return {one.error for one in responses}


def test_full_half_day_names_others_of_the_doctor_then_of_the_department(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, full: str
) -> None:
    zhou = department.hospital.zhou.user_id
    department.create_schedule(date=get_iso_date(2), doctor_id=zhou)
    department.create_schedule(date=get_iso_date(3), doctor_id="", **AFTERNOON)
    department.create_schedule(date=get_iso_date(4))
    other_department.create_schedule()
    expected = (
        f"1号已被预约，该半天已约满，可改约 {get_iso_date(4)} 上午（陈医生）、{get_iso_date(9)} 上午（陈医生）、"
        f"{get_iso_date(2)} 上午（周医生），或加入候补"
    )
    assert list_errors(department, lin, full) == {expected}


def test_only_what_can_be_booked_is_named(department: BookingDepartment, lin: Person, wang: Person, full: str) -> None:
    """Not what is full, stopped, not released, for the front desk or the day itself, or for those who wait."""
    department.save_rules(days_ahead=8)
    zhou = department.hospital.zhou.user_id
    department.book_slot(wang, department.create_schedule(date=get_iso_date(2), slots=1))
    department.stop_schedule(department.create_schedule(date=get_iso_date(3)))
    department.create_schedule(date=get_iso_date(4), release_days=1)
    department.create_schedule(date=get_iso_date(5), desk_slots=2, same_day_slots=2)
    department.create_schedule(date=get_iso_date(9))
    held = department.create_schedule(date=get_iso_date(6), slots=1, doctor_id=zhou)
    book_id = department.book_slot(wang, held)
    department.join_waitlist(lin, held)
    department.save_rules(quiet_from=0, quiet_to=23)
    department.cancel(wang, book_id)
    assert department.submit(lin, full).error == "1号已被预约，该半天已约满，可加入候补"
    department.save_rules(waitlist_limit=0)
    assert department.submit(lin, full).error == "1号已被预约，该半天已约满"


def test_stopped_half_day_names_others(department: BookingDepartment, lin: Person) -> None:
    stopped = department.create_schedule()
    department.stop_schedule(stopped)
    department.create_schedule(**AFTERNOON)
    others = f"{get_iso_date(1)} 下午（陈医生）、{get_iso_date(9)} 上午（陈医生）"
    assert list_errors(department, lin, stopped) == {f"该排班已停诊，可改约 {others}"}
    assert department.join_waitlist(lin, stopped).error == f"该排班已停诊，可改约 {others}"


def test_front_desk_reads_of_half_days_but_not_of_the_waitlist(department: BookingDepartment, full: str) -> None:
    pati_id = create_patient_file(department.hospital.desk)
    assert department.book_for_patient(pati_id, full).error == "1号已被预约，该半天已约满"
    department.create_schedule(date=get_iso_date(4), release_days=1)
    expected = f"1号已被预约，该半天已约满，可改约 {get_iso_date(4)} 上午（陈医生）"
    assert department.book_for_patient(pati_id, full).error == expected
