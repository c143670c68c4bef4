"""Schedules as staff keep them: made, changed while nobody has booked, listed."""

from datetime import date
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.money import fen, yuan
from chalicelib.booking.schedules import schedule_store, slots
from chalicelib.booking.schedules.models import (
    HalfDay,
    ListedSchedule,
    SavedSchedule,
    SchedulesAsked,
    ScheduleSaved,
    since_midnight,
)
from chalicelib.errors import Refused
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, doctors

NOON, EARLY_AFTERNOON = "12:00", "14:00"
FAR = 366  # days
# What a booking was sold by: it cannot change under somebody who holds one.
SOLD_BY = ("dept_id", "doctor_id", "half", "begins", "ends", "slots")


def save(caller: Caller, saved: ScheduleSaved) -> SavedSchedule:
    """Create, or change where schedule_id says which. Refused 409 where the half-day has a schedule already, where
    somebody has booked and the time would change, and for one that is stopped."""
    _to_come(saved.date)
    try:
        schedule_id = mysql.transact(lambda tx: _save(tx, caller, saved))
    except mysql.Duplicate:
        raise Refused(errors.CONFLICT, "该半天已有排班") from None
    return SavedSchedule(schedule_id=str(schedule_id))


def search(caller: Caller, asked: SchedulesAsked) -> Page[ListedSchedule]:
    """Return a page of schedules between two days, the stopped among them."""
    days, limits = (asked.from_date, asked.to_date), (asked.skipped, asked.page_size)
    total, rows = mysql.autocommit(
        lambda tx: schedule_store.listed(tx, caller.tenant_id, asked.dept_id, asked.doctor_id, days, limits)
    )
    return Page[ListedSchedule].of(asked, total, [_listed(row) for row in rows])


def checked(tx: Tx, tenant_id: int, saved: HalfDay) -> dict[str, Any]:
    """Return the columns of a schedule or pattern. Refused 404 for another tenant's department or doctor, 400 for times
    that make no half-day."""
    if not departments.exists(tx, tenant_id, saved.dept_id):
        raise Refused(errors.NOT_FOUND, "科室不存在")
    if saved.doctor_id and not doctors.find(tx, tenant_id, saved.doctor_id):
        raise Refused(errors.NOT_FOUND, "医生不存在")
    begins, ends = since_midnight(saved.begin), since_midnight(saved.end)
    if begins >= ends:
        raise Refused(errors.BAD_PARAMETER, "end：必须晚于 begin")
    if (saved.begin < NOON) is (saved.half == "PM"):
        raise Refused(errors.BAD_PARAMETER, "begin：与上下午不符")
    if saved.half == "AM" and saved.end > EARLY_AFTERNOON:
        raise Refused(errors.BAD_PARAMETER, f"end：上午不能晚于 {EARLY_AFTERNOON}")
    if saved.slots > (ends - begins).total_seconds() / 60:
        raise Refused(errors.BAD_PARAMETER, "slots：每个号源至少一分钟")
    return {
        "dept_id": saved.dept_id,
        "doctor_id": saved.doctor_id,
        "clinic_id": None if saved.doctor_id else saved.dept_id,
        "half": saved.half,
        "type": saved.type,
        "fee": fen(saved.bookfee),
        "area": saved.area,
        "begins": begins,
        "ends": ends,
        "slots": saved.slots,
    }


def shown(row: Row) -> dict[str, Any]:
    """Return the fields of a ListedHalfDay, of a schedule's row or a pattern's."""
    return {
        "dept_id": str(row["dept_id"]),
        "dept_name": row["dept_name"],
        "doctor_id": str(row["doctor_id"] or ""),
        "doctor_name": row["doctor_name"],
        "half": row["half"],
        "type": row["type"],
        "bookfee": yuan(row["fee"]),
        "area": row["area"],
        "begin": slots.shown(row["begins"]),
        "end": slots.shown(row["ends"]),
        "slots": row["slots"],
    }


def _to_come(day: date) -> None:
    if not 0 <= (day - clock.today()).days <= FAR:
        raise Refused(errors.BAD_PARAMETER, "date：必须在今天起一年之内")


def _save(tx: Tx, caller: Caller, saved: ScheduleSaved) -> int:
    fields, schedule_id = {**checked(tx, caller.tenant_id, saved), "day": saved.date}, saved.schedule_id
    if schedule_id is None:
        return schedule_store.insert(tx, caller.tenant_id, fields, caller.user_id)
    row = schedule_store.find(tx, caller.tenant_id, schedule_id, "FOR UPDATE")
    if row is None:
        raise Refused(errors.NOT_FOUND, "排班不存在")
    if row["stopped_at"]:
        raise Refused(errors.CONFLICT, "该排班已停诊")
    if row["day"] != saved.date:  # a pattern would make the old day again
        raise Refused(errors.CONFLICT, "排班日期不能修改，请停诊后新增")
    if any(row[name] != fields[name] for name in SOLD_BY) and schedule_store.booked(tx, schedule_id):
        raise Refused(errors.CONFLICT, "已有患者预约，只能修改类型、费用和候诊地点")
    schedule_store.change(tx, caller.tenant_id, schedule_id, fields)
    return schedule_id


def _listed(row: Row) -> ListedSchedule:
    return ListedSchedule(
        **shown(row),
        schedule_id=str(row["schedule_id"]),
        date=row["day"].isoformat(),
        booked=row["booked"],
        stopped=row["stopped_at"] is not None,
    )
