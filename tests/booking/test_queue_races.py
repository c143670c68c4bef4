"""Concurrent operations on a queue: nobody is called twice or lost, and who is refunded is not seen."""

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import pytest

from chalicelib.booking.queues import queue_store
from chalicelib.booking.queues.queue_store import QueueState
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.support import queue_client
from tests.support.booking_client import BookingDepartment, freeze_clock, list_rows
from tests.support.client import ApiResponse
from tests.support.factories import Person
from tests.support.queue_client import QueueClient, get_place
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
THREADS = 8


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


@pytest.fixture
def queue(department: BookingDepartment) -> QueueClient:
    return queue_client.create_queue(department)


def check_in_all(queue: QueueClient, count: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Person, str]]:
    booked = [queue_client.book(queue, number, number + 1) for number in range(count)]
    freeze_clock(monkeypatch, "07:30", ahead=1)
    for _, book_id in booked:
        queue.department.register(book_id=book_id)
    return booked


def list_called(queue: QueueClient) -> list[str]:
    """Return the bookings that were called, once for each call."""
    events = queue.department.list_notification_jobs()
    return [str(book_id) for _, event, book_id in events if event == EventType.QUEUE_CALLED]


def test_devices_that_call_next_at_the_same_time_call_one_patient(
    queue: QueueClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = [book_id for _, book_id in check_in_all(queue, 4, monkeypatch)]
    hospital = queue.department.hospital
    people = [hospital.chen, hospital.desk, hospital.admin, None]
    current = ""
    for following in books:
        responses = run_in_threads([partial(queue.call_next, current, people[at % 4]) for at in range(THREADS)])
        assert {one.status for one in responses} == {200}
        assert {one.data["current"]["book_id"] for one in responses} == {following}
        current = following
    assert list_called(queue) == books
    assert [row["seen_at"] is None for row in list_rows("bookings", hospital)] == [False, False, False, True]


def test_devices_that_follow_the_queue_call_everybody_once(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight devices call whom they think is next until nobody waits."""
    books = [book_id for _, book_id in check_in_all(queue, 16, monkeypatch)]

    def call_until_empty() -> list[int]:
        statuses, current = [], ""
        while True:
            response = queue.call_next(current)
            statuses.append(response.status)
            if response.data["current"] is None and not response.data["waiting"]:
                return statuses
            current = response.data["current"]["book_id"] if response.data["current"] else ""

    responses = run_in_threads([call_until_empty] * THREADS)
    assert {status for one in responses for status in one} == {200}
    assert list_called(queue) == books
    assert queue.show().data["seen"] == 16
    assert all(row["seen_at"] for row in list_rows("bookings", queue.department.hospital))


def test_second_device_waits_for_the_first(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another device calls two patients while the first one has read the queue and not called yet."""
    books, read = [book_id for _, book_id in check_in_all(queue, 3, monkeypatch)], queue_store.list_entries
    other: list[Future[Any]] = []

    def call_two() -> None:
        queue.call_next()
        queue.call_next(books[0])

    with ThreadPoolExecutor(1) as pool:

        def read_and_wait(*arguments: Any) -> Any:
            entries = read(*arguments)
            if not other:
                other.append(pool.submit(call_two))
                wait(other, timeout=0.3)
            return entries

        monkeypatch.setattr(queue_store, "list_entries", read_and_wait)
        assert queue.call_next().status == 200
        other[0].result()
    states = [row["state"] for row in list_rows("queue_entries", queue.department.hospital)]
    assert states == [QueueState.SEEN, QueueState.CALLED, QueueState.WAITING]


def test_patient_is_refunded_while_being_called(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either the refund is first, and the next one is called; or the patient is called, and is refunded then."""
    visits = check_in_all(queue, 9, monkeypatch)
    department, current = queue.department, ""
    for person, book_id in visits[:8]:
        if queue.list_waiting()[0] != book_id:  # called instead of the one before
            current = book_id
            continue
        calls: list[Callable[[], ApiResponse]] = [partial(department.refund_visit, book_id)]
        calls += [partial(queue.call_next, current)] * 3
        refund, *called = run_in_threads(calls)
        assert {one.status for one in called} == {200}
        assert (refund.status, department.get_status(person, book_id)) == (200, 1)
        assert book_id not in queue.list_waiting()
        current = queue.get_current()
        assert current != book_id
        assert get_place(person, book_id).data["state"] == ""
    rows = {str(row["book_id"]): row for row in list_rows("bookings", department.hospital)}
    assert not any(row["seen_at"] and not row["live"] for row in rows.values()), "nobody is seen and refunded"


def test_refund_and_done_exclude_each_other(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> None:
    visits = check_in_all(queue, 8, monkeypatch)
    outcomes = set()
    for person, book_id in visits:
        queue.call_next(queue.get_current())
        calls: list[Callable[[], Any]] = [
            partial(queue.department.refund_visit, book_id),
            partial(queue.finish, book_id),
        ]
        refund, done = run_in_threads(calls)
        [row] = [one for one in list_rows("bookings", queue.department.hospital) if str(one["book_id"]) == book_id]
        refunded = queue.department.get_status(person, book_id) == 1
        assert (row["seen_at"] is None) is refunded
        assert (refund.status, done.status) in ([(200, 200), (200, 404)] if refunded else [(403, 200)])
        outcomes.add(refunded)
    assert outcomes


def test_refund_that_is_first_lets_the_next_one_be_called(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refund commits after the queue was read, and before the booking is locked."""
    visits = check_in_all(queue, 3, monkeypatch)
    books, read = [book_id for _, book_id in visits], queue_store.list_entries
    refunded: list[int] = []

    def read_and_refund(*arguments: Any) -> Any:
        entries = read(*arguments)
        if not refunded:
            refunded.append(queue.department.refund_visit(books[0]).status)
        return entries

    monkeypatch.setattr(queue_store, "list_entries", read_and_refund)
    assert queue.call_next().data["current"]["book_id"] == books[1]
    assert (refunded, list_called(queue)) == ([200], books[1:2])


def test_check_ins_while_calling_keep_the_order(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> None:
    booked = [queue_client.book(queue, number, number * 2 + 1) for number in range(24)]
    freeze_clock(monkeypatch, "07:30", ahead=1)
    books, department, chance = [book_id for _, book_id in booked], queue.department, random.Random(7)
    shuffled = chance.sample(books, len(books))

    def call_next() -> ApiResponse:
        return queue.call_next(queue.get_current())

    for at in range(0, 24, 6):
        calls: list[Callable[[], ApiResponse]] = [call_next, call_next]
        calls += [partial(department.register, book_id=one) for one in shuffled[at : at + 6]]
        assert {one.status for one in run_in_threads(calls)} == {200}
    rows = list_rows("queue_entries", department.hospital)
    assert sorted(str(row["book_id"]) for row in rows) == sorted(books)
    waiting = [row for row in rows if row["state"] == QueueState.WAITING]
    assert len({row["place"] for row in waiting}) == len(waiting)
    segments = {str(row["book_id"]): row["segment"] for row in rows}
    order = queue.list_waiting()
    assert [segments[one] for one in order] == sorted(segments[one] for one in order)
    assert len(list_called(queue)) == len(set(list_called(queue)))


def test_substitute_takes_over_while_patients_are_called_and_check_in(
    queue: QueueClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits = check_in_all(queue, 6, monkeypatch)
    late = queue_client.book(queue, 6, 40)
    department, zhou = queue.department, queue.department.hospital.zhou
    calls: list[Callable[[], ApiResponse]] = [
        partial(department.substitute_doctor, queue.schedule_id, zhou.user_id),
        partial(department.register, book_id=late[1]),
        *[lambda: queue.call_next(queue.get_current())] * 3,
    ]
    substituted, registered, *called = run_in_threads(calls)
    assert (substituted.status, registered.status) == (200, 200)
    assert {one.status for one in called} <= {200, 409}
    new = QueueClient(department, substituted.data["schedule_id"])
    shown = new.show(zhou).data
    expected = [book_id for _, book_id in [*visits, late]][queue.show().data["seen"] :]
    assert [one["book_id"] for one in shown["waiting"]] == expected
    assert (queue.get_current(), queue.list_waiting(), shown["expected"]) == ("", [], 0)


def test_skips_and_calls_at_the_same_time_lose_no_patient(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> None:
    books = {book_id for _, book_id in check_in_all(queue, 6, monkeypatch)}
    for number in range(6):
        freeze_clock(monkeypatch, f"08:{number:02}", ahead=0)
        current = queue.call_next(queue.get_current()).data["current"]["book_id"]
        operations: list[Callable[[str], ApiResponse]] = [
            queue.skip,
            queue.call_next,
            queue.finish,
            queue.await_results,
            queue.call_again,
        ]
        calls: list[Callable[[], ApiResponse]] = [partial(one, current) for one in operations]
        assert {one.status for one in run_in_threads(calls)} == {200}
        shown = queue.show().data
        present = [one["book_id"] for one in [*shown["waiting"], *shown["away"]]]
        present += [shown["current"]["book_id"]] if shown["current"] else []
        states = {str(row["book_id"]): row["state"] for row in list_rows("queue_entries", queue.department.hospital)}
        assert {*present} == {one for one in books if states[one] != QueueState.SEEN}
        assert len(present) == len(set(present))
        if not shown["waiting"]:
            break
