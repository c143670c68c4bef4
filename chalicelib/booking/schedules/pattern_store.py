"""Weekly patterns in MySQL. Nothing is decided here."""

from datetime import date
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.schedules.schedule_store import NAME_COLUMNS

PATTERN_COLUMNS = """
    pattern_id, tenant_id, dept_id, doctor_id, clinic_id, weekday, half_day, type, fee, area, begins, ends, slots,
    created_by
"""


def insert(tx: Tx, tenant_id: int, fields: dict[str, Any], user_id: int) -> int:
    """Return the new pattern_id. Raises mysql.DuplicateKeyError where that half-day of the week has a pattern."""
    return tx.insert(
        """
        INSERT INTO schedule_patterns (tenant_id, dept_id, doctor_id, clinic_id, weekday, half_day, type, fee, area,
                                       begins, ends, slots, created_by, created_at)
        VALUES (%(tenant_id)s, %(dept_id)s, %(doctor_id)s, %(clinic_id)s, %(weekday)s, %(half_day)s, %(type)s, %(fee)s,
                %(area)s, %(begins)s, %(ends)s, %(slots)s, %(user_id)s, %(now)s)
        """,
        **fields,
        tenant_id=tenant_id,
        user_id=user_id,
        now=clock.now(),
    )


def list_page(
    tx: Tx, tenant_id: int, dept_id: int | None, doctor_id: int | None, limits: tuple[int, int]
) -> tuple[int, list[Row]]:
    """Return how many living patterns a tenant has, and one page (skipped, taken) in the order of the week."""
    rows = f"""
        schedule_patterns x WHERE x.tenant_id = %(tenant_id)s AND x.live = 1
          {"AND x.dept_id = %(dept_id)s" if dept_id else ""} {"AND x.doctor_id = %(doctor_id)s" if doctor_id else ""}
    """
    [total], found = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n FROM {rows};
        SELECT {PATTERN_COLUMNS}, {NAME_COLUMNS} FROM {rows}
        ORDER BY x.weekday, x.half_day, x.dept_id, x.doctor_id, x.pattern_id LIMIT %(skipped)s, %(taken)s
        """,
        tenant_id=tenant_id,
        dept_id=dept_id,
        doctor_id=doctor_id,
        skipped=limits[0],
        taken=limits[1],
    )
    return total["n"], found


def list_all(tx: Tx) -> list[Row]:
    """Return tenant_id and pattern_id of all tenants' living patterns."""
    return tx.fetch_all("SELECT tenant_id, pattern_id FROM schedule_patterns WHERE live = 1 ORDER BY pattern_id")


def find_for_share(tx: Tx, tenant_id: int, pattern_id: int) -> Row | None:
    """Return a living pattern, kept from being ended before the commit."""
    return tx.fetch_one(
        f"""
        SELECT {PATTERN_COLUMNS} FROM schedule_patterns
        WHERE pattern_id = %(pattern_id)s AND tenant_id = %(tenant_id)s AND live = 1 LOCK IN SHARE MODE
        """,
        pattern_id=pattern_id,
        tenant_id=tenant_id,
    )


def list_days_to_skip(tx: Tx, pattern_id: int, today: date) -> set[date]:
    """Return the days that a pattern leaves alone: those it has made a schedule for, and the coming ones whose half-day
    was stopped, whoever had made it, since the pattern is there. What is not stopped is kept so until the commit."""
    half_days = """
        schedule_patterns p JOIN schedules x
            ON x.tenant_id = p.tenant_id AND x.doctor_id <=> p.doctor_id AND x.clinic_id <=> p.clinic_id
            AND x.half_day = p.half_day AND x.day >= %(today)s
        WHERE p.pattern_id = %(pattern_id)s
    """
    _, rows = tx.execute_packet(
        f"""
        SELECT x.schedule_id FROM {half_days} AND x.live = 1 LOCK IN SHARE MODE;
        SELECT day FROM schedules WHERE pattern_id = %(pattern_id)s
        UNION SELECT x.day FROM {half_days} AND x.stopped_at >= p.created_at
        """,
        pattern_id=pattern_id,
        today=today,
    )
    return {row["day"] for row in rows}


def end(tx: Tx, tenant_id: int, pattern_id: int) -> bool:
    """False where the tenant has no such pattern; one that has ended stays so."""
    return bool(
        tx.execute(
            """
            UPDATE schedule_patterns SET live = NULL
            WHERE pattern_id = %(pattern_id)s AND tenant_id = %(tenant_id)s
            """,
            pattern_id=pattern_id,
            tenant_id=tenant_id,
        )
    )
