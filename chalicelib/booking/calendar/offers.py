"""What a hospital offers: departments, who sees patients when, and which slots are left (tenant_service)."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.money import to_yuan
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.calendar.calendar_store import CalendarRows
from chalicelib.booking.calendar.models import (
    BookableDepartment,
    DepartmentDayQuery,
    DepartmentQuery,
    DoctorDayQuery,
    DoctorInfoQuery,
    FreeSlot,
    Half,
    Halves,
    Info,
    LeftOnDay,
    OfDoctor,
    OnDay,
    ScheduleQuery,
)
from chalicelib.booking.schedules import rules, slots
from chalicelib.booking.schedules.rules import Rules
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.errors import ApiError
from chalicelib.files import links
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, doctors

K = TypeVar("K", bound=Hashable)
FREE, FULL = 1, 2
DoctorRows = dict[int, Row]


@dataclass(frozen=True, slots=True)
class DepartmentCalendar:
    """What can be booked in a department: its fields on the wire, the schedules, and the doctors in them."""

    dept_fields: dict[str, str]
    dept_photo_url: str  # a link; its field has two names
    schedules: list[Schedule]
    doctor_rows: DoctorRows


def list_departments(caller: Caller) -> list[BookableDepartment]:
    found = departments.list_all(mysql.autocommit, caller.tenant_id)
    return [BookableDepartment(deptId=str(one.dept_id), deptName=one.name) for one in found]


def list_by_date(caller: Caller, asked: DepartmentDayQuery) -> Page[OnDay]:
    """Return a page of who sees patients on a day, a row for each type, in the tenant's order.

    ApiError 404 for another tenant's department, 400 for a day that cannot be booked.
    """
    offered = _load_department_calendar(caller, asked.dept_id, asked.day)
    free = availability.get_free_slots(caller.tenant_id, offered.schedules)
    groups = _group_schedules(((one.doctor_id, one.type), one) for one in offered.schedules)
    keys = sorted(groups, key=lambda key: (_get_sort_position(offered.doctor_rows, key[0]), key[1]))
    rows = [
        OnDay(
            **_build_doctor_fields(offered, doctor_id, "doctorAvatar"),
            deptAvatar=offered.dept_photo_url,
            date=asked.day.isoformat(),
            type=kind,
            status=_compute_status(groups[doctor_id, kind], free),
            bookfee=to_yuan(min(one.fee for one in groups[doctor_id, kind])),
        )
        for doctor_id, kind in _slice_page(asked, keys)
    ]
    return Page[OnDay].build(asked, len(keys), rows)


def list_by_doctor(caller: Caller, asked: DepartmentQuery) -> Page[OfDoctor]:
    """Return a page of who sees patients on the days that can be booked, in the tenant's order."""
    offered = _load_department_calendar(caller, asked.dept_id, None)
    free = availability.get_free_slots(caller.tenant_id, offered.schedules)
    groups = _group_schedules((one.doctor_id, one) for one in offered.schedules)
    keys = sorted(groups, key=lambda doctor_id: _get_sort_position(offered.doctor_rows, doctor_id))
    rows = [
        OfDoctor(
            **_build_doctor_fields(offered, doctor_id, "doctorAvatar"),
            deptPortrait=offered.dept_photo_url,
            status=_compute_status(groups[doctor_id], free),
        )
        for doctor_id in _slice_page(asked, keys)
    ]
    return Page[OfDoctor].build(asked, len(keys), rows)


def get_doctor_day(caller: Caller, asked: DoctorDayQuery) -> Halves:
    """Return a doctor's day, or the general clinic's: what is left of each half, None where there is no clinic."""
    day = asked.day or clock.today()
    found = _load_doctor_calendar(caller, asked.dept_id, asked.doctor_id, day).schedules
    free = availability.get_free_slots(caller.tenant_id, found)
    halves = {
        one.half_day: Half(
            scheduleId=str(one.schedule_id),
            type=one.type,
            bookfee=to_yuan(one.fee),
            leftCount=len(free[one.schedule_id]),
            scheAdderss=one.area,
        )
        for one in found
    }
    return Halves(date=day.isoformat(), scheduleAM=halves.get("AM"), schedulePM=halves.get("PM"))


def list_free_slots(caller: Caller, asked: ScheduleQuery) -> list[FreeSlot]:
    """Return the slots that are left; none where it was stopped, or cannot be booked yet. ApiError 404 for another
    tenant's schedule."""
    found, rule = _find_schedule_and_rules(mysql.autocommit, caller, asked.schedule_id)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "排班不存在")
    one = slots.parse_schedule(found)
    free = (
        availability.get_free_slots(caller.tenant_id, [one])[one.schedule_id]
        if one.day <= rules.get_last_bookable_day(rule)
        else []
    )
    return [FreeSlot(serialNo=serial_no, time=one.get_slot_time(serial_no)) for serial_no in free]


def get_doctor_info(caller: Caller, asked: DoctorInfoQuery) -> list[Info]:
    """Return one entry: who it is, and what is left on each of so many days from tomorrow on that can be booked."""
    offered = _load_doctor_calendar(caller, asked.dept_id, asked.doctor_id, None, asked.days)
    free = availability.get_free_slots(caller.tenant_id, offered.schedules)
    days = _group_schedules((one.day, one) for one in offered.schedules)
    counts = [
        LeftOnDay(date=day.isoformat(), leftCount=sum(len(free[one.schedule_id]) for one in halves))
        for day, halves in days.items()
    ]
    shown = _build_doctor_fields(offered, asked.doctor_id, "doctorPortrait")
    return [Info(**shown, deptPortrait=offered.dept_photo_url, leftBookCountList=counts)]


def _find_schedule_and_rules(tx: Tx, caller: Caller, schedule_id: int) -> tuple[Row | None, Rules]:
    schedule, rule = calendar_store.find_schedule_and_rules(tx, caller.tenant_id, schedule_id)
    return schedule, rules.parse_row(rule)


def _load_department_calendar(caller: Caller, dept_id: int, day: date | None) -> DepartmentCalendar:
    """Of a day; None: of all that can be booked."""
    days, known = (day or clock.today(), day or date.max), (clock.today(), Rules().days_ahead)
    offer = calendar_store.load_for_department(mysql.autocommit, caller.tenant_id, dept_id, days, known)
    return _build_calendar(dept_id, offer, day)


def _load_doctor_calendar(
    caller: Caller, dept_id: int, doctor_id: int | None, day: date | None, ahead: int = 0
) -> DepartmentCalendar:
    """Of a day, or of so many days from tomorrow on."""
    today, known = clock.today(), (clock.today(), Rules().days_ahead)
    days = (day, day) if day else (today + timedelta(1), today + timedelta(ahead))
    offer = calendar_store.load_for_doctor(mysql.autocommit, caller.tenant_id, dept_id, days, known, doctor_id)
    offered = _build_calendar(dept_id, offer, day)
    if doctor_id and doctor_id not in offer.doctor_rows:
        raise ApiError(errors.NOT_FOUND, "医生不存在")
    return offered


def _build_calendar(dept_id: int, offer: CalendarRows, day: date | None) -> DepartmentCalendar:
    """ApiError 404 where there is no such department, 400 for a day that cannot be booked."""
    department = offer.department
    if department is None:
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    if day:
        rules.require_bookable_day(rules.parse_row(offer.rules), day, "date")
    dept = {"deptId": str(dept_id), "deptName": department.name, "deptDesp": department.introduction}
    photo = links.sign(department.photo_key) if department.photo_key else ""
    return DepartmentCalendar(dept, photo, [slots.parse_schedule(row) for row in offer.schedules], offer.doctor_rows)


def _group_schedules(pairs: Iterable[tuple[K, Schedule]]) -> dict[K, list[Schedule]]:
    groups: dict[K, list[Schedule]] = defaultdict(list)
    for key, one in pairs:
        groups[key].append(one)
    return groups


def _get_sort_position(cards: DoctorRows, doctor_id: int | None) -> int:
    """Doctors in the tenant's order, the general clinic first."""
    return list(cards).index(doctor_id) if doctor_id else -1


def _compute_status(schedules: Iterable[Schedule], free: Mapping[int, list[int]]) -> int:
    return FREE if any(free[one.schedule_id] for one in schedules) else FULL


def _build_doctor_fields(offered: DepartmentCalendar, doctor_id: int | None, photo: str) -> dict[str, Any]:
    """The department's fields and the doctor's, of which one has two names; empty for a general clinic."""
    if doctor_id is None:
        return {
            **offered.dept_fields,
            **dict.fromkeys(("doctorId", "doctorName", photo, "doctorTitle", "doctorDesp"), ""),
        }
    row = offered.doctor_rows[doctor_id]
    profile = doctors.build_profile(row)
    return {
        **offered.dept_fields,
        "doctorId": str(doctor_id),
        "doctorName": row["name"],
        photo: links.sign(profile.photo_key) if profile.photo_key else "",
        "doctorTitle": profile.display_title,
        "doctorDesp": profile.introduction,
    }


def _slice_page(asked: DepartmentQuery, keys: list[K]) -> list[K]:
    """Return what a page shows of a department's rows, which are some dozens."""
    return keys[asked.offset : asked.offset + asked.page_size]
