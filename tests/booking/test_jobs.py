"""What happens by itself: unpaid bookings are released, who comes tomorrow is reminded, who did not come is marked."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app import keep_bookings, release_unpaid
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.booking.jobs import job_store, scheduled
from chalicelib.booking.reservations import booking_store, stopped_schedules
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.files.test_sweep import said
from tests.support.booking_client import AFTERNOON, BookingDepartment, freeze_clock, get_iso_date, list_rows
from tests.support.factories import Person

pytestmark = pytest.mark.store


def aged(book_id: str, minutes: int) -> None:
    """Let a booking have been made so long ago."""
    age = "UPDATE bookings SET created_at = created_at - %(ago)s, pay_by = pay_by - %(ago)s WHERE book_id = %(id)s"
    mysql.autocommit.execute(age, ago=minutes * 60 * clock.SECOND, id=book_id)


def kinds(department: BookingDepartment) -> list[int]:
    return [kind for _, kind, _ in department.list_notification_jobs() if kind != EventType.BOOKING_MADE]


def test_what_is_not_paid_in_time_is_released_and_can_be_sold(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    department.save_rules(pay_minutes=30)
    schedule_id = department.create_schedule(slots=1)
    book_id = department.book_slot(lin, schedule_id)
    aged(book_id, 29)
    release_unpaid(said(), None)
    assert department.get_status(lin, book_id) == 0
    aged(book_id, 1)
    for _ in range(2):
        release_unpaid(said(), None)
    assert department.get_status(lin, book_id) == 1
    assert kinds(department) == [EventType.BOOKING_RELEASED]
    assert department.list_free_serial_nos(schedule_id) == [1]
    department.book_slot(wang, schedule_id)
    assert list_rows("refunds_due", department.hospital) == []


def test_what_is_paid_free_or_not_demanded_is_kept(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person
) -> None:
    department.save_rules(pay_minutes=30)
    paid, free = (
        department.book_slot(lin, department.create_schedule()),
        department.book_slot(wang, department.create_schedule(**{**AFTERNOON, "bookfee": 0})),
    )
    elsewhere = other_department.book_slot(other_department.hospital.lin, other_department.create_schedule())
    mysql.autocommit.execute("UPDATE bookings SET payment_state = 2 WHERE book_id = %(id)s", id=paid)
    for book_id in (paid, free, elsewhere):
        aged(book_id, 999)
    scheduled.cancel_unpaid()
    assert [
        department.get_status(lin, paid),
        department.get_status(wang, free),
        other_department.get_status(other_department.hospital.lin, elsewhere),
    ] == [0, 0, 0]


def test_who_booked_keeps_the_time_to_pay_that_was_theirs(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id = department.create_schedule()
    before = department.book_slot(lin, schedule_id, 1)
    department.save_rules(pay_minutes=60)
    after = department.book_slot(wang, schedule_id, 2)
    department.save_rules(pay_minutes=1)
    for book_id in (before, after):
        aged(book_id, 59)
    scheduled.cancel_unpaid()
    assert [department.get_status(lin, before), department.get_status(wang, after)] == [0, 0]
    department.save_rules(pay_minutes=0)
    for book_id in (before, after):
        aged(book_id, 1)
    scheduled.cancel_unpaid()
    assert [department.get_status(lin, before), department.get_status(wang, after)] == [0, 1]


def test_who_did_not_come_is_marked_when_the_day_is_over(
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
        keep_bookings(said(), None)
    assert (department.get_status(lin, missed), department.get_status(wang, cancelled)) == (3, 1)
    assert kinds(department).count(EventType.BOOKING_MISSED) == 1


def test_nobody_has_missed_what_was_stopped(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)  # the job that cancels has not come so far
    stopped, held = department.create_schedule(), department.create_schedule(doctor_id="")
    first, second = department.book_slot(lin, stopped), department.book_slot(wang, held)
    mysql.autocommit.execute("UPDATE bookings SET payment_state = 2 WHERE book_id = %(id)s", id=first)
    department.stop_schedule(stopped)
    freeze_clock(monkeypatch, "00:30", ahead=2)
    for _ in range(2):
        scheduled.mark_missed()
    assert [department.get_status(lin, first), department.get_status(wang, second)] == [1, 3]
    assert kinds(department) == [EventType.SCHEDULE_STOPPED, EventType.BOOKING_MISSED]
    assert [str(row["book_id"]) for row in list_rows("refunds_due", department.hospital)] == [first]


def test_who_missed_too_often_books_no_more(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(missed_limit=2)
    for ahead in (1, 2):
        department.book_slot(lin, department.create_schedule(date=get_iso_date(ahead)))
    freeze_clock(monkeypatch, "08:00", ahead=3)
    scheduled.mark_missed()
    schedule_id = department.create_schedule()
    answer = department.submit(lin, schedule_id)
    assert (answer.status, answer.code) == (403, 10003)
    assert answer.error == "就诊人 90 天内已失约 2 次，暂时不能预约"
    assert department.submit(wang, schedule_id).status == 200
    monkeypatch.undo()
    freeze_clock(monkeypatch, "08:00", ahead=29)  # a token lives 30 days
    ago = "UPDATE bookings SET day = day - INTERVAL 64 DAY WHERE status = 3 AND tenant_id = %(id)s"
    mysql.autocommit.execute(ago, id=lin.tenant_id)
    assert department.submit(lin, department.create_schedule()).status == 200, "it is 90 days ago"


def test_who_comes_tomorrow_is_reminded_in_the_evening(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 1)
    department.cancel(wang, department.book_slot(wang, schedule_id, 2))
    department.book_slot(wang, department.create_schedule(date=get_iso_date(2)))
    freeze_clock(monkeypatch, "17:59")
    keep_bookings(said(), None)
    assert EventType.BOOKING_REMINDER not in kinds(department)
    freeze_clock(monkeypatch, "18:00")
    for _ in range(2):
        keep_bookings(said(), None)
    assert [one[0] for one in department.list_notification_jobs() if one[1] == EventType.BOOKING_REMINDER] == [
        lin.user_id
    ]


@pytest.mark.parametrize("became", [1, 2])
@pytest.mark.parametrize("what", ["unpaid", "to_remind", "over", "over and stopped", "booked and stopped"])
def test_what_was_cancelled_or_registered_since_it_was_found_is_left_alone(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch, what: str, became: int
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    department.save_rules(pay_minutes=30)
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    aged(book_id, 60)
    if "stopped" in what:
        department.stop_schedule(schedule_id)
    name = what.partition(" ")[0]
    store, function = {
        "unpaid": (job_store, "list_unpaid_overdue"),
        "to_remind": (job_store, "list_unreminded"),
        "over": (job_store, "list_unattended"),
        "booked": (booking_store, "list_booked_ids"),
    }[name]
    look = getattr(store, function)

    def found(*arguments: Any) -> Any:
        rows = look(*arguments)
        change = "UPDATE bookings SET status = %(became)s WHERE book_id = %(id)s"
        mysql.autocommit.execute(change, became=became, id=book_id)
        return rows

    monkeypatch.setattr(store, function, found)
    freeze_clock(monkeypatch, "18:00", ahead=2 if name == "over" else 0)
    job: dict[str, Callable[[], Any]] = {
        "unpaid": scheduled.cancel_unpaid,
        "to_remind": scheduled.send_reminders,
        "over": scheduled.mark_missed,
        "booked": lambda: stopped_schedules.cancel_bookings(lin.tenant_id, {"schedule_id": int(schedule_id), "by": 1}),
    }
    job[name]()
    assert (department.get_status(lin, book_id), kinds(department)) == (became, [])


@pytest.mark.parametrize("job", [scheduled.cancel_unpaid, scheduled.send_reminders, scheduled.mark_missed])
def test_two_at_once_tell_once(
    department: BookingDepartment, lin: Person, wang: Person, job: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(pay_minutes=30)
    schedule_id = department.create_schedule()
    for person, slot in ((lin, 1), (wang, 2)):
        aged(department.book_slot(person, schedule_id, slot), 24 * 60)  # unpaid by this evening, whatever the hour now
    freeze_clock(monkeypatch, "18:00", ahead=2 if job is scheduled.mark_missed else 0)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: job(), range(4)))
    assert len(kinds(department)) == 2
