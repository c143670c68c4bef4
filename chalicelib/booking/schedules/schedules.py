"""Schedules as staff edit them: create, change, list. Stopping them is in closures/stopped_schedules.py."""

from datetime import date
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.money import to_fen, to_yuan
from chalicelib.booking.schedules import schedule_store, slots
from chalicelib.booking.schedules.models import (
    ListedSchedule,
    SaveScheduleRequest,
    SaveScheduleResult,
    ScheduleFields,
    SchedulesQuery,
)
from chalicelib.booking.schedules.schedule_store import ListedScheduleRow
from chalicelib.booking.schedules.slots import HalfDay, ScheduleTerms
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, doctors, double_submission

NOON, LATEST_MORNING_END = "12:00", "14:00"
MAX_DAYS_AHEAD = 366
# Terms under which slots were booked; they cannot change while there are bookings.
FIELDS_FIXED_ONCE_BOOKED = ("dept_id", "doctor_id", "half_day", "begins", "ends", "slots")


def save(caller: Caller, request: SaveScheduleRequest) -> SaveScheduleResult:
    """Create a schedule or, with a schedule_id, change it. A double click creates one.

    Raises:
        ApiError: 404 and 400 as build_terms, 400 for a date out of range, 404 if the tenant has no such schedule, 409
            if the half-day has another schedule or another one of the doctor overlaps, if the schedule is stopped, if
            its date would change, or if fields would change that are fixed once there are bookings.
    """
    if not 0 <= (request.date - clock.today()).days <= MAX_DAYS_AHEAD:
        raise ApiError(errors.BAD_PARAMETER, "date：必须在今天起一年之内")
    try:
        schedule_id = mysql.run_transaction(lambda tx: _save(tx, caller, request))
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "该半天已有排班") from None
    return SaveScheduleResult(schedule_id=str(schedule_id))


def search(caller: Caller, query: SchedulesQuery) -> Page[ListedSchedule]:
    """Return a page of the schedules between two days, stopped ones included."""
    days, limits = (query.from_date, query.to_date), (query.offset, query.page_size)
    total, rows = schedule_store.list_page(
        mysql.autocommit, caller.tenant_id, query.dept_id, query.doctor_id, days, limits
    )
    return Page[ListedSchedule].build(query, total, [_build_listed_schedule(row) for row in rows])


def build_terms(tx: Tx, tenant_id: int, request: ScheduleFields) -> ScheduleTerms:
    """Validate the fields that schedules and patterns have in common, and return them.

    The doctor is locked until the commit, so that overlapping schedules are not saved at the same time.

    Raises:
        ApiError: 404 if the tenant has no such department or doctor, 400 if the times do not make a half-day with so
            many slots.
    """
    if not departments.exists(tx, tenant_id, request.dept_id):
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    if request.doctor_id and not doctors.find_for_update(tx, tenant_id, request.doctor_id):
        raise ApiError(errors.NOT_FOUND, "医生不存在")
    begins, ends = slots.parse_time(request.begin), slots.parse_time(request.end)
    if begins >= ends:
        raise ApiError(errors.BAD_PARAMETER, "end：必须晚于 begin")
    if (request.begin < NOON) is (request.half == HalfDay.PM):
        raise ApiError(errors.BAD_PARAMETER, "begin：与上下午不符")
    if request.half == HalfDay.AM and request.end > LATEST_MORNING_END:
        raise ApiError(errors.BAD_PARAMETER, f"end：上午不能晚于 {LATEST_MORNING_END}")
    if request.slots > (ends - begins).total_seconds() / 60:
        raise ApiError(errors.BAD_PARAMETER, "slots：每个号源至少一分钟")
    if request.desk_slots + request.same_day_slots > request.slots:
        raise ApiError(errors.BAD_PARAMETER, "desk_slots：与 same_day_slots 之和不能大于 slots")
    return ScheduleTerms(
        dept_id=request.dept_id,
        doctor_id=request.doctor_id,
        half_day=HalfDay(request.half),
        type=request.type,
        fee=to_fen(request.bookfee),
        area=request.area,
        begins=begins,
        ends=ends,
        slots=request.slots,
        desk_slots=request.desk_slots,
        same_day_slots=request.same_day_slots,
        release_days=request.release_days,
        release_time=slots.parse_time(request.release_time),
    )


def build_listed_fields(terms: ScheduleTerms, dept_name: str, doctor_name: str) -> dict[str, Any]:
    """Return the fields of ListedScheduleFields for a schedule or a pattern."""
    return {
        "dept_id": str(terms.dept_id),
        "dept_name": dept_name,
        "doctor_id": str(terms.doctor_id or ""),
        "doctor_name": doctor_name,
        "half": terms.half_day,
        "type": terms.type,
        "bookfee": to_yuan(terms.fee),
        "area": terms.area,
        "begin": slots.format_time(terms.begins),
        "end": slots.format_time(terms.ends),
        "slots": terms.slots,
        "desk_slots": terms.desk_slots,
        "same_day_slots": terms.same_day_slots,
        "release_days": terms.release_days,
        "release_time": slots.format_time(terms.release_time),
    }


def _save(tx: Tx, caller: Caller, request: SaveScheduleRequest) -> int:
    schedule_id = request.schedule_id
    if schedule_id is None:
        return _create(tx, caller, request)
    terms = build_terms(tx, caller.tenant_id, request)
    schedule = schedule_store.find(tx, caller.tenant_id, schedule_id, "FOR UPDATE")
    if schedule is None:
        raise ApiError(errors.NOT_FOUND, "排班不存在")
    if schedule.stopped_at:
        raise ApiError(errors.CONFLICT, "该排班已停诊")
    if schedule.day != request.date:  # a pattern would create a schedule for the old day again
        raise ApiError(errors.CONFLICT, "排班日期不能修改，请停诊后新增")
    is_changed = any(getattr(schedule, name) != getattr(terms, name) for name in FIELDS_FIXED_ONCE_BOOKED)
    if is_changed and schedule_store.count_booked(tx, schedule_id):
        raise ApiError(errors.CONFLICT, "已有患者预约，只能修改类型、费用和候诊地点")
    _require_no_overlap(tx, caller.tenant_id, request.date, terms, schedule_id)
    schedule_store.update(tx, caller.tenant_id, schedule_id, terms)
    return schedule_id


def _create(tx: Tx, caller: Caller, request: SaveScheduleRequest) -> int:
    double_submission.lock_sender(tx, caller.tenant_id, caller.principal)
    terms = build_terms(tx, caller.tenant_id, request)
    earlier = schedule_store.find_double_submission(tx, caller.tenant_id, request.date, terms, caller.user_id)
    if earlier:
        return earlier
    _require_no_overlap(tx, caller.tenant_id, request.date, terms, None)
    return schedule_store.insert(tx, caller.tenant_id, request.date, terms, caller.user_id)


def _require_no_overlap(tx: Tx, tenant_id: int, day: date, terms: ScheduleTerms, schedule_id: int | None) -> None:
    if overlap := schedule_store.find_overlap(tx, tenant_id, day, terms, schedule_id):
        raise ApiError(errors.CONFLICT, f"该医生当天已有时间重叠的排班：{overlap}")


def _build_listed_schedule(row: ListedScheduleRow) -> ListedSchedule:
    schedule = row.schedule
    return ListedSchedule(
        **build_listed_fields(schedule, row.dept_name, row.doctor_name),
        schedule_id=str(schedule.schedule_id),
        date=schedule.day.isoformat(),
        booked=row.booked,
        stopped=schedule.stopped_at is not None,
    )
