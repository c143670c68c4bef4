"""stop_schedule (停诊) and its job: the schedule cannot be booked, and each patient is notified once."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.closures import stopped_schedules
from chalicelib.booking.reservations import booking_store
from chalicelib.booking.schedules.slots import HalfDay
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from tests.support import notify_client
from tests.support.booking_client import (
    BookingDepartment,
    create_patient,
    freeze_clock,
    get_iso_date,
    list_rows,
    mark_paid,
    mark_seen,
    set_status,
)
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import wait_until

pytestmark = pytest.mark.store


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run only when the test runs them."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def run_cancellation_job(hospital: Hospital) -> None:
    """Run the first job that cancels bookings, also if it has run before."""
    [payload, *_] = [row["payload"] for row in list_rows("outbox", hospital) if row["job"] == "cancel_stopped_schedule"]
    stopped_schedules.cancel_bookings(hospital.tenant_id, json.loads(payload))


def test_stopped_schedule_is_neither_shown_nor_bookable(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    for _ in range(2):
        assert department.stop_schedule(schedule_id).data is None
    response = department.submit(lin, schedule_id)
    assert (response.status, response.error) == (409, "该排班已停诊")
    assert department.list_free_serial_nos(schedule_id) == []
    query = {"deptId": department.dept_id, "doctorId": department.hospital.chen.user_id, "date": get_iso_date(1)}
    assert department.get_public("schedule", **query).data["scheduleAM"] is None
    assert department.save_schedule(schedule_id=schedule_id).error == "该排班已停诊"
    assert department.submit(lin, department.create_schedule()).status == 200, "another schedule can replace it"


def test_bookings_are_cancelled_notified_and_refunded(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule()
    first, second = int(department.book_slot(lin, schedule_id, 1)), int(department.book_slot(wang, schedule_id, 2))
    mark_paid(first)
    department.stop_schedule(schedule_id)
    for _ in range(2):
        run_cancellation_job(department.hospital)
    assert (department.get_status(lin, first), department.get_status(wang, second)) == (1, 1)
    stopped = [one for one in department.list_notification_jobs() if one[1] == EventType.SCHEDULE_STOPPED]
    assert stopped == [
        (lin.user_id, EventType.SCHEDULE_STOPPED, first),
        (wang.user_id, EventType.SCHEDULE_STOPPED, second),
    ]
    [due] = list_rows("refunds_due", department.hospital)
    assert (due["book_id"], due["reason"]) == (first, "stopped")


def test_interrupted_cancellation_of_200_bookings_notifies_each_patient_once(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule(slots=200)
    insert_bookings(department, int(schedule_id), 200)
    department.stop_schedule(schedule_id)
    cancel = booking_store.cancel

    def break_off_after(count: int) -> None:
        calls = 0

        def cancel_and_die(*arguments: Any) -> None:
            nonlocal calls
            calls += 1
            cancel(*arguments)
            if calls == count:
                raise SystemExit  # as if the process were killed in the middle of a transaction

        monkeypatch.setattr(booking_store, "cancel", cancel_and_die)

    for count in (37, 80, 1):
        break_off_after(count)
        with pytest.raises(SystemExit):
            run_cancellation_job(department.hospital)
    monkeypatch.setattr(booking_store, "cancel", cancel)
    assert len(department.list_notification_jobs()) == 36 + 79
    with ThreadPoolExecutor(3) as pool:  # then concurrently
        list(pool.map(run_cancellation_job, [department.hospital] * 3))
    stopped = [one for one in department.list_notification_jobs() if one[1] == EventType.SCHEDULE_STOPPED]
    assert len(stopped) == len(set(stopped)) == 200
    assert {row["status"] for row in list_rows("bookings", department.hospital)} == {1}


def test_stopping_a_schedule_concurrently_notifies_each_patient_once(
    department: BookingDepartment, lin: Person
) -> None:
    schedule_id = department.create_schedule()
    book_id = int(department.book_slot(lin, schedule_id))
    start = Barrier(4)

    def stop(_: int) -> int:
        start.wait()
        return department.stop_schedule(schedule_id).status

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(stop, range(4))) == [200] * 4
        list(pool.map(run_cancellation_job, [department.hospital] * 4))
    assert department.list_notification_jobs()[1:] == [(lin.user_id, EventType.SCHEDULE_STOPPED, book_id)]


def test_booking_while_the_schedule_is_stopped_is_rejected_or_cancelled(department: BookingDepartment) -> None:
    patients = [create_patient(department, number) for number in range(8)]
    schedule_id = department.create_schedule(slots=8)
    with ThreadPoolExecutor(9) as pool:
        booked = [pool.submit(department.submit, one, schedule_id, at) for at, one in enumerate(patients, 1)]
        stopped = pool.submit(department.stop_schedule, schedule_id)
        responses = [one.result() for one in booked]
        assert stopped.result().status == 200
    assert {one.error for one in responses if one.status != 200} <= {"该排班已停诊"}
    assert len([one for one in responses if one.status == 200]) == len(list_rows("bookings", department.hospital))
    run_cancellation_job(department.hospital)
    assert all(row["status"] == 1 for row in list_rows("bookings", department.hospital))
    assert len([one for one in department.list_notification_jobs() if one[1] == EventType.SCHEDULE_STOPPED]) == len(
        list_rows("bookings", department.hospital)
    )


def test_seen_and_cancelled_bookings_are_not_changed(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule()
    first, second = department.book_slot(lin, schedule_id, 1), department.book_slot(wang, schedule_id, 2)
    department.cancel(wang, second)
    set_status(first, BookingStatus.REGISTERED)
    mark_seen(first)
    department.stop_schedule(schedule_id)
    run_cancellation_job(department.hospital)
    assert department.get_status(lin, first) == 2
    assert [event_type for _, event_type, _ in department.list_notification_jobs()] == [
        EventType.BOOKING_MADE,
        EventType.BOOKING_MADE,
        EventType.BOOKING_CANCELLED,
    ]


def test_registered_patients_who_wait_are_cancelled_and_refunded(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule()  # 08:00, 09:00, 10:00, 11:00
    early, late = department.book_slot(lin, schedule_id, 1), department.book_slot(wang, schedule_id, 4)
    freeze_clock(monkeypatch, "07:30", ahead=1)
    for book_id in (early, late):
        mark_paid(book_id)
        assert department.register(book_id=book_id).status == 200
    freeze_clock(monkeypatch, "10:30")
    assert department.stop_schedule(schedule_id).status == 200
    run_cancellation_job(department.hospital)
    assert (department.get_status(lin, early), department.get_status(wang, late)) == (2, 1), "the first may be seen"
    assert [str(one["book_id"]) for one in list_rows("refunds_due", department.hospital)] == [late]


def test_where_patients_are_marked_as_seen_all_others_wait(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule()
    seen, waiting = department.book_slot(lin, schedule_id, 1), department.book_slot(wang, schedule_id, 2)
    freeze_clock(monkeypatch, "07:30", ahead=1)
    for book_id in (seen, waiting):
        assert department.register(book_id=book_id).status == 200
    mark_seen(seen)
    freeze_clock(monkeypatch, "10:30")
    department.stop_schedule(schedule_id)
    run_cancellation_job(department.hospital)
    assert (department.get_status(lin, seen), department.get_status(wang, waiting)) == (2, 1)


def test_schedule_of_another_tenant_or_a_past_day_cannot_be_stopped(
    department: BookingDepartment, other_department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_tenants, own = other_department.create_schedule(), department.create_schedule()
    assert department.stop_schedule(other_tenants).status == department.stop_schedule(999_999_999).status == 404
    for schedule_id in ("x", None, 0):
        response = department.stop_schedule(schedule_id)
        assert (response.status, response.error.partition("：")[0]) == (400, "schedule_id")
    freeze_clock(monkeypatch, "00:00", ahead=2)
    assert department.stop_schedule(own).error == "该排班已结束"
    assert {
        row["stopped_at"] for one in (department, other_department) for row in list_rows("schedules", one.hospital)
    } == {None}


def test_patient_receives_events_of_the_booking(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    notify_client.poll_messages(lin.token, events=1)  # sets the cursor
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    department.stop_schedule(schedule_id)
    wait_until(lambda: are_notified(department.hospital, 2))
    events, _, _ = notify_client.poll_messages(lin.token, events=1)
    assert [(one["Type"], one["Content"]) for one in events] == [
        (EventType.BOOKING_MADE, f'{{"bookId":"{book_id}"}}'),
        (EventType.SCHEDULE_STOPPED, f'{{"bookId":"{book_id}"}}'),
    ]


def are_notified(hospital: Hospital, count: int) -> bool:
    done = [row["done_at"] for row in list_rows("outbox", hospital) if row["job"] == Job.NOTIFY_BOOKING]
    return len(done) == count and all(done)


def insert_bookings(department: BookingDepartment, schedule_id: int, number: int) -> None:
    """Book the first slots of a schedule, each for another patient."""
    common_values = {
        "tenant_id": department.hospital.tenant_id,
        "schedule_id": schedule_id,
        "dept_id": department.dept_id,
        "now": clock.now(),
        "half_day": HalfDay.AM,
        "type": 0,
    }
    values = [
        {**common_values, "n": n, "user_id": 10_000_000 + n, "code": f"20360107{n:06d}", "day": get_iso_date(1)}
        for n in range(1, number + 1)
    ]
    insert = """
        INSERT INTO bookings (tenant_id, schedule_id, serial_no, user_id, member_id, pati_id, dept_id, day, half_day,
                              slot_time, type, fee, area, book_code, changed_at, created_at)
        VALUES (%(tenant_id)s, %(schedule_id)s, %(n)s, %(user_id)s, %(user_id)s, %(user_id)s, %(dept_id)s, %(day)s,
                %(half_day)s, '08:00', %(type)s, 0, '', %(code)s, %(now)s, %(now)s)
    """
    mysql.run_transaction(lambda tx: tx.execute_many(insert, values))
