"""The moment when a famous doctor's slots open: never one too many, never one too few, and each buyer told clearly."""

from collections.abc import Callable
from itertools import count

import pytest

from tests import people
from tests.booking import rush
from tests.booking import ward as wards
from tests.booking.rush import BUYERS
from tests.booking.ward import Ward, day
from tests.faults.conftest import line
from tests.faults.proxy import Proxy
from tests.people import Person

__all__ = ["line"]
Offered = Callable[[int], str]


@pytest.fixture(scope="module")
def famous() -> Ward:
    ward = wards.ward(people.hospital())
    ward.rules(days_ahead=60, daily_limit=0)
    return ward


@pytest.fixture(scope="module")
def buyers(famous: Ward) -> list[Person]:
    return rush.crowd(famous)


@pytest.fixture(scope="module")
def offered(famous: Ward) -> Offered:
    """A half-day with so many slots, on a day of its own."""
    ahead = count(1)
    return lambda slots: famous.schedule(date=day(next(ahead)), slots=slots)


@pytest.mark.store
@pytest.mark.parametrize("slots", [50, 1])
def test_a_thousand_buyers(famous: Ward, buyers: list[Person], offered: Offered, slots: int) -> None:
    schedule_id = offered(slots)
    outcomes = rush.rush(famous, buyers, schedule_id, slots)
    assert rush.wrong(outcomes, schedule_id, slots) == []
    assert famous.left(schedule_id) == []


@pytest.mark.store
@pytest.mark.parametrize("slots", [50, 1])
def test_a_thousand_buyers_of_whom_some_give_back_while_redis_is_flushed(
    famous: Ward, buyers: list[Person], offered: Offered, slots: int
) -> None:
    schedule_id = offered(slots)
    with rush.flushing():
        outcomes = rush.rush(famous, buyers, schedule_id, slots, fickle=BUYERS // 2)
    assert slots == 1 or sum(len(one.cancelled) for one in outcomes) > 10
    assert rush.wrong(outcomes, schedule_id, slots) == []
    assert famous.left(schedule_id) == []


@pytest.mark.parametrize("slots", [50, 1])
def test_a_thousand_buyers_of_whom_some_give_back_while_lines_to_mysql_break(
    famous: Ward, buyers: list[Person], offered: Offered, line: Proxy, slots: int
) -> None:
    schedule_id = offered(slots)
    line.break_at_random(seed=7, mean=100_000)
    outcomes = rush.rush(famous, buyers, schedule_id, slots, fickle=BUYERS // 2)
    line.cut()
    line.mend()
    assert line.broken > 20
    assert sum(one.refused for one in outcomes) > 20
    assert rush.wrong(outcomes, schedule_id, slots) == []
