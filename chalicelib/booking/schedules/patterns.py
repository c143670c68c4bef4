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
from chalicelib.booking.schedules.models import ListedPattern, PatternId, PatternSaved, PatternsQuery, SavedPattern
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller


def create(caller: Caller, saved: PatternSaved) -> SavedPattern:
    """Make a pattern and its first schedules. ApiError 409 where that half-day of the week has a pattern already."""
    try:
        pattern_id = mysql.run_transaction(lambda tx: _create(tx, caller, saved))
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "该半天已有每周排班") from None
    return SavedPattern(pattern_id=str(pattern_id), made=expand(caller.tenant_id, pattern_id))


def search(caller: Caller, asked: PatternsQuery) -> Page[ListedPattern]:
    """Return a page of the patterns that have not ended, in the order of the week."""
    limits = (asked.offset, asked.page_size)
    total, rows = pattern_store.list_page(mysql.autocommit, caller.tenant_id, asked.dept_id, asked.doctor_id, limits)
    return Page[ListedPattern].build(asked, total, [_build_listed_pattern(row) for row in rows])


def end(caller: Caller, which: PatternId) -> None:
    """From here on it makes nothing more."""
    if not mysql.run_transaction(lambda tx: pattern_store.end(tx, caller.tenant_id, which.pattern_id)):
        raise ApiError(errors.NOT_FOUND, "每周排班不存在")


def expand_all() -> int:
    """Make what the coming weeks of every pattern lack; return how many schedules were made."""
    rows = mysql.run_autocommit(pattern_store.list_all)
    return sum(expand(row["tenant_id"], row["pattern_id"]) for row in rows)


def expand(tenant_id: int, pattern_id: int) -> int:
    """Make what the coming weeks of a pattern lack; return how many schedules were made."""
    return mysql.run_transaction(lambda tx: _expand(tx, tenant_id, pattern_id))


def _create(tx: Tx, caller: Caller, saved: PatternSaved) -> int:
    fields = {**schedules.build_columns(tx, caller.tenant_id, saved), "weekday": saved.weekday}
    return pattern_store.insert(tx, caller.tenant_id, fields, caller.user_id)


def _expand(tx: Tx, tenant_id: int, pattern_id: int) -> int:
    pattern = pattern_store.find_for_share(tx, tenant_id, pattern_id)
    if pattern is None:  # ended a moment ago
        return 0
    days = _iter_days(pattern["weekday"], rules.load(tx, tenant_id).weeks_ahead)
    settled = pattern_store.list_days_to_skip(tx, pattern_id, clock.today())
    return sum(schedule_store.insert_from_pattern(tx, pattern, day) for day in days if day not in settled)


def _iter_days(weekday: int, weeks: int) -> Iterator[date]:
    """From tomorrow on: today's half-day may have begun."""
    first = clock.today() + timedelta(1)
    first += timedelta((weekday - first.isoweekday()) % 7)
    return (first + timedelta(7 * week) for week in range(weeks))


def _build_listed_pattern(row: Row) -> ListedPattern:
    return ListedPattern(
        **schedules.build_listed_fields(row), pattern_id=str(row["pattern_id"]), weekday=row["weekday"]
    )
