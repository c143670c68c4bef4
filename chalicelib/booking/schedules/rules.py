"""What a hospital decides about booking."""

from dataclasses import asdict, dataclass
from datetime import date, timedelta

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.schedules import rule_store
from chalicelib.booking.schedules.models import BookingRules
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller

MISSED_WINDOW_DAYS = 90  # days


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    days_ahead: int = 14  # today and so many days after it can be booked
    cancel_minutes: int = 0  # so long before the slot's time a patient can still cancel
    daily_limit: int = 5  # bookings that are made for one person in a day, the cancelled among them; 0: any number
    pay_minutes: int = 0  # an unpaid booking is released after so long; 0: never
    missed_limit: int = 3  # who missed so many in 90 days cannot book; 0: nobody is kept out
    weeks_ahead: int = 4  # so far patterns are made into schedules


def load(tx: Tx, tenant_id: int) -> Rules:
    return parse_row(rule_store.find(tx, tenant_id))


def parse_row(row: Row | None) -> Rules:
    """Return the rules in a row of store_rules; a hospital that has none has the defaults."""
    return Rules(**row) if row else Rules()


def get_last_bookable_day(rules: Rules) -> date:
    """Return the last day that can be booked."""
    return clock.today() + timedelta(rules.days_ahead)


def require_bookable_day(rules: Rules, day: date, field: str) -> date:
    """Return a day that can be booked. ApiError 400 for one that is over, or not yet offered."""
    if day < clock.today():
        raise ApiError(errors.BAD_PARAMETER, f"{field}：不能早于今天")
    if day > get_last_bookable_day(rules):
        raise ApiError(errors.BAD_PARAMETER, f"{field}：只能预约今天起 {rules.days_ahead} 天内的号源")
    return day


def get(caller: Caller) -> BookingRules:
    return BookingRules(**asdict(load(mysql.autocommit, caller.tenant_id)))


def save(caller: Caller, saved: BookingRules) -> None:
    """Change what is given; what is left out stays as it is. Who has booked keeps the time in which they are to pay."""
    mysql.run_transaction(lambda tx: _save(tx, caller, saved))


def _save(tx: Tx, caller: Caller, saved: BookingRules) -> None:
    rule_store.insert_if_absent(tx, caller.tenant_id, asdict(Rules()), caller.user_id, clock.now())
    changed = {**asdict(load(tx, caller.tenant_id)), **saved.model_dump(exclude_unset=True)}
    rule_store.update(tx, caller.tenant_id, changed, caller.user_id, clock.now())
