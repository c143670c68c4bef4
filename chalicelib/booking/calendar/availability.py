"""Which slots are left, as far as anybody is shown: a view in Redis of what MySQL has sold. It never sells by itself.

Each schedule has a text of 0 and 1, a character for each slot, that sales and cancellations change after their commit.
A reader believes it if this server made it and it was compared with MySQL at most 10 s ago; else MySQL is read and the
text made anew, unless a sale has changed it meanwhile. So whatever Redis loses or misses is mended within 10 s.
"""

from collections.abc import Sequence

from chalicelib.adapters import mysql, redis
from chalicelib.adapters.redis import Script
from chalicelib.billing.bookings import Booking
from chalicelib.booking.calendar import calendar_store
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.messaging import ids

TRUST_SECONDS, TTL_SECONDS = 10, 60  # seconds

# Answers for each key its version ("" for none) and its text ("" if not believed).
_READ_SCRIPT = Script(f"""
    local now, answer = tonumber(redis.call('TIME')[1]), {{}}
    for _, key in ipairs(KEYS) do
        local view = redis.call('HMGET', key, 'version', 'server', 'at', 'taken')
        local believed = view[2] == server and now - tonumber(view[3]) < {TRUST_SECONDS}
        table.insert(answer, view[1] or '')
        table.insert(answer, believed and view[4] or '')
    end
    return answer
""")
# ARGV: for each key the version that was seen before MySQL was read, and the text.
_REFILL_SCRIPT = Script(f"""
    local now = redis.call('TIME')[1]
    for i, key in ipairs(KEYS) do
        if (redis.call('HGET', key, 'version') or '') == ARGV[2 * i - 1] then
            redis.call('HSET', key, 'server', server, 'at', now, 'taken', ARGV[2 * i])
            redis.call('EXPIRE', key, {TTL_SECONDS})
        end
    end
""")
# ARGV: a version that nobody has seen, a slot's number, 1 for sold and 0 for free.
_UPDATE_SCRIPT = Script(f"""
    redis.call('HSET', KEYS[1], 'version', ARGV[1])
    local taken, at = redis.call('HGET', KEYS[1], 'taken'), tonumber(ARGV[2])
    if taken and at <= #taken then
        redis.call('HSET', KEYS[1], 'taken', string.sub(taken, 1, at - 1) .. ARGV[3] .. string.sub(taken, at + 1))
    elseif taken then  -- it was made when the schedule had fewer slots
        redis.call('HDEL', KEYS[1], 'taken')
    end
    redis.call('EXPIRE', KEYS[1], {TTL_SECONDS})
""")


def get_free_slots(tenant_id: int, schedules: Sequence[Schedule]) -> dict[int, list[int]]:
    """Return the free slots of schedules of one department, by schedule_id."""
    keys = [_build_key(tenant_id, one.dept_id, one.schedule_id) for one in schedules]
    seen = _read_views(keys)
    taken = {one.schedule_id: _parse_bitmap(text) for one, (_, text) in zip(schedules, seen, strict=True) if text}
    unknown = [at for at, one in enumerate(schedules) if one.schedule_id not in taken]
    if unknown:
        sold = _load_reserved(tenant_id, [schedules[at] for at in unknown])
        texts = [(seen[at][0], _format_bitmap(schedules[at], sold[schedules[at].schedule_id])) for at in unknown]
        redis.try_script(_REFILL_SCRIPT, [keys[at] for at in unknown], [part for one in texts for part in one])
        taken |= sold
    return {one.schedule_id: one.list_free_slots(taken[one.schedule_id]) for one in schedules}


def mark_reserved(booking: Booking) -> None:
    """Show the slot of a new booking as taken. Call it after the commit."""
    _update_slot(booking, 1)


def mark_free(booking: Booking) -> None:
    """Show the slot of a cancelled booking as free. Call it after the commit."""
    _update_slot(booking, 0)


def _update_slot(booking: Booking, taken: int) -> None:
    key = _build_key(booking.tenant_id, booking.dept_id, booking.schedule_id)
    redis.try_script(_UPDATE_SCRIPT, [key], [ids.generate_nonce(), booking.serial_no, taken])


def _read_views(keys: list[str]) -> list[tuple[str, str]]:
    """Return version and text of each."""
    if not keys:
        return []
    try:
        answer = redis.run_script(_READ_SCRIPT, keys, [])
    except redis.RedisUnavailableError:
        return [("", "")] * len(keys)
    return list(zip(answer[::2], answer[1::2], strict=True))


def _load_reserved(tenant_id: int, schedules: Sequence[Schedule]) -> dict[int, frozenset[int]]:
    return calendar_store.get_reserved_slots(mysql.autocommit, tenant_id, [one.schedule_id for one in schedules])


def _parse_bitmap(text: str) -> frozenset[int]:
    return frozenset(at for at, slot in enumerate(text, 1) if slot == "1")


def _format_bitmap(schedule: Schedule, taken: frozenset[int]) -> str:
    return "".join("1" if one in taken else "0" for one in range(1, schedule.slots + 1))


def _build_key(tenant_id: int, dept_id: int, schedule_id: int) -> str:
    """Those of a department lie together, so that one script reads a whole calendar."""
    return f"slots:1:{{{tenant_id}:{dept_id}}}:{schedule_id}"
