"""Weekly patterns, from which schedules are created some weeks ahead.

A pattern creates a schedule for each of its days once. If that schedule was stopped, changed or booked meanwhile,
expanding the pattern again, also concurrently, does not change it. A half-day that was stopped is not created again,
whether a pattern or a member of staff had created it. None is created on a day that is closed (closure_store.py), or
where another schedule of the doctor overlaps. On a make-up day (makeup_store.py), those of the weekday that it follows
are expanded instead of those of its own.
Ending a pattern does not affect the schedules it has created.
"""

from datetime import date, timedelta

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.schedules import (
    closure_store,
    makeup_store,
    pattern_store,
    rule_store,
    schedule_store,
    schedules,
)
from chalicelib.booking.schedules.models import (
    ListedPattern,
    PatternId,
    PatternsQuery,
    SavePatternRequest,
    SavePatternResult,
)
from chalicelib.booking.schedules.pattern_store import ListedPatternRow
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import doctors, double_submission


def create(caller: Caller, request: SavePatternRequest) -> SavePatternResult:
    """Create a pattern and its first schedules. A double click creates one.

    Raises:
        ApiError: 404 and 400 as schedules.build_terms, 409 if that half-day of the week has a pattern, or another
            pattern of the doctor overlaps.
    """
    try:
        pattern_id = mysql.run_transaction(lambda tx: _create(tx, caller, request))
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "该半天已有每周排班") from None
    expand(caller.tenant_id, pattern_id)
    made = pattern_store.count_schedules(mysql.autocommit, caller.tenant_id, pattern_id)
    return SavePatternResult(pattern_id=str(pattern_id), made=made)


def search(caller: Caller, query: PatternsQuery) -> Page[ListedPattern]:
    """Return a page of the patterns that have not ended, in the order of the week."""
    limits = (query.offset, query.page_size)
    total, rows = pattern_store.list_page(mysql.autocommit, caller.tenant_id, query.dept_id, query.doctor_id, limits)
    return Page[ListedPattern].build(query, total, [_build_listed_pattern(row) for row in rows])


def end(caller: Caller, request: PatternId) -> None:
    """End a pattern, which then creates no more schedules.

    Raises:
        ApiError: 404 if the tenant has no such pattern.
    """
    if not pattern_store.end(mysql.autocommit, caller.tenant_id, request.pattern_id):
        raise ApiError(errors.NOT_FOUND, "每周排班不存在")


def expand_all() -> int:
    """Create the missing schedules of the patterns of all tenants; return how many."""
    return sum(expand(tenant_id, pattern_id) for tenant_id, pattern_id in pattern_store.list_ids(mysql.autocommit))


def expand(tenant_id: int, pattern_id: int) -> int:
    """Create the missing schedules of a pattern for the coming weeks; return how many."""
    return mysql.run_transaction(lambda tx: _expand(tx, tenant_id, pattern_id))


def _create(tx: Tx, caller: Caller, request: SavePatternRequest) -> int:
    double_submission.lock_sender(tx, caller.tenant_id, caller.principal)
    terms = schedules.build_terms(tx, caller.tenant_id, request)
    earlier = pattern_store.find_double_submission(tx, caller.tenant_id, request.weekday, terms, caller.user_id)
    if earlier:
        return earlier
    if overlap := pattern_store.find_overlap(tx, caller.tenant_id, request.weekday, terms):
        raise ApiError(errors.CONFLICT, f"该医生已有时间重叠的每周排班：{overlap}")
    return pattern_store.insert(tx, caller.tenant_id, request.weekday, terms, caller.user_id)


def _expand(tx: Tx, tenant_id: int, pattern_id: int) -> int:
    closure_store.lock_tenant(tx, tenant_id, is_shared=True)  # no day is closed meanwhile
    if doctor_id := pattern_store.find_doctor_id(tx, tenant_id, pattern_id):
        doctors.find_for_update(tx, tenant_id, doctor_id)  # no other schedule of the doctor is created meanwhile
    pattern = pattern_store.find_for_share(tx, tenant_id, pattern_id)
    if pattern is None:  # it was ended meanwhile
        return 0
    days = _list_days(tx, tenant_id, pattern.weekday, rule_store.load(tx, tenant_id).weeks_ahead)
    skipped = pattern_store.list_days_to_skip(tx, pattern_id, clock.today())
    closures = closure_store.list_coming(tx, tenant_id)
    open_days = [day for day in days if day not in skipped and not closure_store.is_closed(closures, doctor_id, day)]
    return sum(schedule_store.insert_from_pattern(tx, pattern, day) for day in open_days)


def _list_days(tx: Tx, tenant_id: int, weekday: int, weeks: int) -> list[date]:
    """Return the days of a pattern from tomorrow on: today's half-day may have begun."""
    days = [clock.today() + timedelta(ahead) for ahead in range(1, 7 * weeks + 1)]
    followed = {one.day: one.weekday for one in makeup_store.list_between(tx, tenant_id, (days[0], days[-1]))}
    return [day for day in days if followed.get(day, day.isoweekday()) == weekday]


def _build_listed_pattern(row: ListedPatternRow) -> ListedPattern:
    return ListedPattern(
        **schedules.build_listed_fields(row.pattern, row.dept_name, row.doctor_name),
        pattern_id=str(row.pattern.pattern_id),
        weekday=row.pattern.weekday,
    )
