"""Schedules as staff keep them: made, changed while nobody has booked, listed."""

from datetime import date
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.money import to_fen, to_yuan
from chalicelib.booking.schedules import schedule_store, slots
from chalicelib.booking.schedules.models import (
    ListedSchedule,
    SavedSchedule,
    ScheduleFields,
    ScheduleSaved,
    SchedulesQuery,
    parse_clock_time,
)
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, doctors

NOON, LATEST_MORNING_END = "12:00", "14:00"
MAX_DAYS_AHEAD = 366  # days
# What a booking was sold by: it cannot change under somebody who holds one.
COLUMNS_FIXED_ONCE_BOOKED = ("dept_id", "doctor_id", "half_day", "begins", "ends", "slots")


def save(caller: Caller, saved: ScheduleSaved) -> SavedSchedule:
    """Create, or change where schedule_id says which. ApiError 409 where the half-day has a schedule already, where
    somebody has booked and the time would change, and for one that is stopped."""
    _require_date_in_range(saved.date)
    try:
        schedule_id = mysql.run_transaction(lambda tx: _save(tx, caller, saved))
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "该半天已有排班") from None
    return SavedSchedule(schedule_id=str(schedule_id))


def search(caller: Caller, asked: SchedulesQuery) -> Page[ListedSchedule]:
    """Return a page of schedules between two days, the stopped among them."""
    days, limits = (asked.from_date, asked.to_date), (asked.offset, asked.page_size)
    total, rows = schedule_store.list_page(
        mysql.autocommit, caller.tenant_id, asked.dept_id, asked.doctor_id, days, limits
    )
    return Page[ListedSchedule].build(asked, total, [_build_listed_schedule(row) for row in rows])


def build_columns(tx: Tx, tenant_id: int, saved: ScheduleFields) -> dict[str, Any]:
    """Return the columns of a schedule or pattern. ApiError 404 for another tenant's department or doctor, 400 for
    times
    that make no half-day."""
    if not departments.exists(tx, tenant_id, saved.dept_id):
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    if saved.doctor_id and not doctors.find_for_update(tx, tenant_id, saved.doctor_id):
        raise ApiError(errors.NOT_FOUND, "医生不存在")
    begins, ends = parse_clock_time(saved.begin), parse_clock_time(saved.end)
    if begins >= ends:
        raise ApiError(errors.BAD_PARAMETER, "end：必须晚于 begin")
    if (saved.begin < NOON) is (saved.half == "PM"):
        raise ApiError(errors.BAD_PARAMETER, "begin：与上下午不符")
    if saved.half == "AM" and saved.end > LATEST_MORNING_END:
        raise ApiError(errors.BAD_PARAMETER, f"end：上午不能晚于 {LATEST_MORNING_END}")
    if saved.slots > (ends - begins).total_seconds() / 60:
        raise ApiError(errors.BAD_PARAMETER, "slots：每个号源至少一分钟")
    return {
        "dept_id": saved.dept_id,
        "doctor_id": saved.doctor_id,
        "clinic_id": None if saved.doctor_id else saved.dept_id,
        "half_day": saved.half,
        "type": saved.type,
        "fee": to_fen(saved.bookfee),
        "area": saved.area,
        "begins": begins,
        "ends": ends,
        "slots": saved.slots,
    }


def build_listed_fields(row: Row) -> dict[str, Any]:
    """Return the fields of a ListedHalfDay, of a schedule's row or a pattern's."""
    return {
        "dept_id": str(row["dept_id"]),
        "dept_name": row["dept_name"],
        "doctor_id": str(row["doctor_id"] or ""),
        "doctor_name": row["doctor_name"],
        "half": row["half_day"],
        "type": row["type"],
        "bookfee": to_yuan(row["fee"]),
        "area": row["area"],
        "begin": slots.format_time(row["begins"]),
        "end": slots.format_time(row["ends"]),
        "slots": row["slots"],
    }


def _require_date_in_range(day: date) -> None:
    if not 0 <= (day - clock.today()).days <= MAX_DAYS_AHEAD:
        raise ApiError(errors.BAD_PARAMETER, "date：必须在今天起一年之内")


def _save(tx: Tx, caller: Caller, saved: ScheduleSaved) -> int:
    fields, schedule_id = {**build_columns(tx, caller.tenant_id, saved), "day": saved.date}, saved.schedule_id
    if schedule_id is None:
        return schedule_store.insert(tx, caller.tenant_id, fields, caller.user_id)
    row = schedule_store.find(tx, caller.tenant_id, schedule_id, "FOR UPDATE")
    if row is None:
        raise ApiError(errors.NOT_FOUND, "排班不存在")
    if row["stopped_at"]:
        raise ApiError(errors.CONFLICT, "该排班已停诊")
    if row["day"] != saved.date:  # a pattern would make the old day again
        raise ApiError(errors.CONFLICT, "排班日期不能修改，请停诊后新增")
    if any(row[name] != fields[name] for name in COLUMNS_FIXED_ONCE_BOOKED) and schedule_store.count_booked(
        tx, schedule_id
    ):
        raise ApiError(errors.CONFLICT, "已有患者预约，只能修改类型、费用和候诊地点")
    schedule_store.update(tx, caller.tenant_id, schedule_id, fields)
    return schedule_id


def _build_listed_schedule(row: Row) -> ListedSchedule:
    return ListedSchedule(
        **build_listed_fields(row),
        schedule_id=str(row["schedule_id"]),
        date=row["day"].isoformat(),
        booked=row["booked"],
        stopped=row["stopped_at"] is not None,
    )
