"""The order of a queue: by segment, then by check-in; and random operations compared with a simple model."""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.booking.queues import line
from tests.support import queue_client
from tests.support.booking_client import BookingDepartment, freeze_clock, get_iso_date
from tests.support.factories import Person
from tests.support.queue_client import QueueClient, get_place
from tests.support.statements import record_statements

OPERATIONS, PATIENTS, SEED = 200, 40, 15


@pytest.mark.parametrize(
    ("slot_time", "arrival", "segment"),
    [
        ("08:10", "07:00", "08:00"),
        ("08:10", "08:29", "08:00"),
        ("08:10", "08:30", "08:30"),  # late: by check-in
        ("08:29", "11:40", "11:30"),
        ("11:55", "08:00", "11:30"),
        ("08:00", "13:05", "13:00"),  # at the front desk, after the half-day
    ],
)
def test_segment_of_a_patient(slot_time: str, arrival: str, segment: str) -> None:
    def parse(text: str) -> timedelta:
        return timedelta(hours=int(text[:2]), minutes=int(text[3:]))

    assert line.compute_segment(parse("08:00"), parse(slot_time), parse(arrival), 30) == parse(segment)


def test_patients_wait_by_segment_then_by_check_in(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_client.create_queue(department)  # a slot every five minutes: six in a segment
    slots = {"late": 1, "first": 6, "second": 2, "next": 7, "last": 48}
    books = {name: queue_client.book(queue, number, slot)[1] for number, (name, slot) in enumerate(slots.items())}
    arrivals = [("last", "07:00"), ("next", "07:10"), ("first", "07:20"), ("second", "07:30"), ("late", "08:30")]
    for name, time in arrivals:
        freeze_clock(monkeypatch, time, ahead=1 if name == "last" else 0)
        assert department.register(book_id=books[name]).status == 200
    names = {book_id: name for name, book_id in books.items()}
    assert [names[one] for one in queue.list_waiting()] == ["first", "second", "next", "late", "last"]


def test_length_of_segments_is_a_rule(department: BookingDepartment, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_client.create_queue(department)
    books = [queue_client.book(queue, number, slot)[1] for number, slot in enumerate((13, 1, 12))]
    freeze_clock(monkeypatch, "07:00", ahead=1)
    department.save_rules(segment_minutes=60)
    for book_id in books:
        department.register(book_id=book_id)
    assert queue.list_waiting() == [books[1], books[2], books[0]], "08:00 to 08:59, then 09:00"


@pytest.mark.store
def test_place_takes_as_many_statements_in_a_long_queue(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_client.create_queue(department)
    visits = [queue_client.book(queue, number, number + 1) for number in range(12)]
    freeze_clock(monkeypatch, "07:00", ahead=1)
    counts = []
    for before, (person, book_id) in enumerate(visits):
        department.register(book_id=book_id)
        get_place(person, book_id)  # stores the use of the session
        with record_statements() as statements:
            assert get_place(person, book_id).data["before"] == before
        counts.append(len(set(statements)))
    assert counts == [2] * 12


@dataclass
class Model:
    """The rules of docs/booking.md on lists: what the queue must be equal to."""

    waiting: list[str] = field(default_factory=list)
    current: str = ""
    away: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    segments: dict[str, int] = field(default_factory=dict)  # half-hours since midnight
    returning: set[str] = field(default_factory=set)

    def arrive(self, book_id: str, slot: int, minute: int) -> None:
        """Insert a patient whose slot and arrival are minutes since midnight."""
        self.segments[book_id] = max(slot, minute) // 30
        for at, one in enumerate(self.waiting):
            if one not in self.returning and self.segments[one] > self.segments[book_id]:
                self.waiting.insert(at, book_id)
                return
        self.waiting.append(book_id)

    def call_next(self) -> None:
        if self.current:
            self.seen.add(self.current)
        self.current = self.waiting.pop(0) if self.waiting else ""

    def skip(self) -> None:
        self.waiting.insert(3, self.current)
        self.current = ""

    def finish(self) -> None:
        self.seen.add(self.current)
        self.current = ""

    def send_away(self) -> None:
        self.away.append(self.current)
        self.current = ""

    def come_back(self, book_id: str) -> None:
        self.away.remove(book_id)
        self.returning.add(book_id)
        after = [at for at, one in enumerate(self.waiting) if one in self.returning]
        self.waiting.insert(max(after, default=-1) + 3, book_id)

    def leave(self, book_id: str) -> None:
        self.waiting = [one for one in self.waiting if one != book_id]
        self.current = "" if self.current == book_id else self.current


def book_all(queue: QueueClient, chance: random.Random) -> dict[str, tuple[Person, int]]:
    """Book random slots; return the patient and the slot's time, in minutes since midnight, by booking."""
    serial_nos = chance.sample(range(1, 49), PATIENTS)
    booked = [(queue_client.book(queue, number, one), one) for number, one in enumerate(serial_nos)]
    return {book_id: (person, 480 + (serial_no - 1) * 5) for (person, book_id), serial_no in booked}


def set_time(monkeypatch: pytest.MonkeyPatch, day: date, minute: int, second: int) -> None:
    instant = clock.to_instant(day, timedelta(minutes=minute, seconds=second))
    monkeypatch.setattr(clock, "now", lambda: instant)


@pytest.mark.store
def test_random_operations_have_the_order_of_a_simple_model(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, model, queue = random.Random(SEED), Model(), queue_client.create_queue(department)
    patients = book_all(queue, chance)
    to_come = list(patients)
    freeze_clock(monkeypatch, "07:00", ahead=1)
    day = date.fromisoformat(get_iso_date(0))
    code = queue_client.replace_code(department)
    department.save_rules(checkin_minutes=600)
    for number in range(OPERATIONS):
        minute = 420 + number * 290 // OPERATIONS
        set_time(monkeypatch, day, minute, number % 60)
        apply_one(chance, model, queue, patients, to_come, minute, code)
        shown = queue.show().data
        assert [one["book_id"] for one in shown["waiting"]] == model.waiting, (SEED, number)
        assert (shown["current"] or {}).get("book_id", "") == model.current, (SEED, number)
        assert {one["book_id"] for one in shown["away"]} == set(model.away), (SEED, number)
        assert shown["seen"] == len(model.seen), (SEED, number)
    for before, book_id in enumerate(model.waiting):
        assert get_place(patients[book_id][0], book_id).data["before"] == before
    rows = mysql.autocommit.fetch_all(
        "SELECT book_id FROM bookings WHERE tenant_id = %(id)s AND seen_at IS NOT NULL",
        id=department.hospital.tenant_id,
    )
    seen = {str(row["book_id"]) for row in rows}
    assert model.seen <= seen <= model.seen | set(model.away) | model.returning


def apply_one(
    chance: random.Random,
    model: Model,
    queue: QueueClient,
    patients: dict[str, tuple[Person, int]],
    to_come: list[str],
    minute: int,
    code: str,
) -> None:
    """Do one random operation in the queue and in the model."""
    department = queue.department
    name = chance.choice(
        ["arrive"] * 4 + ["next"] * 4 + ["skip", "skip", "done", "away", "away", "back", "back", "refund"]
    )
    if name == "arrive" and to_come:
        book_id = to_come.pop()
        person, slot = patients[book_id]
        by_code = chance.random() < 0.5
        response = queue_client.check_in(person, book_id, code) if by_code else department.register(book_id=book_id)
        model.arrive(book_id, slot, minute)
    elif name == "next":
        response = queue.call_next(model.current)
        model.call_next()
    elif name == "back" and model.away:
        book_id = chance.choice(model.away)
        response = department.register(book_id=book_id)
        model.come_back(book_id)
    elif name == "refund" and (unseen := [one for one in model.waiting if one not in model.returning]):
        book_id = chance.choice(unseen)
        response = department.refund_visit(book_id)
        model.leave(book_id)
    elif name in ("skip", "done", "away") and model.current:
        operate = {"skip": queue.skip, "done": queue.finish, "away": queue.await_results}[name]
        response = operate(model.current)
        {"skip": model.skip, "done": model.finish, "away": model.send_away}[name]()
    else:
        return
    assert response.status == 200, (name, response.error)
