"""What a hospital offers: departments, who sees patients when, and which slots are left (tenant_service)."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.money import yuan
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.calendar.calendar_store import Offer
from chalicelib.booking.calendar.models import (
    BookableDepartment,
    DayAsked,
    DepartmentAsked,
    DoctorsDayAsked,
    FreeSlot,
    Half,
    Halves,
    Info,
    InfoAsked,
    LeftOnDay,
    OfDoctor,
    OnDay,
    ScheduleAsked,
)
from chalicelib.booking.schedules import rules, slots
from chalicelib.booking.schedules.rules import Rules
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.errors import Refused
from chalicelib.files import links
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, doctors

K = TypeVar("K", bound=Hashable)
FREE, FULL = 1, 2
Cards = dict[int, Row]


@dataclass(frozen=True, slots=True)
class Offered:
    """What can be booked in a department: its fields on the wire, the schedules, and the doctors in them."""

    dept: dict[str, str]
    dept_photo: str  # a link; its field has two names
    schedules: list[Schedule]
    cards: Cards


def list_departments(caller: Caller) -> list[BookableDepartment]:
    rows = mysql.autocommit(lambda tx: departments.list_all(tx, caller.tenant_id))
    return [BookableDepartment(deptId=row["dept_id"], deptName=row["name"]) for row in rows]


def on_day(caller: Caller, asked: DayAsked) -> Page[OnDay]:
    """Return a page of who sees patients on a day, a row for each type, in the tenant's order.

    Refused 404 for another tenant's department, 400 for a day that cannot be booked.
    """
    offered = _of_department(caller, asked.dept_id, asked.day)
    free = availability.free(caller.tenant_id, offered.schedules)
    groups = _grouped(((one.doctor_id, one.type), one) for one in offered.schedules)
    keys = sorted(groups, key=lambda key: (_place(offered.cards, key[0]), key[1]))
    rows = [
        OnDay(
            **_shown(offered, doctor_id, "doctorAvatar"),
            deptAvatar=offered.dept_photo,
            date=asked.day.isoformat(),
            type=kind,
            status=_status(groups[doctor_id, kind], free),
            bookfee=yuan(min(one.fee for one in groups[doctor_id, kind])),
        )
        for doctor_id, kind in _part(asked, keys)
    ]
    return Page[OnDay].of(asked, len(keys), rows)


def by_doctor(caller: Caller, asked: DepartmentAsked) -> Page[OfDoctor]:
    """Return a page of who sees patients on the days that can be booked, in the tenant's order."""
    offered = _of_department(caller, asked.dept_id, None)
    free = availability.free(caller.tenant_id, offered.schedules)
    groups = _grouped((one.doctor_id, one) for one in offered.schedules)
    keys = sorted(groups, key=lambda doctor_id: _place(offered.cards, doctor_id))
    rows = [
        OfDoctor(
            **_shown(offered, doctor_id, "doctorAvatar"),
            deptPortrait=offered.dept_photo,
            status=_status(groups[doctor_id], free),
        )
        for doctor_id in _part(asked, keys)
    ]
    return Page[OfDoctor].of(asked, len(keys), rows)


def of_day(caller: Caller, asked: DoctorsDayAsked) -> Halves:
    """Return a doctor's day, or the general clinic's: what is left of each half, None where there is no clinic."""
    day = asked.day or clock.today()
    found = _of_doctor(caller, asked.dept_id, asked.doctor_id, day).schedules
    free = availability.free(caller.tenant_id, found)
    halves = {
        one.half: Half(
            scheduleId=str(one.schedule_id),
            type=one.type,
            bookfee=yuan(one.fee),
            leftCount=len(free[one.schedule_id]),
            scheAdderss=one.area,
        )
        for one in found
    }
    return Halves(date=day.isoformat(), scheduleAM=halves.get("AM"), schedulePM=halves.get("PM"))


def free_slots(caller: Caller, asked: ScheduleAsked) -> list[FreeSlot]:
    """Return the slots that are left; none where it was stopped, or cannot be booked yet. Refused 404 for another
    tenant's schedule."""
    found, rule = mysql.autocommit(lambda tx: _with_rules(tx, caller, asked.schedule_id))
    if found is None:
        raise Refused(errors.NOT_FOUND, "排班不存在")
    one = slots.schedule(found)
    free = availability.free(caller.tenant_id, [one])[one.schedule_id] if one.day <= rules.last_day(rule) else []
    return [FreeSlot(serialNo=serial_no, time=one.time(serial_no)) for serial_no in free]


def info(caller: Caller, asked: InfoAsked) -> list[Info]:
    """Return one entry: who it is, and what is left on each of so many days from tomorrow on that can be booked."""
    offered = _of_doctor(caller, asked.dept_id, asked.doctor_id, None, asked.days)
    free = availability.free(caller.tenant_id, offered.schedules)
    days = _grouped((one.day, one) for one in offered.schedules)
    counts = [
        LeftOnDay(date=day.isoformat(), leftCount=sum(len(free[one.schedule_id]) for one in halves))
        for day, halves in days.items()
    ]
    shown = _shown(offered, asked.doctor_id, "doctorPortrait")
    return [Info(**shown, deptPortrait=offered.dept_photo, leftBookCountList=counts)]


def _with_rules(tx: Tx, caller: Caller, schedule_id: int) -> tuple[Row | None, Rules]:
    schedule, rule = calendar_store.one(tx, caller.tenant_id, schedule_id)
    return schedule, rules.read(rule)


def _of_department(caller: Caller, dept_id: int, day: date | None) -> Offered:
    """Of a day; None: of all that can be booked."""
    days, known = (day or clock.today(), day or date.max), (clock.today(), Rules().days_ahead)
    offer = mysql.autocommit(lambda tx: calendar_store.offer_of_all(tx, caller.tenant_id, dept_id, days, known))
    return _offered(dept_id, offer, day)


def _of_doctor(caller: Caller, dept_id: int, doctor_id: int | None, day: date | None, ahead: int = 0) -> Offered:
    """Of a day, or of so many days from tomorrow on."""
    today, known = clock.today(), (clock.today(), Rules().days_ahead)
    days = (day, day) if day else (today + timedelta(1), today + timedelta(ahead))
    offer = mysql.autocommit(lambda tx: calendar_store.offer(tx, caller.tenant_id, dept_id, days, known, doctor_id))
    offered = _offered(dept_id, offer, day)
    if doctor_id and doctor_id not in offer.cards:
        raise Refused(errors.NOT_FOUND, "医生不存在")
    return offered


def _offered(dept_id: int, offer: Offer, day: date | None) -> Offered:
    """Refused 404 where there is no such department, 400 for a day that cannot be booked."""
    department = offer.department
    if department is None:
        raise Refused(errors.NOT_FOUND, "科室不存在")
    if day:
        rules.bookable(rules.read(offer.rules), day, "date")
    dept = {"deptId": str(dept_id), "deptName": department.name, "deptDesp": department.introduction}
    photo = links.signed(department.photo_key) if department.photo_key else ""
    return Offered(dept, photo, [slots.schedule(row) for row in offer.schedules], offer.cards)


def _grouped(pairs: Iterable[tuple[K, Schedule]]) -> dict[K, list[Schedule]]:
    groups: dict[K, list[Schedule]] = defaultdict(list)
    for key, one in pairs:
        groups[key].append(one)
    return groups


def _place(cards: Cards, doctor_id: int | None) -> int:
    """Doctors in the tenant's order, the general clinic first."""
    return list(cards).index(doctor_id) if doctor_id else -1


def _status(schedules: Iterable[Schedule], free: Mapping[int, list[int]]) -> int:
    return FREE if any(free[one.schedule_id] for one in schedules) else FULL


def _shown(offered: Offered, doctor_id: int | None, photo: str) -> dict[str, Any]:
    """The department's fields and the doctor's, of which one has two names; empty for a general clinic."""
    if doctor_id is None:
        return {**offered.dept, **dict.fromkeys(("doctorId", "doctorName", photo, "doctorTitle", "doctorDesp"), "")}
    row = offered.cards[doctor_id]
    profile = doctors.profile(row)
    return {
        **offered.dept,
        "doctorId": str(doctor_id),
        "doctorName": row["name"],
        photo: links.signed(profile.photo_key) if profile.photo_key else "",
        "doctorTitle": profile.shown_title,
        "doctorDesp": profile.introduction,
    }


def _part(asked: DepartmentAsked, keys: list[K]) -> list[K]:
    """Return what a page shows of a department's rows, which are some dozens."""
    return keys[asked.skipped : asked.skipped + asked.page_size]
