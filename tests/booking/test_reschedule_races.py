"""Concurrent rescheduling: each slot is sold once, and a booking has one slot."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any

import pytest

from chalicelib.booking.closures import stopped_schedules
from chalicelib.booking.reservations import rescheduling_store
from chalicelib.booking.waitlist import offering
from chalicelib.outbox import outbox
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
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
PEOPLE, TURNS, CONCURRENCY = 12, 25, 12


@pytest.fixture
def paused_move(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Event, Event]]:
    """Pause the first move just before its UPDATE: it sets the first event and waits for the second."""
    reached, proceed, move = Event(), Event(), rescheduling_store.move

    def move_after_pause(*arguments: Any) -> None:
        if not reached.is_set():
            reached.set()
            assert proceed.wait(10)
        move(*arguments)

    monkeypatch.setattr(rescheduling_store, "move", move_after_pause)
    yield reached, proceed
    proceed.set()


def test_one_of_eight_bookings_gets_the_slot(department: BookingDepartment) -> None:
    people = [create_patient(department, number) for number in range(8)]
    schedule_id, wanted = department.create_schedule(slots=8), department.create_schedule(**AFTERNOON)
    books = [department.book_slot(one, schedule_id, at + 1) for at, one in enumerate(people)]
    responses = run_in_threads(
        partial(department.reschedule, one, book_id, wanted, 2) for one, book_id in zip(people, books, strict=True)
    )
    assert sorted(one.status for one in responses) == [200, *[409] * 7]
    assert {one.error for one in responses if one.status == 409} == {"2号已被预约，还可预约：1号 14:00、3号 16:00"}
    assert len(department.list_free_serial_nos(schedule_id)) == 1


def test_buyer_and_rescheduled_booking_compete_for_a_slot(
    department: BookingDepartment, lin: Person, wang: Person, paused_move: tuple[Event, Event]
) -> None:
    schedule_id, wanted = department.create_schedule(), department.create_schedule(**AFTERNOON)
    book_id = department.book_slot(lin, schedule_id)
    with ThreadPoolExecutor(1) as pool:
        moved = pool.submit(department.reschedule, lin, book_id, wanted, 2)
        assert paused_move[0].wait(10)
        assert department.submit(wang, wanted, 2).status == 200
        paused_move[1].set()
        assert moved.result().error == "2号已被预约，还可预约：1号 14:00、3号 16:00"
    assert department.list_free_serial_nos(schedule_id) == [2, 3, 4]


def test_double_click_moves_once(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    responses = run_in_threads([lambda: department.reschedule(lin, book_id, schedule_id, 3)] * 6)
    assert {one.status for one in responses} == {200}
    assert len(list_rows("booking_changes", department.hospital)) == 1
    assert len(department.list_notification_jobs()) == 2


def test_cancelling_waits_for_a_move(
    department: BookingDepartment, lin: Person, paused_move: tuple[Event, Event]
) -> None:
    schedule_id, wanted = department.create_schedule(), department.create_schedule(**AFTERNOON)
    book_id = department.book_slot(lin, schedule_id)
    with ThreadPoolExecutor(2) as pool:
        moved = pool.submit(department.reschedule, lin, book_id, wanted)
        assert paused_move[0].wait(10)
        cancelled = pool.submit(department.cancel, lin, book_id)
        wait_until(is_row_lock_waiting)
        paused_move[1].set()
        assert (moved.result().status, cancelled.result().status) == (200, 200)
    assert department.list_free_serial_nos(wanted) == [1, 2, 3]
    assert department.get_status(lin, book_id) == 1


def test_stop_of_the_old_schedule_does_not_cancel_a_booking_that_left(
    department: BookingDepartment, lin: Person, paused_move: tuple[Event, Event]
) -> None:
    """The job has listed the booking before the move commits."""
    schedule_id, wanted = department.create_schedule(), department.create_schedule(**AFTERNOON)
    book_id = department.book_slot(lin, schedule_id)
    with ThreadPoolExecutor(2) as pool:
        moved = pool.submit(department.reschedule, lin, book_id, wanted)
        assert paused_move[0].wait(10)
        payload = {"schedule_id": int(schedule_id), "by": 1}
        job = pool.submit(stopped_schedules.cancel_bookings, lin.tenant_id, payload)
        wait_until(is_row_lock_waiting)
        paused_move[1].set()
        job.result()
        assert moved.result().status == 200
    assert department.get_status(lin, book_id) == 0


def test_stop_of_the_new_schedule_waits_for_the_move(
    department: BookingDepartment, lin: Person, paused_move: tuple[Event, Event]
) -> None:
    department.save_rules(hold_hours=0)
    schedule_id, wanted = department.create_schedule(), department.create_schedule(**AFTERNOON)
    book_id = department.book_slot(lin, schedule_id)
    with ThreadPoolExecutor(2) as pool:
        moved = pool.submit(department.reschedule, lin, book_id, wanted)
        assert paused_move[0].wait(10)
        stopped = pool.submit(department.stop_schedule, wanted)
        wait_until(is_row_lock_waiting)
        paused_move[1].set()
        assert (moved.result().status, stopped.result().status) == (200, 200)
    wait_until(lambda: department.get_status(lin, book_id) == 1)


def test_offers_during_a_move_give_the_old_slot_once(
    department: BookingDepartment,
    lin: Person,
    wang: Person,
    paused_move: tuple[Event, Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the move is not committed, its old slot is not free; afterwards it is for the first in line alone."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    department.save_rules(quiet_from=0, quiet_to=0)
    other = create_patient(department, 1)
    full, wanted = department.create_schedule(slots=1), department.create_schedule(**AFTERNOON)
    book_id = department.book_slot(lin, full)
    for person in (wang, other):
        assert department.join_waitlist(person, full).status == 200
    with ThreadPoolExecutor(1) as pool:
        moved = pool.submit(department.reschedule, lin, book_id, wanted)
        assert paused_move[0].wait(10)
        offering.offer_free_slots(lin.tenant_id, {"schedule_id": int(full)})
        assert [one["state"] for one in list_rows("waitlist_entries", department.hospital)] == ["waiting"] * 2
        paused_move[1].set()
        assert moved.result().status == 200
    run_in_threads([partial(offering.offer_free_slots, lin.tenant_id, {"schedule_id": int(full)})] * 4)
    assert [one["state"] for one in list_rows("waitlist_entries", department.hospital)] == ["offered", "waiting"]
    live = [one for one in list_rows("bookings", department.hospital) if one["live"]]
    assert [(one["user_id"], str(one["schedule_id"])) for one in live] == [(lin.user_id, wanted), (wang.user_id, full)]


def test_offer_to_a_person_who_is_just_moving_into_the_half_day(
    department: BookingDepartment,
    lin: Person,
    wang: Person,
    paused_move: tuple[Event, Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The offer waits for the person's lock, and then finds that the half-day is taken."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    department.save_rules(quiet_from=0, quiet_to=0)
    full, zhou = department.create_schedule(slots=1), department.hospital.zhou.user_id
    morning, later = department.create_schedule(doctor_id=zhou), department.create_schedule(date=get_iso_date(3))
    held, moving = department.book_slot(lin, full), department.book_slot(wang, later)
    department.join_waitlist(wang, full)
    department.cancel(lin, held)
    with ThreadPoolExecutor(2) as pool:
        moved = pool.submit(department.reschedule, wang, moving, morning, 4)
        assert paused_move[0].wait(10)
        offered = pool.submit(offering.offer_free_slots, lin.tenant_id, {"schedule_id": int(full)})
        wait_until(is_row_lock_waiting)
        paused_move[1].set()
        offered.result()
        assert moved.result().status == 200
    assert [one["state"] for one in list_rows("waitlist_entries", department.hospital)] == ["ended"]
    assert department.list_free_serial_nos(full) == [1]


def test_all_operations_run_concurrently(department: BookingDepartment, monkeypatch: pytest.MonkeyPatch) -> None:
    """People book, reschedule and cancel on three half-days; afterwards every slot is sold once."""
    people = [create_patient(department, number) for number in range(PEOPLE)]
    freeze_clock(monkeypatch, "07:00", ahead=1)
    department.save_rules(daily_limit=0, reschedule_limit=100, pay_minutes=1)
    schedule_ids = [
        department.create_schedule(date=get_iso_date(0), slots=24),
        department.create_schedule(**{**AFTERNOON, "date": get_iso_date(0), "slots": 24}),
        department.create_schedule(date=get_iso_date(1), doctor_id=department.hospital.zhou.user_id, slots=24),
    ]
    calls = [one for person in people for one in build_turns(department, person, schedule_ids)]
    random.Random(5).shuffle(calls)
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        responses = list(pool.map(lambda call: call(), calls))
    assert {one.status for one in responses} <= {200, 409}
    assert sum(one.status == 200 for one in responses) > PEOPLE
    rows, changes = (list_rows(table, department.hospital) for table in ("bookings", "booking_changes"))
    live = [one for one in rows if one["live"]]
    assert len({(one["schedule_id"], one["serial_no"]) for one in live}) == len(live)
    assert len({(one["pati_id"], one["day"], one["half_day"]) for one in live}) == len(live)
    assert len({(one["pati_id"], one["day"], one["doctor_id"]) for one in live}) == len(live)
    assert len(changes) > PEOPLE
    for one in rows:
        own = [change for change in changes if change["book_id"] == one["book_id"]]
        assert [change["number"] for change in own] == list(range(1, one["changes"] + 1))
        assert not own or (own[-1]["schedule_id"], own[-1]["serial_no"]) == (one["schedule_id"], one["serial_no"])
    for schedule_id in schedule_ids:
        taken = {one["serial_no"] for one in live if str(one["schedule_id"]) == schedule_id}
        assert taken.isdisjoint(department.list_free_serial_nos(schedule_id))


def build_turns(
    department: BookingDepartment, person: Person, schedule_ids: list[str]
) -> list[Callable[[], ApiResponse]]:
    chance, held = random.Random(person.user_id), [""]

    def turn() -> ApiResponse:
        slot = (chance.choice(schedule_ids), chance.randint(1, 24))
        if not held[0]:
            response = department.submit(person, *slot)
            held[0] = response.data["bookId"] if response.status == 200 else ""
            return response
        if chance.random() < 0.75:
            return department.reschedule(person, held[0], *slot)
        response = department.cancel(person, held[0])
        held[0] = ""
        return response

    return [turn] * TURNS
