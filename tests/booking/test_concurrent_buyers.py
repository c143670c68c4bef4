"""The moment when a famous doctor's slots open: never one too many, never one too few, and each buyer told clearly."""

from collections.abc import Callable
from itertools import count

import pytest

from tests.faults.conftest import mysql_proxy
from tests.support import booking_client as wards
from tests.support import booking_load, factories
from tests.support.booking_client import BookingDepartment, get_iso_date
from tests.support.booking_load import BUYER_COUNT
from tests.support.factories import Person
from tests.support.faults.tcp_proxy import Proxy

__all__ = ["mysql_proxy"]
Offered = Callable[[int], str]


@pytest.fixture(scope="module")
def famous() -> BookingDepartment:
    ward = wards.create_department(factories.create_hospital())
    ward.save_rules(days_ahead=60, daily_limit=0)
    return ward


@pytest.fixture(scope="module")
def buyers(famous: BookingDepartment) -> list[Person]:
    return booking_load.create_buyers(famous)


@pytest.fixture(scope="module")
def offered(famous: BookingDepartment) -> Offered:
    """A half-day with so many slots, on a day of its own."""
    ahead = count(1)
    return lambda slots: famous.create_schedule(date=get_iso_date(next(ahead)), slots=slots)


@pytest.mark.store
@pytest.mark.parametrize("slots", [50, 1])
def test_a_thousand_buyers(famous: BookingDepartment, buyers: list[Person], offered: Offered, slots: int) -> None:
    schedule_id = offered(slots)
    outcomes = booking_load.buy_all(famous, buyers, schedule_id, slots)
    assert booking_load.find_inconsistencies(outcomes, schedule_id, slots) == []
    assert famous.list_free_serial_nos(schedule_id) == []


@pytest.mark.store
@pytest.mark.parametrize("slots", [50, 1])
def test_a_thousand_buyers_of_whom_some_give_back_while_redis_is_flushed(
    famous: BookingDepartment, buyers: list[Person], offered: Offered, slots: int
) -> None:
    schedule_id = offered(slots)
    with booking_load.flush_redis_repeatedly():
        outcomes = booking_load.buy_all(famous, buyers, schedule_id, slots, fickle=BUYER_COUNT // 2)
    assert slots == 1 or sum(len(one.cancelled) for one in outcomes) > 10
    assert booking_load.find_inconsistencies(outcomes, schedule_id, slots) == []
    assert famous.list_free_serial_nos(schedule_id) == []


@pytest.mark.parametrize("slots", [50, 1])
def test_a_thousand_buyers_of_whom_some_give_back_while_lines_to_mysql_break(
    famous: BookingDepartment, buyers: list[Person], offered: Offered, mysql_proxy: Proxy, slots: int
) -> None:
    schedule_id = offered(slots)
    mysql_proxy.break_at_random(seed=7, mean=100_000)
    outcomes = booking_load.buy_all(famous, buyers, schedule_id, slots, fickle=BUYER_COUNT // 2)
    mysql_proxy.reset_connections()
    mysql_proxy.restore()
    assert mysql_proxy.broken_count > 20
    assert sum(one.retries for one in outcomes) > 20
    assert booking_load.find_inconsistencies(outcomes, schedule_id, slots) == []
