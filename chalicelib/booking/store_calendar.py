"""What patients are shown of schedules, in MySQL. Nothing is decided here.

Shown are schedules that are not stopped, of general clinics and of doctors who work.
"""

from collections.abc import Iterable
from datetime import date

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.store_schedules import COLUMNS

WORKING = "s.user_id = x.doctor_id AND s.role = 'doctor' AND s.disabled_at IS NULL"
OFFERED = f"""
    schedules x LEFT JOIN staff s ON {WORKING}
    WHERE x.tenant_id = %(tenant_id)s AND x.dept_id = %(dept_id)s AND x.day BETWEEN %(first)s AND %(last)s
      AND x.live = 1 AND (x.doctor_id IS NULL OR s.user_id IS NOT NULL)
"""


def departments_name(tx: Tx, tenant_id: int, dept_id: int) -> str | None:
    name: str | None = tx.value(
        "SELECT name FROM departments WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s",
        dept_id=dept_id,
        tenant_id=tenant_id,
    )
    return name


def of_department(tx: Tx, tenant_id: int, dept_id: int, first: date, last: date) -> list[Row]:
    """Return the schedules between two days, by day and half."""
    return tx.all(
        f"SELECT {COLUMNS} FROM {OFFERED} ORDER BY x.day, x.half, x.schedule_id",
        tenant_id=tenant_id,
        dept_id=dept_id,
        first=first,
        last=last,
    )


def of_doctor(tx: Tx, tenant_id: int, dept_id: int, doctor_id: int | None, first: date, last: date) -> list[Row]:
    """Return those of one doctor, or of the general clinic."""
    return tx.all(
        f"SELECT {COLUMNS} FROM {OFFERED} AND x.doctor_id <=> %(doctor_id)s ORDER BY x.day, x.half, x.schedule_id",
        tenant_id=tenant_id,
        dept_id=dept_id,
        doctor_id=doctor_id,
        first=first,
        last=last,
    )


def cards(tx: Tx, tenant_id: int, doctor_ids: Iterable[int]) -> dict[int, Row]:
    """Return the names and profiles of working doctors, by user_id, in the tenant's order."""
    rows = tx.all(
        """
        SELECT s.user_id, s.name, p.dept_id, p.duty_code, p.title, p.photo_key, p.expert, p.introduction, p.sort
        FROM doctors p JOIN staff s ON s.user_id = p.user_id AND s.role = 'doctor' AND s.disabled_at IS NULL
        WHERE p.tenant_id = %(tenant_id)s AND p.user_id IN %(doctor_ids)s ORDER BY p.sort, p.user_id
        """,
        tenant_id=tenant_id,
        doctor_ids=[0, *doctor_ids],
    )
    return {row["user_id"]: row for row in rows}


def taken(tx: Tx, tenant_id: int, schedule_ids: Iterable[int]) -> dict[int, frozenset[int]]:
    """Return the sold slots of each schedule."""
    found: dict[int, set[int]] = {one: set() for one in schedule_ids}
    for row in tx.all(
        """
        SELECT schedule_id, serial_no FROM bookings
        WHERE schedule_id IN %(schedule_ids)s AND live = 1 AND tenant_id = %(tenant_id)s
        """,
        schedule_ids=[0, *found],
        tenant_id=tenant_id,
    ):
        found[row["schedule_id"]].add(row["serial_no"])
    return {one: frozenset(serial_nos) for one, serial_nos in found.items()}
