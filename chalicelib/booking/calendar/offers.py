"""The calendar that visitors see: departments, which doctor sees patients when, and the remaining slots."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.billing.money import to_yuan
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.calendar.calendar_store import CalendarDoctor, CalendarRange, CalendarRows
from chalicelib.booking.calendar.models import (
    BookableDepartment,
    BookableDoctor,
    DepartmentDayQuery,
    DepartmentQuery,
    DoctorDay,
    DoctorDayQuery,
    DoctorInfo,
    DoctorInfoQuery,
    DoctorOnDay,
    FreeSlot,
    HalfDayOffer,
    RemainingOnDay,
    ScheduleQuery,
)
from chalicelib.booking.schedules import rules
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.booking.schedules.slots import HalfDay, Schedule
from chalicelib.errors import ApiError
from chalicelib.files import links
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import departments

K = TypeVar("K", bound=Hashable)
FREE, FULL = 1, 2  # status in the API


@dataclass(frozen=True, slots=True)
class DepartmentCalendar:
    """The bookable schedules of a department, or of one of its doctors, ready to be shown."""

    department_fields: dict[str, str]  # fields of DoctorAndDepartment
    department_photo_url: str  # not among the fields: the API has two names for it
    schedules: list[Schedule]
    doctors: dict[int, CalendarDoctor]  # by user_id, in the tenant's order


def list_departments(caller: Caller) -> list[BookableDepartment]:
    """Return the departments in the tenant's order."""
    return [
        BookableDepartment(deptId=str(department.dept_id), deptName=department.name)
        for department in departments.list_all(mysql.autocommit, caller.tenant_id)
    ]


def list_by_date(caller: Caller, query: DepartmentDayQuery) -> Page[DoctorOnDay]:
    """Return a page of the doctors who see patients on a day, one entry for each type of schedule.

    The general clinic comes first, then the doctors in the tenant's order.

    Raises:
        ApiError: 404 if the tenant has no such department, 400 if the day cannot be booked.
    """
    calendar = _load_department_calendar(caller, query.dept_id, query.day)
    free = availability.get_free_slots(caller.tenant_id, calendar.schedules)
    groups = _group_schedules(((schedule.doctor_id, schedule.type), schedule) for schedule in calendar.schedules)
    keys = sorted(groups, key=lambda key: (_get_sort_position(calendar, key[0]), key[1]))
    entries = [
        DoctorOnDay(
            **_build_doctor_fields(calendar, doctor_id, "doctorAvatar"),
            deptAvatar=calendar.department_photo_url,
            date=query.day.isoformat(),
            type=schedule_type,
            status=_compute_status(groups[doctor_id, schedule_type], free),
            bookfee=to_yuan(min(schedule.fee for schedule in groups[doctor_id, schedule_type])),
        )
        for doctor_id, schedule_type in _slice_page(query, keys)
    ]
    return Page[DoctorOnDay].build(query, len(keys), entries)


def list_by_doctor(caller: Caller, query: DepartmentQuery) -> Page[BookableDoctor]:
    """Return a page of the doctors who see patients on the days that can be booked, in the order of list_by_date.

    Raises:
        ApiError: 404 if the tenant has no such department.
    """
    calendar = _load_department_calendar(caller, query.dept_id, None)
    free = availability.get_free_slots(caller.tenant_id, calendar.schedules)
    groups = _group_schedules((schedule.doctor_id, schedule) for schedule in calendar.schedules)
    keys = sorted(groups, key=lambda doctor_id: _get_sort_position(calendar, doctor_id))
    entries = [
        BookableDoctor(
            **_build_doctor_fields(calendar, doctor_id, "doctorAvatar"),
            deptPortrait=calendar.department_photo_url,
            status=_compute_status(groups[doctor_id], free),
        )
        for doctor_id in _slice_page(query, keys)
    ]
    return Page[BookableDoctor].build(query, len(keys), entries)


def get_doctor_day(caller: Caller, query: DoctorDayQuery) -> DoctorDay:
    """Return the remaining slots of a doctor, or of the general clinic, in both half-days of a day.

    Raises:
        ApiError: 404 if the tenant has no such department or doctor, 400 if the day cannot be booked.
    """
    day = query.day or clock.today()
    schedules = _load_doctor_calendar(caller, query.dept_id, query.doctor_id, day).schedules
    free = availability.get_free_slots(caller.tenant_id, schedules)
    halves = {
        schedule.half_day: HalfDayOffer(
            scheduleId=str(schedule.schedule_id),
            type=schedule.type,
            bookfee=to_yuan(schedule.fee),
            leftCount=len(free[schedule.schedule_id]),
            scheAdderss=schedule.area,
            releaseTime=_format_release_time(schedule),
        )
        for schedule in schedules
    }
    return DoctorDay(date=day.isoformat(), scheduleAM=halves.get(HalfDay.AM), schedulePM=halves.get(HalfDay.PM))


def list_free_slots(caller: Caller, query: ScheduleQuery) -> list[FreeSlot]:
    """Return the remaining slots of a schedule; none if it is stopped or cannot be booked yet.

    Raises:
        ApiError: 404 if the tenant has no such schedule.
    """
    schedule, rule = calendar_store.find_schedule_and_rules(mysql.autocommit, caller.tenant_id, query.schedule_id)
    if schedule is None:
        raise ApiError(errors.NOT_FOUND, "排班不存在")
    if schedule.day > rules.get_last_bookable_day(rule):
        return []
    free = availability.get_free_slots(caller.tenant_id, [schedule])[schedule.schedule_id]
    return [FreeSlot(serialNo=serial_no, time=schedule.get_slot_time(serial_no)) for serial_no in free]


def get_doctor_info(caller: Caller, query: DoctorInfoQuery) -> list[DoctorInfo]:
    """Return one entry: a doctor and the number of remaining slots on each bookable day from tomorrow on.

    Raises:
        ApiError: 404 if the tenant has no such department or doctor.
    """
    calendar = _load_doctor_calendar(caller, query.dept_id, query.doctor_id, None, query.days)
    free = availability.get_free_slots(caller.tenant_id, calendar.schedules)
    days = _group_schedules((schedule.day, schedule) for schedule in calendar.schedules)
    counts = [
        RemainingOnDay(date=day.isoformat(), leftCount=sum(len(free[schedule.schedule_id]) for schedule in schedules))
        for day, schedules in days.items()
    ]
    doctor_fields = _build_doctor_fields(calendar, query.doctor_id, "doctorPortrait")
    return [DoctorInfo(**doctor_fields, deptPortrait=calendar.department_photo_url, leftBookCountList=counts)]


def _load_department_calendar(caller: Caller, dept_id: int, day: date | None) -> DepartmentCalendar:
    """Load the schedules of one day, or of all days that can be booked."""
    days = _build_range(day or clock.today(), day or date.max)
    rows = calendar_store.load_for_department(mysql.autocommit, caller.tenant_id, dept_id, days)
    return _build_calendar(dept_id, rows, day)


def _load_doctor_calendar(
    caller: Caller, dept_id: int, doctor_id: int | None, day: date | None, days_ahead: int = 0
) -> DepartmentCalendar:
    """Load the schedules of one day, or of `days_ahead` days from tomorrow on."""
    today = clock.today()
    days = _build_range(day or today + timedelta(1), day or today + timedelta(days_ahead))
    rows = calendar_store.load_for_doctor(mysql.autocommit, caller.tenant_id, dept_id, days, doctor_id)
    calendar = _build_calendar(dept_id, rows, day)
    if doctor_id and doctor_id not in rows.doctors:
        raise ApiError(errors.NOT_FOUND, "医生不存在")
    return calendar


def _build_range(first: date, last: date) -> CalendarRange:
    return CalendarRange(first=first, last=last, today=clock.today(), default_days_ahead=Rules().days_ahead)


def _build_calendar(dept_id: int, rows: CalendarRows, day: date | None) -> DepartmentCalendar:
    """Raise ApiError 404 if there is no such department, 400 if the day cannot be booked."""
    department = rows.department
    if department is None:
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    if day:
        rules.require_bookable_day(rows.rules, day, "date")
    fields = {"deptId": str(dept_id), "deptName": department.name, "deptDesp": department.introduction}
    photo_url = links.sign(department.photo_key) if department.photo_key else ""
    return DepartmentCalendar(fields, photo_url, rows.schedules, rows.doctors)


def _format_release_time(schedule: Schedule) -> str:
    """Return when patients can book a schedule, "" if they can now."""
    is_waiting = schedule.released_at is not None and not schedule.is_released()
    return clock.format_wire_time(schedule.released_at or 0) if is_waiting else ""


def _group_schedules(pairs: Iterable[tuple[K, Schedule]]) -> dict[K, list[Schedule]]:
    groups: dict[K, list[Schedule]] = defaultdict(list)
    for key, schedule in pairs:
        groups[key].append(schedule)
    return groups


def _get_sort_position(calendar: DepartmentCalendar, doctor_id: int | None) -> int:
    """Return the position in the tenant's order; the general clinic comes first."""
    return list(calendar.doctors).index(doctor_id) if doctor_id else -1


def _compute_status(schedules: Iterable[Schedule], free: Mapping[int, list[int]]) -> int:
    return FREE if any(free[schedule.schedule_id] for schedule in schedules) else FULL


def _build_doctor_fields(calendar: DepartmentCalendar, doctor_id: int | None, photo_field: str) -> dict[str, Any]:
    """Return the fields of DoctorAndDepartment and the doctor's photo, of which the API has two names."""
    if doctor_id is None:
        doctor_fields = ("doctorId", "doctorName", photo_field, "doctorTitle", "doctorDesp")
        return {**calendar.department_fields, **dict.fromkeys(doctor_fields, "")}
    doctor = calendar.doctors[doctor_id]
    return {
        **calendar.department_fields,
        "doctorId": str(doctor_id),
        "doctorName": doctor.name,
        photo_field: links.sign(doctor.profile.photo_key) if doctor.profile.photo_key else "",
        "doctorTitle": doctor.profile.display_title,
        "doctorDesp": doctor.profile.introduction,
    }


def _slice_page(query: DepartmentQuery, keys: list[K]) -> list[K]:
    return keys[query.offset : query.offset + query.page_size]
