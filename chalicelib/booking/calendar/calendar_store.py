"""What patients are shown of schedules, in MySQL. Nothing is decided here.

Shown are schedules that are not stopped, of general clinics and of doctors who work.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.schedules.rule_store import SELECT_RULES
from chalicelib.booking.schedules.schedule_store import DOCTOR_ACTIVE_CONDITION, SCHEDULE_COLUMNS, SELECT_SCHEDULE
from chalicelib.people import departments
from chalicelib.people.departments import Department

SELECT_DEPARTMENT = """
    SELECT dept_id, name, sort, introduction, photo_key FROM departments
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
    FROM doctors p JOIN staff s ON s.user_id = p.user_id AND s.role = 'doctor' AND s.disabled_at IS NULL
    WHERE p.tenant_id = %(tenant_id)s AND p.user_id
"""


@dataclass(frozen=True, slots=True)
class CalendarRows:
    """What a department offers between two days, as far as it can be booked."""

    department: Department | None  # None where the tenant has none of that number
    rules: Row | None
    schedules: list[Row]  # by day and half_day
    doctor_rows: dict[int, Row]  # names and profiles of working doctors, by user_id, in the tenant's order


def load_for_doctor(
    tx: Tx, tenant_id: int, dept_id: int, days: tuple[date, date], known: tuple[date, int], doctor_id: int | None
) -> CalendarRows:
    """Return what one doctor offers, or the general clinic (None). known: today, and how many days after it can be
    booked in a hospital without rules."""
    schedules = f"""
        SELECT {SCHEDULE_COLUMNS} FROM {BOOKABLE_SCHEDULES} AND x.doctor_id <=> %(doctor_id)s
        ORDER BY x.day, x.half_day
    """
    return _load(tx, f"{SELECT_DOCTORS} = %(doctor_id)s", schedules, tenant_id, dept_id, days, known, doctor_id)


def load_for_department(
    tx: Tx, tenant_id: int, dept_id: int, days: tuple[date, date], known: tuple[date, int]
) -> CalendarRows:
    """Return the same of all the department's doctors and its general clinic."""
    cards = f"{SELECT_DOCTORS} IN (SELECT x.doctor_id FROM {BOOKABLE_SCHEDULES}) ORDER BY p.sort, p.user_id"
    schedules = f"SELECT {SCHEDULE_COLUMNS} FROM {BOOKABLE_SCHEDULES} ORDER BY x.day, x.half_day, x.schedule_id"
    return _load(tx, cards, schedules, tenant_id, dept_id, days, known)


def _load(
    tx: Tx,
    cards: str,
    schedules: str,
    tenant_id: int,
    dept_id: int,
    days: tuple[date, date],
    known: tuple[date, int],
    doctor_id: int | None = None,
) -> CalendarRows:
    dept, rules, found, rows = tx.execute_packet(
        f"{SELECT_DEPARTMENT};{SELECT_RULES};{cards};{schedules}",
        tenant_id=tenant_id,
        dept_id=dept_id,
        first=days[0],
        last=days[1],
        today=known[0],
        days_ahead=known[1],
        doctor_id=doctor_id,
    )
    by_id = {row["user_id"]: row for row in found}
    whose = {None, *by_id}  # a doctor may have come after the cards were read
    kept = [row for row in rows if row["doctor_id"] in whose]
    return CalendarRows(
        departments.build_department(dept[0]) if dept else None, rules[0] if rules else None, kept, by_id
    )


def find_schedule_and_rules(tx: Tx, tenant_id: int, schedule_id: int) -> tuple[Row | None, Row | None]:
    """Return a schedule, also a stopped one, and the rules."""
    schedules, rules = tx.execute_packet(
        f"{SELECT_SCHEDULE};{SELECT_RULES}", tenant_id=tenant_id, schedule_id=schedule_id
    )
    return schedules[0] if schedules else None, rules[0] if rules else None


def get_names(tx: Tx, tenant_id: int, dept_id: int, doctor_id: int | None) -> tuple[str, str]:
    """Return what a department and a doctor are called, "" for none."""
    found, staff = tx.execute_packet(
        f"{SELECT_DEPARTMENT}; SELECT name FROM staff WHERE user_id = %(doctor_id)s AND tenant_id = %(tenant_id)s",
        tenant_id=tenant_id,
        dept_id=dept_id,
        doctor_id=doctor_id,
    )
    return found[0]["name"] if found else "", staff[0]["name"] if staff else ""


def get_reserved_slots(tx: Tx, tenant_id: int, schedule_ids: Iterable[int]) -> dict[int, frozenset[int]]:
    """Return the sold slots of each schedule."""
    found: dict[int, set[int]] = {one: set() for one in schedule_ids}
    for row in tx.fetch_all(
        """
        SELECT schedule_id, serial_no FROM bookings
        WHERE schedule_id IN %(schedule_ids)s AND live = 1 AND tenant_id = %(tenant_id)s
        """,
        schedule_ids=[0, *found],
        tenant_id=tenant_id,
    ):
        found[row["schedule_id"]].add(row["serial_no"])
    return {one: frozenset(serial_nos) for one, serial_nos in found.items()}
