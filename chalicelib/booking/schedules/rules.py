"""Booking rules: the endpoints, and checks that follow from the rules."""

from dataclasses import asdict, replace
from datetime import date, timedelta

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.schedules import rule_store
from chalicelib.booking.schedules.models import BookingRules
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller

MISSED_WINDOW_DAYS = 90


def get_last_bookable_day(rules: Rules) -> date:
    """Return the last day that can be booked today."""
    return clock.today() + timedelta(rules.days_ahead)


def require_bookable_day(rules: Rules, day: date, field: str) -> None:
    """Raise ApiError(BAD_PARAMETER), which names the field, if a day is over or cannot be booked yet."""
    if day < clock.today():
        raise ApiError(errors.BAD_PARAMETER, f"{field}：不能早于今天")
    if day > get_last_bookable_day(rules):
        raise ApiError(errors.BAD_PARAMETER, f"{field}：只能预约今天起 {rules.days_ahead} 天内的号源")


def find_quiet_end(rules: Rules, at: int | None = None) -> int | None:
    """Return when the quiet hours end in which this instant is, None outside them.

    Args:
        at: the moment in question, None for now.
    """
    day, _, time = clock.format_wire_time(clock.now() if at is None else at).partition(" ")
    hour, midnight = int(time[:2]), clock.to_instant(date.fromisoformat(day))
    begins, ends = rules.quiet_from, rules.quiet_to
    is_quiet = begins <= hour < ends if begins <= ends else hour >= begins or hour < ends
    if not is_quiet:
        return None
    return midnight + ends * 3600 * clock.SECOND + (clock.DAY if hour >= ends else 0)


def get(caller: Caller) -> BookingRules:
    """Return the rules of the caller's hospital."""
    return BookingRules(**asdict(rule_store.load(mysql.autocommit, caller.tenant_id)))


def save(caller: Caller, request: BookingRules) -> None:
    """Change the given rules; the others keep their values.

    Bookings that exist keep their payment deadline, and stay if half_day_rule is set again: of those of a patient in a
    half-day, the first one takes it.
    """
    mysql.run_transaction(lambda tx: _save(tx, caller, request))


def _save(tx: Tx, caller: Caller, request: BookingRules) -> None:
    rule_store.insert_if_absent(tx, caller.tenant_id, Rules(), caller.user_id, clock.now())
    before = rule_store.load(tx, caller.tenant_id)
    changed = replace(before, **request.model_dump(exclude_unset=True))
    rule_store.update(tx, caller.tenant_id, changed, caller.user_id, clock.now())
    if changed.half_day_rule and not before.half_day_rule:
        rule_store.take_half_days(tx, caller.tenant_id, clock.today())
