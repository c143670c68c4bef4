"""A thousand patients book the slots of one schedule: exactly its slots are booked, and every response is correct."""

import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from tests.faults.conftest import mysql_proxy
from tests.support import booking_client, booking_load, factories
from tests.support.booking_client import BookingDepartment, get_iso_date
from tests.support.booking_load import BUYER_COUNT
from tests.support.factories import Person
from tests.support.faults.tcp_proxy import Proxy
from tests.support.processes import PROCESS_COUNT, run_in_processes

__all__ = ["mysql_proxy"]
CreateSchedule = Callable[..., str]


@pytest.fixture(scope="module")
def busy_department() -> BookingDepartment:
    department = booking_client.create_department(factories.create_hospital())
    department.save_rules(days_ahead=60, daily_limit=0)
    return department


@pytest.fixture(scope="module")
def buyers(busy_department: BookingDepartment) -> list[Person]:
    return booking_load.create_buyers(busy_department)


@pytest.fixture(scope="module")
def create_schedule(busy_department: BookingDepartment) -> CreateSchedule:
    """Return a function that creates a schedule with a number of slots, each on another day."""
    ahead = count(1)
    return lambda slots, **fields: busy_department.create_schedule(
        date=get_iso_date(next(ahead)), slots=slots, **fields
    )


@pytest.mark.store
@pytest.mark.parametrize("slots", [50, 1])
def test_a_thousand_buyers(
    busy_department: BookingDepartment, buyers: list[Person], create_schedule: CreateSchedule, slots: int
) -> None:
    schedule_id = create_schedule(slots)
    outcomes = booking_load.buy_all(busy_department, buyers, schedule_id, slots)
    assert booking_load.find_inconsistencies(outcomes, schedule_id, slots) == []
    assert busy_department.list_free_serial_nos(schedule_id) == []


@pytest.mark.store
@pytest.mark.parametrize("slots", [50, 1])
def test_a_thousand_buyers_with_cancellations_while_redis_is_flushed(
    busy_department: BookingDepartment, buyers: list[Person], create_schedule: CreateSchedule, slots: int
) -> None:
    schedule_id = create_schedule(slots)
    with booking_load.flush_redis_repeatedly():
        outcomes = booking_load.buy_all(busy_department, buyers, schedule_id, slots, may_cancel=BUYER_COUNT // 2)
    assert slots == 1 or sum(len(one.cancelled) for one in outcomes) > 10
    assert booking_load.find_inconsistencies(outcomes, schedule_id, slots) == []
    assert busy_department.list_free_serial_nos(schedule_id) == []


@pytest.mark.parametrize("slots", [50, 1])
def test_a_thousand_buyers_with_cancellations_while_mysql_connections_break(
    busy_department: BookingDepartment,
    buyers: list[Person],
    create_schedule: CreateSchedule,
    mysql_proxy: Proxy,
    slots: int,
) -> None:
    schedule_id = create_schedule(slots)
    mysql_proxy.break_at_random(seed=7, mean=100_000)
    outcomes = booking_load.buy_all(busy_department, buyers, schedule_id, slots, may_cancel=BUYER_COUNT // 2)
    mysql_proxy.reset_connections()
    mysql_proxy.restore()
    assert mysql_proxy.broken_count > 20
    assert sum(one.retries for one in outcomes) > 20
    assert booking_load.find_inconsistencies(outcomes, schedule_id, slots) == []


@pytest.mark.store
def test_a_thousand_buyers_in_eight_processes_wait_for_the_release_of_500_slots(
    busy_department: BookingDepartment, buyers: list[Person], create_schedule: CreateSchedule
) -> None:
    slots = BUYER_COUNT // 2
    schedule_id = create_schedule(slots, begin="03:00", release_days=0, release_time="00:30")
    [row] = mysql.autocommit.fetch_all("SELECT day FROM schedules WHERE schedule_id = %(id)s", id=schedule_id)
    released_at = clock.to_instant(row["day"], timedelta(minutes=30))
    run_in_processes(time.sleep, [(0.1,)] * PROCESS_COUNT)  # starts them
    shares = [list(enumerate(buyers))[number::PROCESS_COUNT] for number in range(PROCESS_COUNT)]
    ahead = released_at - clock.SECOND - clock.now()
    results = run_in_processes(
        booking_load.buy_from_release_on, [(busy_department, one, schedule_id, slots, ahead) for one in shares]
    )
    outcomes = [one for result in results for one in result]
    assert booking_load.find_inconsistencies(outcomes, schedule_id, slots) == []
    sql = "SELECT MIN(created_at) FROM bookings WHERE schedule_id = %(id)s"
    assert mysql.autocommit.fetch_value(sql, id=schedule_id) >= released_at
