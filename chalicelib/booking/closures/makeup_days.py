"""Make-up days (调休): on a working Saturday or Sunday, patterns of the weekday that an admin selects create schedules.

The hospital's row is locked while one is saved, so that no pattern is expanded meanwhile. Schedules that exist already
stay, those of the day's own weekday too.
"""

from datetime import date

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.closures.holiday_models import (
    ListedMakeupDay,
    MakeupDayId,
    SaveMakeupDayRequest,
    SaveMakeupDayResult,
)
from chalicelib.booking.schedules import closure_store, makeup_store, pattern_store, patterns, schedule_store
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller

MAX_DAYS_AHEAD = 366
SATURDAY = 6  # as date.isoweekday
WEEKDAY_NAMES = "一二三四五六日"


def save(caller: Caller, request: SaveMakeupDayRequest) -> SaveMakeupDayResult:
    """Let a day of a weekend follow the patterns of another weekday, and create its schedules, once.

    Raises:
        ApiError: 400 unless it is a coming Saturday or Sunday within a year; 409 if it follows another weekday already,
            or the hospital is closed.
    """
    if not 1 <= (request.date - clock.today()).days <= MAX_DAYS_AHEAD:
        raise ApiError(errors.BAD_PARAMETER, "date：必须在明天起一年之内")
    if request.date.isoweekday() < SATURDAY:
        raise ApiError(errors.BAD_PARAMETER, "date：必须是周六或周日")
    makeup_id = mysql.run_transaction(lambda tx: _save(tx, caller, request))
    for pattern_id in pattern_store.list_ids_of_weekday(mysql.autocommit, caller.tenant_id, request.weekday):
        patterns.expand(caller.tenant_id, pattern_id)
    open_schedules = schedule_store.count_open(mysql.autocommit, caller.tenant_id, request.date)
    return SaveMakeupDayResult(makeup_id=str(makeup_id), schedules=open_schedules)


def list_coming(caller: Caller) -> list[ListedMakeupDay]:
    """Return the make-up days from today on."""
    days = (clock.today(), date.max)
    return [
        ListedMakeupDay(makeup_id=str(one.makeup_id), date=one.day.isoformat(), weekday=one.weekday)
        for one in makeup_store.list_between(mysql.autocommit, caller.tenant_id, days)
    ]


def end(caller: Caller, request: MakeupDayId) -> None:
    """Withdraw a make-up day. The schedules that it has created stay; ending it again has no effect.

    Raises:
        ApiError: 404 if the tenant has no such make-up day.
    """
    if not makeup_store.end(mysql.autocommit, caller.tenant_id, request.makeup_id):
        raise ApiError(errors.NOT_FOUND, "调休日不存在")


def _save(tx: Tx, caller: Caller, request: SaveMakeupDayRequest) -> int:
    tenant_id, day = caller.tenant_id, request.date
    closure_store.lock_tenant(tx, tenant_id, is_shared=False)
    if earlier := makeup_store.list_between(tx, tenant_id, (day, day)):
        if earlier[0].weekday != request.weekday:
            name = WEEKDAY_NAMES[earlier[0].weekday - 1]
            raise ApiError(errors.CONFLICT, f"{day} 已按周{name}出诊；如需更改，请先取消该调休日")
        return earlier[0].makeup_id
    if closure_store.is_closed(closure_store.list_of_hospital(tx, tenant_id, (day, day)), None, day):
        raise ApiError(errors.CONFLICT, f"{day} 全院停诊，请先取消该停诊安排")
    return makeup_store.insert(tx, tenant_id, day, request.weekday, caller.user_id)
