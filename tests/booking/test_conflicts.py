"""Bookings of one patient must not conflict: book/submit and book/schedule with two doctors."""

from typing import Any

import pytest

from tests.support.booking_client import BOOKING_PATH, BookingDepartment, create_second_account, get_iso_date, list_rows
from tests.support.client import ApiResponse, post
from tests.support.factories import Person


@pytest.fixture
def morning(department: BookingDepartment) -> str:
    """A morning of Doctor Chen with slots at 8, 9, 10, 11, 12 and 13 o'clock."""
    return department.create_schedule(end="14:00", slots=6)


def create_noon(department: BookingDepartment, **fields: Any) -> str:
    """Create an afternoon of Doctor Zhou with slots at 12, 13 and 14 o'clock."""
    known = {"half": "PM", "begin": "12:00", "end": "15:00", "slots": 3, "doctor_id": department.hospital.zhou.user_id}
    return department.create_schedule(**{**known, **fields})


def check(person: Person, schedule_id: str) -> ApiResponse:
    return post(f"{BOOKING_PATH}/book/schedule", person.token, scheduleId=schedule_id, memberId=person.member_id)


def test_bookings_of_a_patient_begin_an_hour_apart(department: BookingDepartment, lin: Person, morning: str) -> None:
    noon = create_noon(department)
    department.book_slot(lin, morning, 5)
    response = department.submit(lin, noon, 1)
    error = f"就诊人已有预约 {get_iso_date(1)} 12:00（呼吸内科 陈医生），两次就诊须相隔 60 分钟以上，请选择其他时间"
    assert (response.status, response.code, response.error) == (409, 10005, error)
    assert department.submit(lin, noon, 2).status == 200
    assert len(list_rows("bookings", department.hospital)) == 2


@pytest.mark.parametrize(
    ("gap_minutes", "statuses"), [(0, [409, 200]), (1, [409, 200]), (60, [409, 200]), (61, [409, 409])]
)
def test_hospital_sets_the_gap(
    department: BookingDepartment, lin: Person, morning: str, gap_minutes: int, statuses: list[int]
) -> None:
    department.save_rules(gap_minutes=gap_minutes)
    noon = create_noon(department)
    department.book_slot(lin, morning, 5)
    assert [department.submit(lin, noon, slot).status for slot in (1, 2)] == statuses


def test_booking_at_the_same_time_conflicts_without_a_gap_too(
    department: BookingDepartment, lin: Person, morning: str
) -> None:
    department.save_rules(gap_minutes=0)
    department.book_slot(lin, morning, 5)
    assert department.submit(lin, create_noon(department), 1).error.endswith("，就诊时间相同，请选择其他时间")


def test_gap_spans_midnight(department: BookingDepartment, lin: Person) -> None:
    night = create_noon(department, begin="23:00", end="23:50", slots=2)
    next_day = department.create_schedule(date=get_iso_date(2), begin="00:00", end="03:00", slots=3)
    department.book_slot(lin, next_day, 1)
    assert department.submit(lin, night, 2).status == 409
    assert department.submit(lin, night, 1).status == 200


def test_booking_of_another_account_conflicts_and_its_place_is_not_revealed(
    department: BookingDepartment, lin: Person, morning: str
) -> None:
    department.book_slot(lin, morning, 5)
    response = department.submit(create_second_account(department, lin), create_noon(department), 1)
    error = f"就诊人已有预约 {get_iso_date(1)} 12:00（其他账号预约），两次就诊须相隔 60 分钟以上，请选择其他时间"
    assert (response.status, response.error) == (409, error)


def test_cancelled_bookings_and_other_patients_do_not_conflict(
    department: BookingDepartment, lin: Person, wang: Person, morning: str
) -> None:
    noon = create_noon(department)
    department.cancel(lin, department.book_slot(lin, morning, 5))
    assert department.submit(lin, noon, 1).status == 200
    assert department.submit(wang, morning, 5).status == 200


def test_half_day_is_free_if_one_of_its_slots_is(department: BookingDepartment, lin: Person, morning: str) -> None:
    noon = create_noon(department)
    short = create_noon(department, end="13:00", slots=2, doctor_id="")
    department.book_slot(lin, morning, 5)
    assert (check(lin, noon).status, check(lin, noon).data) == (200, None)
    response = check(lin, short)
    error = f"就诊人已有预约 {get_iso_date(1)} 12:00（呼吸内科 陈医生），两次就诊须相隔 60 分钟以上，请选择其他时间"
    assert (response.status, response.error) == (409, error)
