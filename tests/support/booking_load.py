"""A thousand people who all want the same half-day, 32 at a time, each as a page would: one request after another."""

import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from chalicelib.adapters import mysql, redis
from tests.support.booking_client import BookingDepartment, create_patient
from tests.support.client import Answer
from tests.support.factories import Person

BUYER_COUNT, CONCURRENCY = 1_000, 32
OFFERED_SLOT = re.compile(r"(\d+)号 \d\d:\d\d")


@dataclass
class Outcome:
    """What one buyer was told: the booking they hold at the end, and those that they cancelled."""

    buyer: Person
    booking_id: str | None
    cancelled: list[str]
    retries: int = 0  # answers that asked to try again


def create_buyers(department: BookingDepartment) -> list[Person]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda number: create_patient(department, number), range(BUYER_COUNT)))


def buy_all(
    department: BookingDepartment, buyers: list[Person], schedule_id: str, slots: int, fickle: int = 0
) -> list[Outcome]:
    """Have them all buy. Of the first `fickle` buyers, one in three who got a slot gives it back, and then leaves."""

    def buy(number: int) -> Outcome:
        chance = random.Random(number)
        outcome = Outcome(buyers[number], None, [])
        outcome.booking_id = buy_any_slot(department, outcome, schedule_id, chance.randint(1, slots), chance)
        if outcome.booking_id and number < fickle and chance.random() < 1 / 3:
            retry_while_unavailable(outcome, lambda: department.cancel(outcome.buyer, outcome.booking_id))
            outcome.cancelled.append(outcome.booking_id)
            outcome.booking_id = None
        return outcome

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return list(pool.map(buy, range(len(buyers))))


def buy_any_slot(
    department: BookingDepartment, outcome: Outcome, schedule_id: str, serial_no: int, chance: random.Random
) -> str | None:
    """Try one slot after the other, as the answers name them; None once the half-day is full."""
    while True:
        answer = retry_while_unavailable(outcome, lambda: department.submit(outcome.buyer, schedule_id, serial_no))  # noqa: B023  # at once
        if answer.status == 200:
            return str(answer.data["bookId"])
        assert (answer.status, answer.code) == (409, 10005), answer.body
        assert answer.error.startswith(f"{serial_no}号已被预约，")
        named = OFFERED_SLOT.findall(answer.error)
        if not named:
            assert answer.error.endswith("该半天已约满")
            return None
        serial_no = int(chance.choice(named))


def retry_while_unavailable(outcome: Outcome, call: Callable[[], Answer]) -> Answer:
    """Send the same request again while the answer is that the service is not available."""
    while (answer := call()).status == 503:
        assert int(answer.headers["Retry-After"]) > 0
        outcome.retries += 1
    return answer


@contextmanager
def flush_redis_repeatedly() -> Iterator[None]:
    """Have Redis lose everything, again and again."""
    over = Event()

    def flush() -> None:
        while not over.wait(0.1):
            redis.get_client().flushall()

    thread = Thread(target=flush)
    thread.start()
    yield
    over.set()
    thread.join()


def find_inconsistencies(outcomes: list[Outcome], schedule_id: str, sold: int) -> list[str]:
    """Count in the database; return what does not agree with what the buyers were told."""
    rows = mysql.autocommit.fetch_all(
        "SELECT * FROM bookings WHERE schedule_id = %(id)s ORDER BY book_id", id=schedule_id
    )
    told = mysql.autocommit.fetch_all(
        "SELECT dedup_key FROM outbox WHERE tenant_id = %(id)s", id=outcomes[0].buyer.tenant_id
    )
    live, gone = [row for row in rows if row["status"] == 0], [row for row in rows if row["status"] == 1]
    names = {row["dedup_key"].decode() for row in told if row["dedup_key"]}
    problems = {
        f"{len(live)} sold": len(live) != sold,
        "a slot twice": len({row["serial_no"] for row in live}) != len(live),
        "a person twice": len({row["pati_id"] for row in live}) != len(live),
        "others hold than were told so": (
            {(str(row["book_id"]), row["user_id"]) for row in live}
            != {(one.booking_id, one.buyer.user_id) for one in outcomes if one.booking_id}
        ),
        "others cancelled than were told so": (
            {str(row["book_id"]) for row in gone} != {book_id for one in outcomes for book_id in one.cancelled}
        ),
        "somebody is not told of their booking": not {f"booking:{row['book_id']}:1100" for row in rows} <= names,
        "somebody is not told of what they cancelled": not {f"booking:{row['book_id']}:1101" for row in gone} <= names,
    }
    return [name for name, is_wrong in problems.items() if is_wrong]
