"""SQL of the booking calendar.

The calendar shows schedules that are not stopped, of general clinics and of doctors who work.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.schedules.rule_store import SELECT_RULES, Rules, parse_rules
from chalicelib.booking.schedules.schedule_store import DOCTOR_ACTIVE_CONDITION, SCHEDULE_COLUMNS, SELECT_SCHEDULE
from chalicelib.booking.schedules.slots import Schedule, parse_schedule
from chalicelib.identity.callers import Role
from chalicelib.people import departments, doctors
from chalicelib.people.departments import Department
from chalicelib.people.doctors import Profile

MAX_ELSEWHERE = 20  # schedules in which another slot is looked for

SELECT_DEPARTMENT = f"""
    SELECT {departments.COLUMNS_SQL} FROM departments
    WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s
"""
BOOKABLE_SCHEDULES = f"""
    schedules x WHERE x.tenant_id = %(tenant_id)s AND x.dept_id = %(dept_id)s AND x.day BETWEEN %(first)s AND %(last)s
      AND x.day <= CAST(%(today)s AS DATE) + INTERVAL COALESCE(
          (SELECT r.days_ahead FROM booking_rules r WHERE r.tenant_id = %(tenant_id)s), %(days_ahead)s) DAY
      AND x.live = 1 AND {DOCTOR_ACTIVE_CONDITION}
"""
SELECT_DOCTORS = """
    SELECT s.user_id, s.name, p.dept_id, p.duty_code, p.title, p.photo_key, p.expert, p.introduction, p.sort
    FROM doctors p JOIN staff s ON s.user_id = p.user_id AND s.role = %(doctor_role)s AND s.disabled_at IS NULL
    WHERE p.tenant_id = %(tenant_id)s AND p.user_id
"""


@dataclass(frozen=True, slots=True)
class CalendarDoctor:
    """A working doctor as the calendar shows them."""

    user_id: int
    name: str
    profile: Profile


@dataclass(frozen=True, slots=True)
class CalendarRows:
    """The bookable schedules of a department, or of one of its doctors, between two days."""

    department: Department | None  # None if the tenant has no such department
    rules: Rules
    schedules: list[Schedule]  # by day and half-day
    doctors: dict[int, CalendarDoctor]  # by user_id, in the tenant's order


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRange:
    """The days whose schedules are loaded, and what limits the days that can be booked."""

    first: date
    last: date
    today: date
    default_days_ahead: int  # used if the hospital has not set rules


def load_for_doctor(tx: Tx, tenant_id: int, dept_id: int, days: CalendarRange, doctor_id: int | None) -> CalendarRows:
    """Return the bookable schedules of one doctor, or of the general clinic (None)."""
    schedules = f"""
        SELECT {SCHEDULE_COLUMNS} FROM {BOOKABLE_SCHEDULES} AND x.doctor_id <=> %(doctor_id)s
        ORDER BY x.day, x.half_day
    """
    return _load(tx, f"{SELECT_DOCTORS} = %(doctor_id)s", schedules, tenant_id, dept_id, days, doctor_id)


def load_for_department(tx: Tx, tenant_id: int, dept_id: int, days: CalendarRange) -> CalendarRows:
    """Return the bookable schedules of all doctors and of the general clinic of a department."""
    select_doctors = f"{SELECT_DOCTORS} IN (SELECT x.doctor_id FROM {BOOKABLE_SCHEDULES}) ORDER BY p.sort, p.user_id"
    schedules = f"SELECT {SCHEDULE_COLUMNS} FROM {BOOKABLE_SCHEDULES} ORDER BY x.day, x.half_day, x.schedule_id"
    return _load(tx, select_doctors, schedules, tenant_id, dept_id, days)


def _load(
    tx: Tx,
    select_doctors: str,
    select_schedules: str,
    tenant_id: int,
    dept_id: int,
    days: CalendarRange,
    doctor_id: int | None = None,
) -> CalendarRows:
    department_rows, rules_rows, doctor_rows, schedule_rows = tx.execute_packet(
        f"{SELECT_DEPARTMENT};{SELECT_RULES};{select_doctors};{select_schedules}",
        tenant_id=tenant_id,
        dept_id=dept_id,
        first=days.first,
        last=days.last,
        today=days.today,
        days_ahead=days.default_days_ahead,
        doctor_id=doctor_id,
        doctor_role=Role.DOCTOR,
    )
    by_id = {row["user_id"]: _parse_doctor(row) for row in doctor_rows}
    shown_ids = {None, *by_id}  # without a doctor who was added after the doctors were read
    return CalendarRows(
        department=departments.build_department(department_rows[0]) if department_rows else None,
        rules=parse_rules(_get_first(rules_rows)),
        schedules=[parse_schedule(row) for row in schedule_rows if row["doctor_id"] in shown_ids],
        doctors=by_id,
    )


def find_schedule_and_rules(tx: Tx, tenant_id: int, schedule_id: int) -> tuple[Schedule | None, Rules]:
    """Return a schedule, also a stopped one, and the rules of the hospital, in one round trip."""
    schedule_rows, rules_rows = tx.execute_packet(
        f"{SELECT_SCHEDULE};{SELECT_RULES}", tenant_id=tenant_id, schedule_id=schedule_id, doctor_role=Role.DOCTOR
    )
    return parse_schedule(schedule_rows[0]) if schedule_rows else None, parse_rules(_get_first(rules_rows))


def list_bookable_elsewhere(tx: Tx, tenant_id: int, schedule: Schedule, today: date) -> list[tuple[Schedule, str]]:
    """Return other schedules of a department that patients can book, and their doctors' names ("" for a clinic).

    Those of the same doctor come first, then the next days; at most MAX_ELSEWHERE.
    """
    rows = tx.fetch_all(
        f"""
        SELECT {SCHEDULE_COLUMNS},
               COALESCE((SELECT s.name FROM staff s WHERE s.user_id = x.doctor_id), '') AS doctor_name
        FROM {BOOKABLE_SCHEDULES} AND x.schedule_id <> %(schedule_id)s
        ORDER BY x.doctor_id <=> %(doctor_id)s DESC, x.day, x.half_day, x.schedule_id LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        schedule_id=schedule.schedule_id,
        dept_id=schedule.dept_id,
        doctor_id=schedule.doctor_id,
        first=today,
        last=date.max,
        today=today,
        days_ahead=Rules().days_ahead,
        doctor_role=Role.DOCTOR,
        limit=MAX_ELSEWHERE,
    )
    return [(parse_schedule(row), row["doctor_name"]) for row in rows]


def get_names(tx: Tx, tenant_id: int, dept_id: int, doctor_id: int | None) -> tuple[str, str]:
    """Return the names of a department and of a doctor; "" for one that does not exist."""
    department_rows, staff_rows = tx.execute_packet(
        f"{SELECT_DEPARTMENT}; SELECT name FROM staff WHERE user_id = %(doctor_id)s AND tenant_id = %(tenant_id)s",
        tenant_id=tenant_id,
        dept_id=dept_id,
        doctor_id=doctor_id,
    )
    return department_rows[0]["name"] if department_rows else "", staff_rows[0]["name"] if staff_rows else ""


def get_reserved_slots(tx: Tx, tenant_id: int, schedule_ids: Iterable[int]) -> dict[int, frozenset[int]]:
    """Return the serial numbers of the reserved slots of each schedule, by schedule_id."""
    reserved: dict[int, set[int]] = {schedule_id: set() for schedule_id in schedule_ids}
    for row in tx.fetch_all(
        """
        SELECT schedule_id, serial_no FROM bookings
        WHERE schedule_id IN %(schedule_ids)s AND live = 1 AND tenant_id = %(tenant_id)s
        """,
        schedule_ids=[0, *reserved],  # 0: IN () is a syntax error
        tenant_id=tenant_id,
    ):
        reserved[row["schedule_id"]].add(row["serial_no"])
    return {schedule_id: frozenset(serial_nos) for schedule_id, serial_nos in reserved.items()}


def _parse_doctor(row: Row) -> CalendarDoctor:
    return CalendarDoctor(row["user_id"], row["name"], doctors.build_profile(row))


def _get_first(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None
