"""Weekly patterns, made into schedules some weeks ahead.

A pattern makes each of its days once: one that was stopped, changed or sold meanwhile is left alone, so that making
them again, also twice at once, adds nothing. Nor does it make a half-day that was stopped when something else had made
it. Ending a pattern leaves the schedules it has made.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.schedules import pattern_store, rules, schedule_store, schedules
from chalicelib.booking.schedules.models import ListedPattern, PatternId, PatternsAsked, PatternSaved, SavedPattern
from chalicelib.errors import Refused
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller


def create(caller: Caller, saved: PatternSaved) -> SavedPattern:
    """Make a pattern and its first schedules. Refused 409 where that half-day of the week has a pattern already."""
    try:
        pattern_id = mysql.transact(lambda tx: _create(tx, caller, saved))
    except mysql.Duplicate:
        raise Refused(errors.CONFLICT, "该半天已有每周排班") from None
    return SavedPattern(pattern_id=str(pattern_id), made=expand(caller.tenant_id, pattern_id))


def search(caller: Caller, asked: PatternsAsked) -> Page[ListedPattern]:
    """Return a page of the patterns that have not ended, in the order of the week."""
    limits = (asked.skipped, asked.page_size)
    total, rows = mysql.autocommit(
        lambda tx: pattern_store.listed(tx, caller.tenant_id, asked.dept_id, asked.doctor_id, limits)
    )
    return Page[ListedPattern].of(asked, total, [_listed(row) for row in rows])


def end(caller: Caller, which: PatternId) -> None:
    """From here on it makes nothing more."""
    if not mysql.transact(lambda tx: pattern_store.end(tx, caller.tenant_id, which.pattern_id)):
        raise Refused(errors.NOT_FOUND, "每周排班不存在")


def expand_all() -> int:
    """Make what the coming weeks of every pattern lack; return how many schedules were made."""
    rows = mysql.autocommit(pattern_store.every)
    return sum(expand(row["tenant_id"], row["pattern_id"]) for row in rows)


def expand(tenant_id: int, pattern_id: int) -> int:
    """Make what the coming weeks of a pattern lack; return how many schedules were made."""
    return mysql.transact(lambda tx: _expand(tx, tenant_id, pattern_id))


def _create(tx: Tx, caller: Caller, saved: PatternSaved) -> int:
    fields = {**schedules.checked(tx, caller.tenant_id, saved), "weekday": saved.weekday}
    return pattern_store.insert(tx, caller.tenant_id, fields, caller.user_id)


def _expand(tx: Tx, tenant_id: int, pattern_id: int) -> int:
    pattern = pattern_store.find(tx, tenant_id, pattern_id)
    if pattern is None:  # ended a moment ago
        return 0
    days = _days(pattern["weekday"], rules.of(tx, tenant_id).weeks_ahead)
    settled = pattern_store.settled(tx, pattern_id, clock.today())
    return sum(schedule_store.insert_of_pattern(tx, pattern, day) for day in days if day not in settled)


def _days(weekday: int, weeks: int) -> Iterator[date]:
    """From tomorrow on: today's half-day may have begun."""
    first = clock.today() + timedelta(1)
    first += timedelta((weekday - first.isoweekday()) % 7)
    return (first + timedelta(7 * week) for week in range(weeks))


def _listed(row: Row) -> ListedPattern:
    return ListedPattern(**schedules.shown(row), pattern_id=str(row["pattern_id"]), weekday=row["weekday"])
