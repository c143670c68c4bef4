"""停诊: nobody books any more, and each booked patient is told once, however often the job is begun."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.booking.reservations import booking_store, stopped_schedules
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.support import notify_client
from tests.support.booking_client import BookingDepartment, create_patient, freeze_clock, get_iso_date, list_rows
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import wait_until

pytestmark = pytest.mark.store


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is promised waits for the test."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def cascade(hospital: Hospital) -> None:
    """Do what was promised first, however often it has been done."""
    [promised, *_] = [
        row["payload"] for row in list_rows("outbox", hospital) if row["job"] == "cancel_stopped_schedule"
    ]
    stopped_schedules.cancel_bookings(hospital.tenant_id, json.loads(promised))


def test_a_stopped_half_day_is_neither_shown_nor_sold(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    for _ in range(2):
        assert department.stop_schedule(schedule_id).data is None
    answer = department.submit(lin, schedule_id)
    assert (answer.status, answer.error) == (409, "该排班已停诊")
    assert department.list_free_serial_nos(schedule_id) == []
    asked = {"deptId": department.dept_id, "doctorId": department.hospital.chen.user_id, "date": get_iso_date(1)}
    assert department.get_public("schedule", **asked).data["scheduleAM"] is None
    assert department.save_schedule(schedule_id=schedule_id).error == "该排班已停诊"
    assert department.submit(lin, department.create_schedule()).status == 200, "another may take its place"


def test_who_has_booked_is_cancelled_told_and_refunded(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id = department.create_schedule()
    first, second = int(department.book_slot(lin, schedule_id, 1)), int(department.book_slot(wang, schedule_id, 2))
    mysql.autocommit.execute("UPDATE bookings SET payment_state = 2 WHERE book_id = %(id)s", id=first)
    department.stop_schedule(schedule_id)
    for _ in range(2):
        cascade(department.hospital)
    assert (department.get_status(lin, first), department.get_status(wang, second)) == (1, 1)
    stopped = [one for one in department.list_notification_jobs() if one[1] == EventType.SCHEDULE_STOPPED]
    assert stopped == [
        (lin.user_id, EventType.SCHEDULE_STOPPED, first),
        (wang.user_id, EventType.SCHEDULE_STOPPED, second),
    ]
    [due] = list_rows("refunds_due", department.hospital)
    assert (due["book_id"], due["reason"]) == (first, "stopped")


def test_a_cascade_over_200_bookings_that_breaks_off_tells_each_patient_once(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule(slots=200)
    fill(department, int(schedule_id), 200)
    department.stop_schedule(schedule_id)
    breaks = iter([37, 80, 1])
    cancel = booking_store.cancel

    def dies(left: int) -> None:
        seen = 0

        def broken(*arguments: Any) -> None:
            nonlocal seen
            seen += 1
            cancel(*arguments)
            if seen == left:
                raise SystemExit  # as if the process were killed in the middle of a transaction

        monkeypatch.setattr(booking_store, "cancel", broken)

    for left in breaks:
        dies(left)
        with pytest.raises(SystemExit):
            cascade(department.hospital)
    monkeypatch.setattr(booking_store, "cancel", cancel)
    assert len(department.list_notification_jobs()) == 36 + 79
    with ThreadPoolExecutor(3) as pool:  # and then three at once
        list(pool.map(cascade, [department.hospital] * 3))
    told = [one for one in department.list_notification_jobs() if one[1] == EventType.SCHEDULE_STOPPED]
    assert len(told) == len(set(told)) == 200
    assert {row["status"] for row in list_rows("bookings", department.hospital)} == {1}


def test_four_who_stop_it_at_once_tell_each_patient_once(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = int(department.book_slot(lin, schedule_id))
    start = Barrier(4)

    def stop(_: int) -> int:
        start.wait()
        return department.stop_schedule(schedule_id).status

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(stop, range(4))) == [200] * 4
        list(pool.map(cascade, [department.hospital] * 4))
    assert department.list_notification_jobs()[1:] == [(lin.user_id, EventType.SCHEDULE_STOPPED, book_id)]


def test_who_books_while_it_is_stopped_is_refused_or_cancelled(department: BookingDepartment) -> None:
    crowd = [create_patient(department, number) for number in range(8)]
    schedule_id = department.create_schedule(slots=8)
    with ThreadPoolExecutor(9) as pool:
        sold = [pool.submit(department.submit, one, schedule_id, at) for at, one in enumerate(crowd, 1)]
        stopped = pool.submit(department.stop_schedule, schedule_id)
        answers = [one.result() for one in sold]
        assert stopped.result().status == 200
    assert {one.error for one in answers if one.status != 200} <= {"该排班已停诊"}
    assert len([one for one in answers if one.status == 200]) == len(list_rows("bookings", department.hospital))
    cascade(department.hospital)
    assert all(row["status"] == 1 for row in list_rows("bookings", department.hospital))
    assert len([one for one in department.list_notification_jobs() if one[1] == EventType.SCHEDULE_STOPPED]) == len(
        list_rows("bookings", department.hospital)
    )


def test_what_is_registered_or_was_cancelled_stays(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule()
    first, second = department.book_slot(lin, schedule_id, 1), department.book_slot(wang, schedule_id, 2)
    department.cancel(wang, second)
    mysql.autocommit.execute("UPDATE bookings SET status = 2 WHERE book_id = %(id)s", id=first)
    department.stop_schedule(schedule_id)
    cascade(department.hospital)
    assert department.get_status(lin, first) == 2
    assert [kind for _, kind, _ in department.list_notification_jobs()] == [
        EventType.BOOKING_MADE,
        EventType.BOOKING_MADE,
        EventType.BOOKING_CANCELLED,
    ]


def test_anothers_does_not_exist_and_what_is_over_is_not_stopped(
    department: BookingDepartment, other_department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, own = other_department.create_schedule(), department.create_schedule()
    assert department.stop_schedule(theirs).status == department.stop_schedule(999_999_999).status == 404
    for schedule_id in ("x", None, 0):
        answer = department.stop_schedule(schedule_id)
        assert (answer.status, answer.error.partition("：")[0]) == (400, "schedule_id")
    freeze_clock(monkeypatch, "00:00", ahead=2)
    assert department.stop_schedule(own).error == "该排班已结束"
    assert {
        row["stopped_at"] for one in (department, other_department) for row in list_rows("schedules", one.hospital)
    } == {None}


def test_lin_hears_of_her_booking_where_she_listens(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    notify_client.poll_messages(lin.token, events=1)  # from here on
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    department.stop_schedule(schedule_id)
    wait_until(lambda: len(list_rows("outbox", department.hospital)) == 2 and all_done(department.hospital))
    events, _, _ = notify_client.poll_messages(lin.token, events=1)
    assert [(one["Type"], one["Content"]) for one in events] == [
        (EventType.BOOKING_MADE, f'{{"bookId":"{book_id}"}}'),
        (EventType.SCHEDULE_STOPPED, f'{{"bookId":"{book_id}"}}'),
    ]


def all_done(hospital: Hospital) -> bool:
    return all(row["done_at"] for row in list_rows("outbox", hospital))


def fill(department: BookingDepartment, schedule_id: int, number: int) -> None:
    """Sell the first slots of a schedule, each to a person of its own."""
    one = {
        "tenant_id": department.hospital.tenant_id,
        "schedule_id": schedule_id,
        "dept_id": department.dept_id,
        "now": clock.now(),
    }
    values = [
        {**one, "n": n, "user_id": 10_000_000 + n, "code": f"20360107{n:06d}", "day": get_iso_date(1)}
        for n in range(1, number + 1)
    ]
    insert = """
        INSERT INTO bookings (tenant_id, schedule_id, serial_no, user_id, member_id, pati_id, dept_id, day, half_day,
                              slot_time, type, fee, area, book_code, changed_at, created_at)
        VALUES (%(tenant_id)s, %(schedule_id)s, %(n)s, %(user_id)s, %(user_id)s, %(user_id)s, %(dept_id)s, %(day)s,
                'AM', '08:00', 0, 0, '', %(code)s, %(now)s, %(now)s)
    """
    mysql.run_transaction(lambda tx: tx.execute_many(insert, values))
