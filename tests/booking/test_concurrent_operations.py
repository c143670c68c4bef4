"""Patients book and cancel while the front desk registers, changes and stops schedules, and jobs run.

Locks are always taken in the same order, so no request fails with 503; afterwards the rows are consistent.
"""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.closures import stopped_schedules
from chalicelib.booking.jobs import scheduled
from chalicelib.booking.schedules import patterns
from chalicelib.notifications.event_types import EventType
from tests.support.booking_client import (
    AFTERNOON,
    BookingDepartment,
    create_patient,
    freeze_clock,
    get_iso_date,
    list_rows,
)
from tests.support.client import ApiResponse
from tests.support.factories import Person

pytestmark = pytest.mark.store
PEOPLE, TURNS, CONCURRENCY = 16, 20, 16


def test_all_operations_of_a_day_run_concurrently(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [create_patient(department, number) for number in range(PEOPLE)]
    freeze_clock(monkeypatch, "07:00", ahead=1)
    department.save_rules(daily_limit=0, pay_minutes=1)
    schedule_ids = [
        department.create_schedule(date=get_iso_date(0)),
        department.create_schedule(**{**AFTERNOON, "date": get_iso_date(0)}),
        department.create_schedule(date=get_iso_date(0), doctor_id=""),
        department.create_schedule(date=get_iso_date(0), doctor_id=department.hospital.zhou.user_id),
    ]
    calls = list(chain.from_iterable(build_turns(department, person, schedule_ids) for person in people))
    calls += [lambda: department.stop_schedule(schedule_ids[3])] * 3 + [
        lambda: department.save_schedule(schedule_id=schedule_ids[0], date=get_iso_date(0), slots=3)
    ] * 3
    calls += [lambda: department.save_rules(daily_limit=0)] * 3
    random.Random(3).shuffle(calls)
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        jobs = [pool.submit(work) for work in [scheduled.cancel_unpaid, scheduled.mark_missed, patterns.expand_all] * 3]
        responses = list(pool.map(lambda call: call(), calls))
        for one in jobs:
            one.result()
    assert {one.status for one in responses} <= {200, 404, 409}
    stopped_schedules.cancel_bookings(department.hospital.tenant_id, {"schedule_id": int(schedule_ids[3]), "by": 1})
    assert find_inconsistencies(department, int(schedule_ids[3])) == []


def build_turns(
    department: BookingDepartment, person: Person, schedule_ids: list[str]
) -> list[Callable[[], ApiResponse]]:
    """Return what one patient does, and the front desk for them."""
    chance = random.Random(person.user_id)
    book_ids = ["999999999"]

    def book() -> ApiResponse:
        response = department.submit(person, chance.choice(schedule_ids), chance.randint(1, 3))
        book_ids.extend([response.data["bookId"]] if response.status == 200 else [])
        return response

    def turn() -> ApiResponse:
        action = chance.choice("bbbbccccr")
        if action == "b":
            return book()
        return department.cancel(person, book_ids[-1]) if action == "c" else department.register(book_id=book_ids[-1])

    return [turn] * TURNS


def find_inconsistencies(department: BookingDepartment, stopped: int) -> list[str]:
    """Return what is inconsistent in the rows."""
    bookings = list_rows("bookings", department.hospital)
    live = [one for one in bookings if one["live"]]
    notifications = department.list_notification_jobs()
    final_events = {
        BookingStatus.BOOKED: (),
        BookingStatus.REGISTERED: (EventType.BOOKING_REGISTERED,),
        BookingStatus.CANCELLED: (
            EventType.BOOKING_CANCELLED,
            EventType.SCHEDULE_STOPPED,
            EventType.BOOKING_RELEASED,
        ),
    }
    registered_and_stopped = [EventType.SCHEDULE_STOPPED, EventType.BOOKING_REGISTERED]
    half_days = {(one["pati_id"], one["half_day"]) for one in live}
    doctors = {(one["pati_id"], one["doctor_id"] or one["book_id"]) for one in live}
    problems = {
        "too few bookings": len(bookings) < PEOPLE,
        "a slot has two bookings": len({(one["schedule_id"], one["serial_no"]) for one in live}) != len(live),
        "a patient has two bookings in a half-day": len(half_days) != len(live),
        "a patient has two bookings with a doctor": len(doctors) != len(live),
        "a cancelled booking is live": any(
            (one["status"] == BookingStatus.CANCELLED) is bool(one["live"]) for one in bookings
        ),
        "a stopped schedule has bookings": any(
            one["schedule_id"] == stopped and one["status"] == BookingStatus.BOOKED for one in live
        ),
        "a notification was sent twice": len(notifications) != len(set(notifications)),
        "a notification does not match the status": any(
            sorted(event_type for _, event_type, book_id in notifications if book_id == one["book_id"])[1:]
            not in ([[event_type] for event_type in final_events[one["status"]]] or [[]])
            + ([registered_and_stopped] if one["status"] == BookingStatus.CANCELLED else [])
            for one in bookings
        ),
    }
    return [name for name, is_wrong in problems.items() if is_wrong]
