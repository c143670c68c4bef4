"""What an error text suggests instead of a half-day that cannot be booked."""

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.calendar import calendar_store
from chalicelib.booking.reservations import waitlist_store
from chalicelib.booking.schedules import rule_store
from chalicelib.booking.schedules.slots import Schedule

MAX_SUGGESTED_HALF_DAYS = 3


def describe_other_half_days(tx: Tx, tenant_id: int, schedule: Schedule, for_desk: bool = False) -> str:
    """Return ways out of a half-day that is stopped or fully booked, as the rest of a sentence; "" for none.

    These are other half-days of the department with free slots, the same doctor's first, and for patients the waitlist.
    """
    elsewhere = calendar_store.list_bookable_elsewhere(tx, tenant_id, schedule, clock.today())
    reserved = calendar_store.get_reserved_slots(tx, tenant_id, [one.schedule_id for one, _ in elsewhere])
    free = [pair for pair in elsewhere if pair[0].list_free_slots(reserved[pair[0].schedule_id], for_desk)]
    names = [
        f"{one.day} {one.half_day.label}（{doctor_name or '普通门诊'}）"
        for one, doctor_name in free[:MAX_SUGGESTED_HALF_DAYS]
    ]
    text = f"，可改约 {'、'.join(names)}" if names else ""
    if not for_desk and _can_be_waited_for(tx, tenant_id, schedule):
        return f"{text}，{'或' if names else '可'}加入候补"
    return text


def _can_be_waited_for(tx: Tx, tenant_id: int, schedule: Schedule) -> bool:
    if schedule.stopped_at or not schedule.doctor_active:
        return False
    rule = rule_store.load(tx, tenant_id)
    return bool(rule.waitlist_limit and waitlist_store.list_offerable(schedule, rule.offer_stop_minutes, frozenset()))
