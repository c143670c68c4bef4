"""Load on one schedule: a thousand patients book its slots, 32 at a time, each with one request after another."""

import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Row
from chalicelib.billing.bookings import BookingStatus
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.support.booking_client import BookingDepartment, create_patient
from tests.support.client import ApiResponse
from tests.support.factories import Person

BUYER_COUNT, CONCURRENCY = 1_000, 32
OFFERED_SLOT = re.compile(r"(\d+)号 \d\d:\d\d")


@dataclass
class Outcome:
    """The result of one buyer by the responses: the booking they have at the end, and those that they cancelled."""

    buyer: Person
    booking_id: str | None
    cancelled: list[str]
    retries: int = 0  # number of 503 responses


def create_buyers(department: BookingDepartment) -> list[Person]:
    """Insert BUYER_COUNT patients."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda number: create_patient(department, number), range(BUYER_COUNT)))


def buy_all(
    department: BookingDepartment, buyers: list[Person], schedule_id: str, slots: int, may_cancel: int = 0
) -> list[Outcome]:
    """Let all buyers try to book; one in three of the first `may_cancel` buyers who get a slot cancels it again."""

    def buy(number: int) -> Outcome:
        chance = random.Random(number)
        outcome = Outcome(buyers[number], None, [])
        outcome.booking_id = buy_any_slot(department, outcome, schedule_id, chance.randint(1, slots), chance)
        if outcome.booking_id and number < may_cancel and chance.random() < 1 / 3:
            retry_while_unavailable(outcome, lambda: department.cancel(outcome.buyer, outcome.booking_id))
            outcome.cancelled.append(outcome.booking_id)
            outcome.booking_id = None
        return outcome

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return list(pool.map(buy, range(len(buyers))))


def buy_from_release_on(
    department: BookingDepartment, numbered_buyers: list[tuple[int, Person]], schedule_id: str, slots: int, ahead: int
) -> list[Outcome]:
    """Let buyers try to book one after another, the first one from before the release on.

    Args:
        ahead: how far the clock of this process is ahead of the real one, in µs.
    """
    now = clock.now
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: now() + ahead)
        patch.setattr(outbox, "wake_worker", lambda *_: None)
        outcomes = []
        for number, buyer in numbered_buyers:
            chance = random.Random(number)
            outcome, serial_no = Outcome(buyer, None, []), chance.randint(1, slots)
            while not _is_released(department.submit(buyer, schedule_id, serial_no)):
                pass
            outcome.booking_id = buy_any_slot(department, outcome, schedule_id, serial_no, chance)
            outcomes.append(outcome)
        return outcomes


def _is_released(response: ApiResponse) -> bool:
    return response.status != 409 or "放号" not in response.error


def buy_any_slot(
    department: BookingDepartment, outcome: Outcome, schedule_id: str, serial_no: int, chance: random.Random
) -> str | None:
    """Try the slots that the responses name until one is booked; return None once the half-day is full."""
    while True:
        response = retry_while_unavailable(outcome, lambda: department.submit(outcome.buyer, schedule_id, serial_no))  # noqa: B023  # called at once
        if response.status == 200:
            return str(response.data["bookId"])
        assert (response.status, response.code) == (409, 10005), response.body
        assert response.error.startswith(f"{serial_no}号已被预约，")
        suggested = OFFERED_SLOT.findall(response.error)
        if not suggested:
            assert "该半天已约满" in response.error
            return None
        serial_no = int(chance.choice(suggested))


def retry_while_unavailable(outcome: Outcome, call: Callable[[], ApiResponse]) -> ApiResponse:
    """Repeat the request while the response is 503."""
    while (response := call()).status == 503:
        assert int(response.headers["Retry-After"]) > 0
        outcome.retries += 1
    return response


@contextmanager
def flush_redis_repeatedly() -> Iterator[None]:
    """Flush Redis every 0.1 s."""
    stopped = Event()

    def flush() -> None:
        while not stopped.wait(0.1):
            redis.get_client().flushall()

    thread = Thread(target=flush)
    thread.start()
    yield
    stopped.set()
    thread.join()


def find_inconsistencies(outcomes: list[Outcome], schedule_id: str, expected: int) -> list[str]:
    """Return what in the database does not agree with the responses."""
    rows = mysql.autocommit.fetch_all(
        "SELECT * FROM bookings WHERE schedule_id = %(id)s ORDER BY book_id", id=schedule_id
    )
    jobs = mysql.autocommit.fetch_all(
        "SELECT dedup_key FROM outbox WHERE tenant_id = %(id)s", id=outcomes[0].buyer.tenant_id
    )
    live = [row for row in rows if row["status"] == BookingStatus.BOOKED]
    cancelled = [row for row in rows if row["status"] == BookingStatus.CANCELLED]
    keys = {row["dedup_key"].decode() for row in jobs if row["dedup_key"]}
    problems = {
        f"{len(live)} slots are booked": len(live) != expected,
        "a slot has two bookings": len({row["serial_no"] for row in live}) != len(live),
        "a patient has two bookings": len({row["pati_id"] for row in live}) != len(live),
        "bookings differ from the responses": (
            {(str(row["book_id"]), row["user_id"]) for row in live}
            != {(one.booking_id, one.buyer.user_id) for one in outcomes if one.booking_id}
        ),
        "cancelled bookings differ from the responses": (
            {str(row["book_id"]) for row in cancelled} != {book_id for one in outcomes for book_id in one.cancelled}
        ),
        "a booking has no notification": not build_keys(rows, EventType.BOOKING_MADE) <= keys,
        "a cancellation has no notification": not build_keys(cancelled, EventType.BOOKING_CANCELLED) <= keys,
    }
    return [name for name, is_wrong in problems.items() if is_wrong]


def build_keys(bookings: list[Row], event_type: EventType) -> set[str]:
    """Return the dedup_keys of the notification jobs of bookings."""
    return {f"booking:{row['book_id']}:{event_type}" for row in bookings}
