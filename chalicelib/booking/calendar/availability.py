"""The remaining slots that the calendar shows: a view in Redis of the bookings in MySQL. Reserving never uses it.

Each schedule has a bitmap, a text with 0 or 1 for each slot, that reservations and cancellations update after their
commit. A reader trusts a bitmap if it was written in the current run of the Redis server and loaded from MySQL at most
TRUST_SECONDS ago. Otherwise it reads MySQL and replaces the bitmap, unless an update has changed its version meanwhile.
So an update that Redis has lost or missed is corrected within TRUST_SECONDS.
"""

from collections.abc import Sequence

from chalicelib.adapters import mysql, redis
from chalicelib.adapters.redis import load_script
from chalicelib.billing.bookings import Booking
from chalicelib.booking.calendar import calendar_store
from chalicelib.booking.schedules.slots import Schedule

TRUST_SECONDS, TTL_SECONDS = 10, 60

_READ_SCRIPT = load_script(__file__, "availability_read", TRUST_SECONDS=TRUST_SECONDS)
_REFILL_SCRIPT = load_script(__file__, "availability_refill", TTL_SECONDS=TTL_SECONDS)
_UPDATE_SCRIPT = load_script(__file__, "availability_update", TTL_SECONDS=TTL_SECONDS)


def get_free_slots(tenant_id: int, schedules: Sequence[Schedule]) -> dict[int, list[int]]:
    """Return the free slots of schedules, by schedule_id. The schedules must be of one department."""
    keys = [_build_key(tenant_id, schedule.dept_id, schedule.schedule_id) for schedule in schedules]
    views = _read_views(keys)
    reserved = {
        schedule.schedule_id: _parse_bitmap(bitmap)
        for schedule, (_, bitmap) in zip(schedules, views, strict=True)
        if bitmap
    }
    unknown = [at for at, schedule in enumerate(schedules) if schedule.schedule_id not in reserved]
    if unknown:
        loaded = calendar_store.get_reserved_slots(
            mysql.autocommit, tenant_id, [schedules[at].schedule_id for at in unknown]
        )
        reserved |= loaded
        arguments: list[str] = []
        for at in unknown:
            arguments += (views[at][0], _format_bitmap(schedules[at], loaded[schedules[at].schedule_id]))
        redis.try_script(_REFILL_SCRIPT, [keys[at] for at in unknown], arguments)
    return {schedule.schedule_id: schedule.list_free_slots(reserved[schedule.schedule_id]) for schedule in schedules}


def mark_reserved(booking: Booking) -> None:
    """Show the slot of a new booking as reserved. Call it after the commit."""
    _update_slot(booking, 1)


def mark_free(booking: Booking) -> None:
    """Show the slot of a cancelled booking as free. Call it after the commit."""
    _update_slot(booking, 0)


def _update_slot(booking: Booking, bit: int) -> None:
    key = _build_key(booking.tenant_id, booking.dept_id, booking.schedule_id)
    redis.try_script(_UPDATE_SCRIPT, [key], [redis.generate_nonce(), booking.serial_no, bit])


def _read_views(keys: list[str]) -> list[tuple[str, str]]:
    """Return version and bitmap of each key."""
    if not keys:
        return []
    try:
        result = redis.run_script(_READ_SCRIPT, keys, [])
    except redis.RedisUnavailableError:
        return [("", "")] * len(keys)
    return list(zip(result[::2], result[1::2], strict=True))


def _parse_bitmap(bitmap: str) -> frozenset[int]:
    return frozenset(serial_no for serial_no, bit in enumerate(bitmap, 1) if bit == "1")


def _format_bitmap(schedule: Schedule, reserved: frozenset[int]) -> str:
    return "".join("1" if serial_no in reserved else "0" for serial_no in range(1, schedule.slots + 1))


def _build_key(tenant_id: int, dept_id: int, schedule_id: int) -> str:
    """Return a key whose hash tag is the department, so that one script reads a whole calendar."""
    return f"slots:2:{{{tenant_id}:{dept_id}}}:{schedule_id}"
