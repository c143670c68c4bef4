"""Which bookings the jobs find, and times of day as text."""

from datetime import timedelta

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.booking.jobs import job_store
from chalicelib.booking.jobs.job_store import DueBooking
from chalicelib.booking.schedules import slots
from tests.support.booking_client import BookingDepartment, list_rows
from tests.support.factories import Person

pytestmark = pytest.mark.store


def test_booking_is_marked_as_reminded_once(department: BookingDepartment, lin: Person) -> None:
    book_id = int(department.book_slot(lin, department.create_schedule()))
    due = DueBooking(tenant_id=lin.tenant_id, book_id=book_id, user_id=lin.user_id)
    assert [job_store.mark_reminded(mysql.autocommit, due) for _ in range(2)] == [True, False]


def test_unpaid_booking_is_overdue_at_its_deadline(department: BookingDepartment, lin: Person) -> None:
    department.save_rules(pay_minutes=30)
    book_id = int(department.book_slot(lin, department.create_schedule()))
    [booking] = list_rows("bookings", department.hospital)
    overdue = [
        book_id in [one.book_id for one in job_store.list_unpaid_overdue(mysql.autocommit, now, 1000)]
        for now in (booking["pay_by"] - 1, booking["pay_by"])
    ]
    assert overdue == [False, True]
    assert abs(booking["pay_by"] - booking["created_at"] - 30 * 60 * clock.SECOND) < clock.SECOND


def test_times_of_day_are_parsed_and_formatted_to_the_minute() -> None:
    assert slots.parse_time("08:15") == timedelta(hours=8, minutes=15)
    assert slots.format_time(timedelta(hours=23, minutes=59)) == "23:59"


def test_gender_of_the_member_is_shown(department: BookingDepartment, lin: Person) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    for gender, label in ((1, "男"), (2, "女"), (9, "未知")):
        mysql.autocommit.execute(
            "UPDATE patients SET gender = %(gender)s WHERE tenant_id = %(tenant_id)s",
            gender=gender,
            tenant_id=lin.tenant_id,
        )
        assert department.get_booking(lin, book_id).data["memberGender"] == label
