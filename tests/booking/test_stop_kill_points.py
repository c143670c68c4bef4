"""The hospital cancels 200 bookings, and the processes that do it die again and again.

Each patient is notified once and has one slot held, or none; in the end each is rebooked or refunded, none twice.
"""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.booking.closures import alternatives, stopped_schedules
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.support.booking_client import BookingDepartment, create_patient, get_iso_date, list_rows
from tests.support.dying_processes import run_in_dying_processes
from tests.support.factories import Person
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
BOOKINGS, HELD = 200, 150
FIRST_NOTICES = {EventType.ALTERNATIVE_HELD, EventType.SCHEDULE_STOPPED}
SEED = 8


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run only when the test runs them."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def book_all(department: BookingDepartment, schedule_id: str) -> dict[int, Person]:
    """Let as many patients book and pay; return them by book_id."""

    def book(number: int) -> tuple[int, Person]:
        person = create_patient(department, number)
        return int(department.book_slot(person, schedule_id, number + 1)), person

    with ThreadPoolExecutor(8) as pool:
        booked = dict(pool.map(book, range(BOOKINGS)))
    sql = "UPDATE bookings SET payment_state = %(paid)s WHERE schedule_id = %(id)s"
    mysql.autocommit.execute(sql, paid=PaymentState.PAID, id=schedule_id)
    return booked


def list_events(department: BookingDepartment) -> Counter[tuple[int, int]]:
    """Return how often each booking was notified of each event."""
    return Counter((book_id, event) for _, event, book_id in department.list_notification_jobs())


def check_refunds(department: BookingDepartment, rows: list[Row]) -> None:
    cancelled = sorted(one["book_id"] for one in rows if one["status"] == BookingStatus.CANCELLED)
    refunds = list_rows("refunds_due", department.hospital)
    assert sorted(one["book_id"] for one in refunds) == cancelled
    assert {one["fee"] for one in refunds} <= {1250}


def test_stop_of_200_bookings_is_interrupted_at_any_point(department: BookingDepartment) -> None:
    chance, tenant_id = random.Random(SEED), department.hospital.tenant_id
    stopped = department.create_schedule(slots=BOOKINGS)
    for day in (2, 3, 4):
        department.create_schedule(date=get_iso_date(day), slots=HELD // 3)
    people = book_all(department, stopped)
    assert department.stop_schedule(stopped).status == 200
    job = (tenant_id, {"schedule_id": int(stopped), "by": department.hospital.desk.user_id})
    for _ in range(3):
        numbers = [chance.randint(10, 250) for _ in range(3)]
        assert run_in_dying_processes(stopped_schedules.cancel_bookings, job, numbers) == 3
    assert any(str(one["schedule_id"]) == stopped for one in list_rows("bookings", department.hospital) if one["live"])
    run_in_threads([lambda: stopped_schedules.cancel_bookings(*job)] * 3)

    rows = list_rows("bookings", department.hospital)
    held = [one for one in rows if one["live"]]
    assert (len(rows), len(held)) == (BOOKINGS, HELD)
    assert len({(one["schedule_id"], one["serial_no"]) for one in held}) == HELD
    offered = list_rows("alternatives", department.hospital)
    assert sorted(one["book_id"] for one in offered) == sorted(one["book_id"] for one in held)
    assert {one["changes"] for one in held} == {1}
    events = list_events(department)
    assert set(events.values()) == {1}
    notices = Counter(book_id for book_id, event in events if event in FIRST_NOTICES)
    assert (len(notices), set(notices.values())) == (BOOKINGS, {1})
    check_refunds(department, rows)
    decide_all(department, [one["book_id"] for one in held], people, chance)


def decide_all(
    department: BookingDepartment, held: list[int], people: dict[int, Person], chance: random.Random
) -> None:
    """A third accepts, a third declines, the others do not answer; the job that lets those lapse dies too."""
    accepted, declined, silent = held[::3], held[1::3], held[2::3]
    calls = [lambda one=one: department.accept_alternative(people[one], one) for one in accepted]
    calls += [lambda one=one: department.decline_alternative(people[one], one) for one in declined]
    with ThreadPoolExecutor(4) as pool:
        assert {one.status for one in pool.map(lambda call: call(), calls)} == {200}
    sql = "UPDATE alternatives SET expires_at = %(now)s WHERE tenant_id = %(id)s AND state = 'open'"
    mysql.autocommit.execute(sql, now=clock.now() - 1, id=department.hospital.tenant_id)
    numbers = [chance.randint(10, 150) for _ in range(2)]
    assert run_in_dying_processes(alternatives.lapse_expired, (), numbers) == 2
    run_in_threads([alternatives.lapse_expired] * 3)

    rows = {one["book_id"]: one for one in list_rows("bookings", department.hospital)}
    assert sorted(one for one, row in rows.items() if row["live"]) == sorted(accepted)
    check_refunds(department, list(rows.values()))
    events = list_events(department)
    assert set(events.values()) == {1}
    assert {book_id for book_id, event in events if event == EventType.ALTERNATIVE_LAPSED} == set(silent)
    states = {one["book_id"]: one["state"] for one in list_rows("alternatives", department.hospital)}
    assert states == {
        **dict.fromkeys(accepted, "accepted"),
        **dict.fromkeys(declined, "declined"),
        **dict.fromkeys(silent, "lapsed"),
    }
