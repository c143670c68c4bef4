"""The view of what is left, in Redis: whatever it loses or misses, it is mended, and it never sells."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.schedules import schedule_store
from tests.support.booking_client import BookingDepartment, get_iso_date
from tests.support.factories import Person


def key(department: BookingDepartment, schedule_id: str) -> str:
    return f"slots:2:{{{department.hospital.tenant_id}:{department.dept_id}}}:{schedule_id}"


def aged(department: BookingDepartment, schedule_id: str, seconds: int = availability.TRUST_SECONDS) -> None:
    """Let the view have been compared with MySQL so long ago."""
    redis.get_client().hincrby(key(department, schedule_id), "at", -seconds)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows each time MySQL is asked what is sold."""
    asked: list[int] = []
    taken = calendar_store.get_reserved_slots

    def counted(*arguments: Any) -> Any:
        asked.append(1)
        return taken(*arguments)

    monkeypatch.setattr(calendar_store, "get_reserved_slots", counted)
    return asked


def test_a_view_is_believed_and_follows_sales_without_mysql(
    department: BookingDepartment, lin: Person, wang: Person, compared: list[int]
) -> None:
    schedule_id = department.create_schedule()
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3, 4]
    book_id = department.book_slot(lin, schedule_id, 2)
    department.book_slot(wang, schedule_id, 4)
    assert department.list_free_serial_nos(schedule_id) == [1, 3]
    department.cancel(lin, book_id)
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3]
    assert len(compared) == 1


@pytest.mark.parametrize(
    "lose",
    [
        lambda _: redis.get_client().flushall(),
        lambda where: redis.get_client().hset(where, "server", "another"),
        lambda where: redis.get_client().hdel(where, "taken"),
    ],
)
def test_a_view_that_was_lost_is_made_anew(
    department: BookingDepartment, lin: Person, compared: list[int], lose: Callable[[str], Any]
) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 2)
    department.list_free_serial_nos(schedule_id)
    lose(key(department, schedule_id))
    for _ in range(2):
        assert department.list_free_serial_nos(schedule_id) == [1, 3, 4]
    assert len(compared) == 2


def test_a_view_that_missed_a_sale_is_mended_within_ten_seconds_and_sells_nothing(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule()
    department.list_free_serial_nos(schedule_id)
    monkeypatch.setattr(availability, "mark_reserved", lambda _: None)  # as if Redis could not be reached just then
    department.book_slot(lin, schedule_id, 2)
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3, 4]
    assert department.submit(wang, schedule_id, 2).error == "2号已被预约，还可预约：1号 08:00、3号 10:00、4号 11:00"
    aged(department, schedule_id)
    assert department.list_free_serial_nos(schedule_id) == [1, 3, 4]


def test_a_slot_that_the_view_does_not_have_is_not_shown_once_it_is_sold(
    department: BookingDepartment, lin: Person
) -> None:
    schedule_id = department.create_schedule()
    department.list_free_serial_nos(schedule_id)
    department.save_schedule(schedule_id=schedule_id, slots=6)
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3, 4, 5, 6]
    department.book_slot(lin, schedule_id, 6)
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3, 4, 5]


def test_a_refill_that_looked_before_a_sale_changes_nothing(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id = department.create_schedule()
    department.cancel(wang, department.book_slot(wang, schedule_id, 1))  # which the refill has seen
    where, tenant_id = key(department, schedule_id), department.hospital.tenant_id
    schedule = schedule_store.find(mysql.autocommit, tenant_id, int(schedule_id))
    assert schedule is not None
    [(version, text)] = availability._read_views([where])
    assert text == ""
    department.book_slot(lin, schedule_id, 2)
    redis.run_script(availability._REFILL_SCRIPT, [where], [version, "0000"])
    assert availability.get_free_slots(tenant_id, [schedule]) == {int(schedule_id): [1, 3, 4]}


def test_without_redis_mysql_is_asked(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 2)

    def down(*_: Any, **__: Any) -> Any:
        raise redis.RedisUnavailableError("away")

    monkeypatch.setattr(redis, "run_scripts", down)
    assert department.list_free_serial_nos(schedule_id) == [1, 3, 4]
    assert department.get_status(lin, department.book_slot(lin, department.create_schedule(date=get_iso_date(2)))) == 0
