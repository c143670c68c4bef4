"""Scheduled jobs: unpaid bookings are cancelled, reminders are sent, missed bookings are marked."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app import keep_bookings, release_unpaid
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.closures import stopped_schedules
from chalicelib.booking.jobs import job_store, scheduled
from chalicelib.booking.reservations import booking_store
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.support.booking_client import (
    AFTERNOON,
    BookingDepartment,
    freeze_clock,
    get_iso_date,
    list_rows,
    mark_paid,
    mark_seen,
    set_status,
)
from tests.support.client import build_schedule_event
from tests.support.factories import Person

pytestmark = pytest.mark.store


def age_booking(book_id: str, minutes: int) -> None:
    """Move the creation and the payment deadline of a booking into the past."""
    statement = """
        UPDATE bookings SET created_at = created_at - %(age)s, pay_by = pay_by - %(age)s WHERE book_id = %(book_id)s
    """
    mysql.autocommit.execute(statement, age=minutes * 60 * clock.SECOND, book_id=book_id)


def list_event_types(department: BookingDepartment) -> list[int]:
    """Return the event types of the department's notification jobs, except for BOOKING_MADE."""
    event_types = [event_type for _, event_type, _ in department.list_notification_jobs()]
    return [event_type for event_type in event_types if event_type != EventType.BOOKING_MADE]


def test_unpaid_booking_is_cancelled_and_its_slot_can_be_booked(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    department.save_rules(pay_minutes=30)
    schedule_id = department.create_schedule(slots=1)
    book_id = department.book_slot(lin, schedule_id)
    age_booking(book_id, 29)
    release_unpaid(build_schedule_event(), None)
    assert department.get_status(lin, book_id) == 0
    age_booking(book_id, 1)
    for _ in range(2):
        release_unpaid(build_schedule_event(), None)
    assert department.get_status(lin, book_id) == 1
    assert list_event_types(department) == [EventType.BOOKING_RELEASED]
    assert department.list_free_serial_nos(schedule_id) == [1]
    department.book_slot(wang, schedule_id)
    assert list_rows("refunds_due", department.hospital) == []


def test_paid_and_free_bookings_are_not_cancelled(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person
) -> None:
    department.save_rules(pay_minutes=30)
    paid_booking = department.book_slot(lin, department.create_schedule())
    free_booking = department.book_slot(wang, department.create_schedule(**{**AFTERNOON, "bookfee": 0}))
    other_tenants = other_department.book_slot(other_department.hospital.lin, other_department.create_schedule())
    mark_paid(paid_booking)
    for book_id in (paid_booking, free_booking, other_tenants):
        age_booking(book_id, 999)
    scheduled.cancel_unpaid()
    assert [
        department.get_status(lin, paid_booking),
        department.get_status(wang, free_booking),
        other_department.get_status(other_department.hospital.lin, other_tenants),
    ] == [0, 0, 0]


def test_payment_deadline_does_not_change_with_the_rules(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id = department.create_schedule()
    before = department.book_slot(lin, schedule_id, 1)
    department.save_rules(pay_minutes=60)
    after = department.book_slot(wang, schedule_id, 2)
    department.save_rules(pay_minutes=1)
    for book_id in (before, after):
        age_booking(book_id, 59)
    scheduled.cancel_unpaid()
    assert [department.get_status(lin, before), department.get_status(wang, after)] == [0, 0]
    department.save_rules(pay_minutes=0)
    for book_id in (before, after):
        age_booking(book_id, 1)
    scheduled.cancel_unpaid()
    assert [department.get_status(lin, before), department.get_status(wang, after)] == [0, 1]


def test_unregistered_booking_is_missed_when_the_day_is_over(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule()
    missed, cancelled = department.book_slot(lin, schedule_id, 1), department.book_slot(wang, schedule_id, 2)
    department.cancel(wang, cancelled)
    freeze_clock(monkeypatch, "23:59", ahead=1)
    scheduled.mark_missed()
    assert department.get_status(lin, missed) == 0
    freeze_clock(monkeypatch, "00:01", ahead=1)
    for _ in range(2):
        keep_bookings(build_schedule_event(), None)
    assert (department.get_status(lin, missed), department.get_status(wang, cancelled)) == (3, 1)
    assert list_event_types(department).count(EventType.BOOKING_MISSED) == 1


def test_booking_of_a_stopped_schedule_is_cancelled_and_not_missed(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)  # the job that cancels its bookings has not run
    stopped, open_schedule = department.create_schedule(), department.create_schedule(doctor_id="")
    first, second = department.book_slot(lin, stopped), department.book_slot(wang, open_schedule)
    mark_paid(first)
    department.stop_schedule(stopped)
    freeze_clock(monkeypatch, "00:30", ahead=2)
    for _ in range(2):
        scheduled.mark_missed()
    assert [department.get_status(lin, first), department.get_status(wang, second)] == [1, 3]
    assert list_event_types(department) == [EventType.SCHEDULE_STOPPED, EventType.BOOKING_MISSED]
    assert [str(row["book_id"]) for row in list_rows("refunds_due", department.hospital)] == [first]


def test_patient_with_too_many_missed_bookings_cannot_book(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(missed_limit=2)
    for ahead in (1, 2):
        department.book_slot(lin, department.create_schedule(date=get_iso_date(ahead)))
    freeze_clock(monkeypatch, "08:00", ahead=3)
    scheduled.mark_missed()
    schedule_id = department.create_schedule()
    response = department.submit(lin, schedule_id)
    assert (response.status, response.code) == (403, 10003)
    assert response.error == "就诊人 90 天内已失约 2 次，暂时不能预约，可联系医院前台解除"
    assert department.submit(wang, schedule_id).status == 200
    monkeypatch.undo()
    freeze_clock(monkeypatch, "08:00", ahead=29)  # a token is valid for 30 days
    statement = """
        UPDATE bookings SET day = day - INTERVAL 64 DAY WHERE status = %(missed)s AND tenant_id = %(tenant_id)s
    """
    mysql.autocommit.execute(statement, missed=BookingStatus.MISSED, tenant_id=lin.tenant_id)
    assert department.submit(lin, department.create_schedule()).status == 200, "the bookings were missed 90 days ago"


def test_reminders_are_sent_in_the_evening_before(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 1)
    department.cancel(wang, department.book_slot(wang, schedule_id, 2))
    department.book_slot(wang, department.create_schedule(date=get_iso_date(2)))
    freeze_clock(monkeypatch, "17:59")
    keep_bookings(build_schedule_event(), None)
    assert EventType.BOOKING_REMINDER not in list_event_types(department)
    freeze_clock(monkeypatch, "18:00")
    for _ in range(2):
        keep_bookings(build_schedule_event(), None)
    jobs = department.list_notification_jobs()
    assert [user_id for user_id, event_type, _ in jobs if event_type == EventType.BOOKING_REMINDER] == [lin.user_id]


@pytest.mark.parametrize("new_status", [BookingStatus.CANCELLED, BookingStatus.REGISTERED])
@pytest.mark.parametrize("case", ["unpaid", "unreminded", "unattended", "unattended and stopped", "booked and stopped"])
def test_booking_that_changed_after_it_was_listed_is_skipped(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch, case: str, new_status: BookingStatus
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    department.save_rules(pay_minutes=30)
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    age_booking(book_id, 60)
    if "stopped" in case:
        department.stop_schedule(schedule_id)
    listed = case.partition(" ")[0]
    store, function = {
        "unpaid": (job_store, "list_unpaid_overdue"),
        "unreminded": (job_store, "list_unreminded"),
        "unattended": (job_store, "list_unattended"),
        "booked": (booking_store, "list_waiting_ids"),
    }[listed]
    list_bookings = getattr(store, function)

    def list_then_change(*arguments: Any) -> Any:
        bookings = list_bookings(*arguments)
        set_status(book_id, new_status)
        mark_seen(book_id)  # a registered patient who is not seen yet is affected by a stop
        return bookings

    monkeypatch.setattr(store, function, list_then_change)
    freeze_clock(monkeypatch, "18:00", ahead=2 if listed == "unattended" else 0)
    run_job: dict[str, Callable[[], Any]] = {
        "unpaid": scheduled.cancel_unpaid,
        "unreminded": scheduled.send_reminders,
        "unattended": scheduled.mark_missed,
        "booked": lambda: stopped_schedules.cancel_bookings(lin.tenant_id, {"schedule_id": int(schedule_id), "by": 1}),
    }
    run_job[listed]()
    assert (department.get_status(lin, book_id), list_event_types(department)) == (new_status, [])


@pytest.mark.parametrize("job", [scheduled.cancel_unpaid, scheduled.send_reminders, scheduled.mark_missed])
def test_concurrent_runs_notify_once(
    department: BookingDepartment, lin: Person, wang: Person, job: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(pay_minutes=30)
    schedule_id = department.create_schedule()
    for person, slot in ((lin, 1), (wang, 2)):
        book_id = department.book_slot(person, schedule_id, slot)
        age_booking(book_id, 24 * 60)  # past its payment deadline this evening, at any time of the day
    freeze_clock(monkeypatch, "18:00", ahead=2 if job is scheduled.mark_missed else 0)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: job(), range(4)))
    assert len(list_event_types(department)) == 2
