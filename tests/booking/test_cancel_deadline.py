"""The deadline of cancelling and rescheduling on an earlier working day."""

from datetime import date, datetime
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.booking.schedules import closure_store, makeup_store, working_days
from tests.support.booking_client import BookingDepartment, freeze_clock, get_iso_date
from tests.support.factories import Hospital, Person


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
def test_working_days_are_counted_back(hospital: Hospital, day: str, count: int, expected: str) -> None:
    assert get_workday_before(hospital, day, count) == expected


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        ("2026-02-24", 1, "2026-02-14"),  # Tuesday after the Spring Festival: the Saturday before it is worked on
        ("2026-02-24", 2, "2026-02-13"),
        ("2026-03-02", 1, "2026-02-28"),  # Monday: Saturday
        ("2026-03-02", 2, "2026-02-27"),
        ("2026-02-16", 1, "2026-02-14"),  # a clinic on a holiday
    ],
)
def test_closed_days_are_left_out_and_makeup_days_count(
    hospital: Hospital, other_hospital: Hospital, day: str, count: int, expected: str
) -> None:
    close(hospital, "2026-02-15", "2026-02-23")
    close(hospital, "2026-02-13", "2026-02-14", hospital.chen.user_id)  # a doctor's leave
    for one in ("2026-02-14", "2026-02-28"):
        insert_makeup_day(hospital, one)
    close(other_hospital, "2026-02-13", "2026-02-14")
    withdrawn = close(hospital, "2026-02-27", "2026-02-28")
    mysql.run_transaction(lambda tx: closure_store.end(tx, hospital.tenant_id, withdrawn))
    assert get_workday_before(hospital, day, count) == expected
    assert get_workday_before(hospital, "2026-02-27", 1) == "2026-02-26"


def test_makeup_day_on_which_the_hospital_is_closed_is_none(hospital: Hospital) -> None:
    insert_makeup_day(hospital, "2026-02-28")
    close(hospital, "2026-02-28", "2026-02-28")
    assert get_workday_before(hospital, "2026-03-02", 1) == "2026-02-27"


def get_workday_before(hospital: Hospital, day: str, count: int) -> str:
    tenant_id = hospital.tenant_id
    return working_days.get_workday_before(mysql.autocommit, tenant_id, date.fromisoformat(day), count).isoformat()


def close(hospital: Hospital, first: str, last: str, doctor_id: Any = None) -> int:
    days = (date.fromisoformat(first), date.fromisoformat(last))
    return mysql.run_transaction(
        lambda tx: closure_store.insert(tx, hospital.tenant_id, doctor_id, days, "放假", hospital.admin.user_id)
    )


def insert_makeup_day(hospital: Hospital, day: str) -> None:
    mysql.run_transaction(
        lambda tx: makeup_store.insert(tx, hospital.tenant_id, date.fromisoformat(day), 1, hospital.admin.user_id)
    )


def test_patients_can_cancel_until_the_hour_of_the_working_day_before(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = get_iso_date(10)
    last = date.fromisoformat(get_workday_before(department.hospital, day, 1))
    schedule_id = department.create_schedule(date=day)
    book_id = department.book_slot(lin, schedule_id)
    department.save_rules(cancel_workdays=1, cancel_hour=16)
    set_clock(monkeypatch, last, "16:00")
    for response, action in (
        (department.cancel(lin, book_id), "取消"),
        (department.reschedule(lin, book_id, schedule_id, 2), "改期"),
    ):
        assert (response.status, response.error) == (
            409,
            f"已过截止时间 {last} 16:00，不能{action}，如需办理请联系医院前台",
        )
    assert department.reschedule_as_desk(book_id, schedule_id, 3).status == 200
    set_clock(monkeypatch, last, "15:59")
    assert department.reschedule(lin, book_id, schedule_id, 4).status == 200
    assert department.cancel(lin, book_id).status == 200


def set_clock(monkeypatch: pytest.MonkeyPatch, day: date, time: str) -> None:
    freeze_clock(monkeypatch, time)
    moment = datetime.fromisoformat(f"{day}T{time}:00+08:00")
    monkeypatch.setattr(clock, "now", lambda: int(moment.timestamp()) * clock.SECOND)
