"""Schedules in MySQL, as staff keep them. Nothing is decided here."""

from datetime import date
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx

# A doctor who has left, or is none any more, sees nobody; a general clinic is open.
DOCTOR_ACTIVE_CONDITION = """
    (x.doctor_id IS NULL OR EXISTS (
        SELECT 1 FROM staff s WHERE s.user_id = x.doctor_id AND s.role = 'doctor' AND s.disabled_at IS NULL))
"""
SCHEDULE_COLUMNS = f"""
    x.schedule_id, x.dept_id, x.doctor_id, x.day, x.half_day, x.type, x.fee, x.area, x.begins, x.ends, x.slots,
    x.stopped_at, {DOCTOR_ACTIVE_CONDITION} AS doctor_active
"""
SELECT_SCHEDULE = (
    f"SELECT {SCHEDULE_COLUMNS} FROM schedules x WHERE x.schedule_id = %(schedule_id)s AND x.tenant_id = %(tenant_id)s"
)


def insert(tx: Tx, tenant_id: int, fields: dict[str, Any], user_id: int) -> int:
    """Return the new schedule_id. Raises mysql.DuplicateKeyError where that half-day has a schedule."""
    return tx.insert(
        """
        INSERT INTO schedules (tenant_id, dept_id, doctor_id, clinic_id, day, half_day, type, fee, area, begins, ends,
                               slots, created_by, created_at)
        VALUES (%(tenant_id)s, %(dept_id)s, %(doctor_id)s, %(clinic_id)s, %(day)s, %(half_day)s, %(type)s, %(fee)s,
                %(area)s, %(begins)s, %(ends)s, %(slots)s, %(user_id)s, %(now)s)
        """,
        **fields,
        tenant_id=tenant_id,
        user_id=user_id,
        now=clock.now(),
    )


def insert_from_pattern(tx: Tx, pattern: Row, day: date) -> bool:
    """Make a pattern's schedule for a day; False where it was made before, or the half-day has another."""
    made = tx.execute(
        """
        INSERT IGNORE INTO schedules (tenant_id, dept_id, doctor_id, clinic_id, day, half_day, type, fee, area, begins,
                                      ends, slots, pattern_id, created_by, created_at)
        VALUES (%(tenant_id)s, %(dept_id)s, %(doctor_id)s, %(clinic_id)s, %(day)s, %(half_day)s, %(type)s, %(fee)s,
                %(area)s, %(begins)s, %(ends)s, %(slots)s, %(pattern_id)s, %(created_by)s, %(now)s)
        """,
        **{name: pattern[name] for name in COPIED_PATTERN_COLUMNS},
        day=day,
        now=clock.now(),
    )
    return made == 1


COPIED_PATTERN_COLUMNS = (
    *("tenant_id", "dept_id", "doctor_id", "clinic_id", "half_day", "type", "fee", "area", "begins", "ends", "slots"),
    *("pattern_id", "created_by"),
)


def find(tx: Tx, tenant_id: int, schedule_id: int, lock: str = "") -> Row | None:
    """Return a schedule, also a stopped one. lock: FOR UPDATE keeps others from selling its slots until the commit,
    LOCK IN SHARE MODE keeps them from stopping or changing it."""
    return tx.fetch_one(f"{SELECT_SCHEDULE} {lock}", schedule_id=schedule_id, tenant_id=tenant_id)


def count_booked(tx: Tx, schedule_id: int) -> int:
    """Return how many slots are sold."""
    count: int = tx.fetch_value(
        "SELECT COUNT(*) FROM bookings WHERE schedule_id = %(schedule_id)s AND live = 1", schedule_id=schedule_id
    )
    return count


def update(tx: Tx, tenant_id: int, schedule_id: int, fields: dict[str, Any]) -> None:
    """Raises mysql.DuplicateKeyError where another schedule has that half-day."""
    tx.execute(
        """
        UPDATE schedules
        SET dept_id = %(dept_id)s, doctor_id = %(doctor_id)s, clinic_id = %(clinic_id)s, half_day = %(half_day)s,
            type = %(type)s, fee = %(fee)s, area = %(area)s, begins = %(begins)s, ends = %(ends)s, slots = %(slots)s
        WHERE schedule_id = %(schedule_id)s AND tenant_id = %(tenant_id)s
        """,
        **fields,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
    )


def stop(tx: Tx, tenant_id: int, schedule_id: int, user_id: int) -> None:
    """One that is stopped stays as it is."""
    tx.execute(
        """
        UPDATE schedules SET live = NULL, stopped_at = %(now)s, stopped_by = %(user_id)s
        WHERE schedule_id = %(schedule_id)s AND tenant_id = %(tenant_id)s AND stopped_at IS NULL
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        user_id=user_id,
        now=clock.now(),
    )


NAME_COLUMNS = """
    (SELECT d.name FROM departments d WHERE d.dept_id = x.dept_id) AS dept_name,
    COALESCE((SELECT s.name FROM staff s WHERE s.user_id = x.doctor_id), '') AS doctor_name
"""


def list_page(
    tx: Tx, tenant_id: int, dept_id: int | None, doctor_id: int | None, days: tuple[date, date], limits: tuple[int, int]
) -> tuple[int, list[Row]]:
    """Return how many schedules there are between two days, and one page (skipped, taken), the stopped among them."""
    rows = f"""
        schedules x WHERE x.tenant_id = %(tenant_id)s AND x.day BETWEEN %(first)s AND %(last)s
          {"AND x.dept_id = %(dept_id)s" if dept_id else ""} {"AND x.doctor_id = %(doctor_id)s" if doctor_id else ""}
    """
    [total], found = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n FROM {rows};
        SELECT {SCHEDULE_COLUMNS}, {NAME_COLUMNS},
               (SELECT COUNT(*) FROM bookings b WHERE b.schedule_id = x.schedule_id AND b.live = 1) AS booked
        FROM {rows} ORDER BY x.day, x.half_day, x.dept_id, x.doctor_id, x.schedule_id LIMIT %(skipped)s, %(taken)s
        """,
        tenant_id=tenant_id,
        dept_id=dept_id,
        doctor_id=doctor_id,
        first=days[0],
        last=days[1],
        skipped=limits[0],
        taken=limits[1],
    )
    return total["n"], found
