"""The deadline of cancelling and rescheduling on an earlier working day."""

from datetime import date, datetime

import pytest

from chalicelib import clock
from chalicelib.booking.schedules import rules
from tests.support.booking_client import BookingDepartment, freeze_clock, get_iso_date
from tests.support.factories import Person


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        ("2036-01-08", 1, "2036-01-07"),  # Tuesday, Monday
        ("2036-01-07", 1, "2036-01-04"),  # Monday, Friday
        ("2036-01-06", 1, "2036-01-04"),  # Sunday
        ("2036-01-08", 3, "2036-01-03"),
        ("2036-01-08", 0, "2036-01-08"),
    ],
)
def test_working_days_are_counted_back(day: str, count: int, expected: str) -> None:
    assert rules.get_workday_before(date.fromisoformat(day), count).isoformat() == expected


def test_patients_can_cancel_until_the_hour_of_the_working_day_before(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = get_iso_date(10)
    last = rules.get_workday_before(date.fromisoformat(day), 1)
    schedule_id = department.create_schedule(date=day)
    book_id = department.book_slot(lin, schedule_id)
    department.save_rules(cancel_workdays=1, cancel_hour=16)
    set_clock(monkeypatch, last, "16:00")
    for response, action in (
        (department.cancel(lin, book_id), "取消"),
        (department.reschedule(lin, book_id, schedule_id, 2), "改期"),
    ):
        assert (response.status, response.error) == (409, f"已过截止时间 {last} 16:00，不能{action}")
    assert department.reschedule_as_desk(book_id, schedule_id, 3).status == 200
    set_clock(monkeypatch, last, "15:59")
    assert department.reschedule(lin, book_id, schedule_id, 4).status == 200
    assert department.cancel(lin, book_id).status == 200


def set_clock(monkeypatch: pytest.MonkeyPatch, day: date, time: str) -> None:
    freeze_clock(monkeypatch, time)
    moment = datetime.fromisoformat(f"{day}T{time}:00+08:00")
    monkeypatch.setattr(clock, "now", lambda: int(moment.timestamp()) * clock.SECOND)
