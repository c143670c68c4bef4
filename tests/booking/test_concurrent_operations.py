"""Everybody at once, on the day itself: patients book and give back, the desk registers, changes and stops, jobs run.

Each lock is taken in one order, so that nobody is asked to come again; afterwards the rows agree with each other."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from chalicelib.booking.jobs import scheduled
from chalicelib.booking.reservations import stopped_schedules
from chalicelib.booking.schedules import patterns
from tests.support.booking_client import (
    AFTERNOON,
    BookingDepartment,
    create_patient,
    freeze_clock,
    get_iso_date,
    list_rows,
)
from tests.support.client import Answer
from tests.support.factories import Person

pytestmark = pytest.mark.store
PEOPLE, TURNS, AT_ONCE = 16, 20, 16


def test_a_day_on_which_everything_happens_at_once(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [create_patient(department, number) for number in range(PEOPLE)]
    freeze_clock(monkeypatch, "07:00", ahead=1)
    department.save_rules(daily_limit=0, pay_minutes=1)
    halves = [
        *(
            department.create_schedule(date=get_iso_date(0)),
            department.create_schedule(**{**AFTERNOON, "date": get_iso_date(0)}),
        ),
        *(
            department.create_schedule(date=get_iso_date(0), doctor_id=""),
            department.create_schedule(date=get_iso_date(0), doctor_id=department.hospital.zhou.user_id),
        ),
    ]
    calls = list(chain.from_iterable(turns(department, person, halves) for person in people))
    calls += [lambda: department.stop_schedule(halves[3])] * 3 + [
        lambda: department.save_schedule(schedule_id=halves[0], date=get_iso_date(0), slots=3)
    ] * 3
    calls += [lambda: department.save_rules(daily_limit=0)] * 3
    random.Random(3).shuffle(calls)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        working = [
            pool.submit(work) for work in [scheduled.cancel_unpaid, scheduled.mark_missed, patterns.expand_all] * 3
        ]
        answers = list(pool.map(lambda call: call(), calls))
        for one in working:
            one.result()
    assert {one.status for one in answers} <= {200, 404, 409}
    stopped_schedules.cancel_bookings(department.hospital.tenant_id, {"schedule_id": int(halves[3]), "by": 1})
    assert wrong(department, int(halves[3])) == []


def turns(department: BookingDepartment, person: Person, halves: list[str]) -> list[Callable[[], Answer]]:
    """What one patient does, and the desk for them."""
    chance = random.Random(person.user_id)
    held = ["999999999"]

    def books() -> Answer:
        answer = department.submit(person, chance.choice(halves), chance.randint(1, 3))
        held.extend([answer.data["bookId"]] if answer.status == 200 else [])
        return answer

    def turn() -> Answer:
        act = chance.choice("bbbbccccr")
        if act == "b":
            return books()
        return department.cancel(person, held[-1]) if act == "c" else department.register(book_id=held[-1])

    return [turn] * TURNS


def wrong(department: BookingDepartment, stopped: int) -> list[str]:
    """What the rows of the storm say that cannot be."""
    bookings = list_rows("bookings", department.hospital)
    live = [one for one in bookings if one["live"]]
    told = department.list_notification_jobs()
    ends = {1: (1101, 1102, 1103), 2: (1104,), 0: ()}
    problems = {
        "nobody booked": len(bookings) < PEOPLE,
        "a slot twice": len({(one["schedule_id"], one["serial_no"]) for one in live}) != len(live),
        "a person twice": len({(one["pati_id"], one["half_day"]) for one in live}) != len(live),
        "a doctor twice": len({(one["pati_id"], one["doctor_id"] or one["book_id"]) for one in live}) != len(live),
        "cancelled and live": any((one["status"] == 1) is bool(one["live"]) for one in bookings),
        "booked for what is stopped": any(one["schedule_id"] == stopped and one["status"] == 0 for one in live),
        "somebody was told twice": len(told) != len(set(told)),
        "somebody was told what is not so": any(
            sorted(kind for _, kind, book_id in told if book_id == one["book_id"])[1:]
            not in ([[kind] for kind in ends[one["status"]]] or [[]])
            for one in bookings
        ),
    }
    return [name for name, is_wrong in problems.items() if is_wrong]
