"""The view of remaining slots in Redis: what it loses or misses is corrected, and reserving does not use it."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.schedules import schedule_store
from tests.support.booking_client import BookingDepartment, get_iso_date
from tests.support.factories import Person


def build_key(department: BookingDepartment, schedule_id: str) -> str:
    return f"slots:2:{{{department.hospital.tenant_id}:{department.dept_id}}}:{schedule_id}"


def age_view(department: BookingDepartment, schedule_id: str, seconds: int = availability.TRUST_SECONDS) -> None:
    """Move the time when the view was loaded from MySQL into the past."""
    redis.get_client().hincrby(build_key(department, schedule_id), "verified_at", -seconds)


@pytest.fixture
def mysql_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows each time the reserved slots are read from MySQL."""
    reads: list[int] = []
    get_reserved_slots = calendar_store.get_reserved_slots

    def count_read(*arguments: Any) -> Any:
        reads.append(1)
        return get_reserved_slots(*arguments)

    monkeypatch.setattr(calendar_store, "get_reserved_slots", count_read)
    return reads


def test_trusted_view_follows_bookings_without_mysql(
    department: BookingDepartment, lin: Person, wang: Person, mysql_reads: list[int]
) -> None:
    schedule_id = department.create_schedule()
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3, 4]
    book_id = department.book_slot(lin, schedule_id, 2)
    department.book_slot(wang, schedule_id, 4)
    assert department.list_free_serial_nos(schedule_id) == [1, 3]
    department.cancel(lin, book_id)
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3]
    assert len(mysql_reads) == 1


@pytest.mark.parametrize(
    "lose",
    [
        lambda _: redis.get_client().flushall(),
        lambda key: redis.get_client().hset(key, "server", "another"),
        lambda key: redis.get_client().hdel(key, "bitmap"),
    ],
)
def test_lost_view_is_rebuilt(
    department: BookingDepartment, lin: Person, mysql_reads: list[int], lose: Callable[[str], Any]
) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 2)
    department.list_free_serial_nos(schedule_id)
    lose(build_key(department, schedule_id))
    for _ in range(2):
        assert department.list_free_serial_nos(schedule_id) == [1, 3, 4]
    assert len(mysql_reads) == 2


def test_view_that_missed_a_booking_is_corrected_within_ten_seconds(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule()
    department.list_free_serial_nos(schedule_id)
    monkeypatch.setattr(availability, "mark_reserved", lambda _: None)  # as if Redis was unreachable
    department.book_slot(lin, schedule_id, 2)
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3, 4]
    assert department.submit(wang, schedule_id, 2).error == "2号已被预约，还可预约：1号 08:00、3号 10:00、4号 11:00"
    age_view(department, schedule_id)
    assert department.list_free_serial_nos(schedule_id) == [1, 3, 4]


def test_slot_beyond_the_bitmap_is_not_shown_once_it_is_booked(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    department.list_free_serial_nos(schedule_id)
    department.save_schedule(schedule_id=schedule_id, slots=6)
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3, 4, 5, 6]
    department.book_slot(lin, schedule_id, 6)
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3, 4, 5]


def test_refill_that_read_before_a_booking_changes_nothing(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id = department.create_schedule()
    department.cancel(wang, department.book_slot(wang, schedule_id, 1))  # the refill knows of it
    view_key, tenant_id = build_key(department, schedule_id), department.hospital.tenant_id
    schedule = schedule_store.find(mysql.autocommit, tenant_id, int(schedule_id))
    assert schedule is not None
    [(version, bitmap)] = availability._read_views([view_key])
    assert bitmap == ""
    department.book_slot(lin, schedule_id, 2)
    redis.run_script(availability._REFILL_SCRIPT, [view_key], [version, "0000"])
    assert availability.get_free_slots(tenant_id, [schedule]) == {int(schedule_id): [1, 3, 4]}


def test_mysql_is_read_without_redis(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 2)

    def fail(*_: Any, **__: Any) -> Any:
        raise redis.RedisUnavailableError("away")

    monkeypatch.setattr(redis, "run_scripts", fail)
    assert department.list_free_serial_nos(schedule_id) == [1, 3, 4]
    assert department.get_status(lin, department.book_slot(lin, department.create_schedule(date=get_iso_date(2)))) == 0
