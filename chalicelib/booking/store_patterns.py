"""Weekly patterns in MySQL. Nothing is decided here."""

from datetime import date
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx

COLUMNS = """
    pattern_id, tenant_id, dept_id, doctor_id, clinic_id, weekday, half, type, fee, area, begins, ends, slots,
    created_by
"""


def insert(tx: Tx, tenant_id: int, fields: dict[str, Any], user_id: int) -> int:
    """Return the new pattern_id. Raises mysql.Duplicate where that half-day of the week has a pattern."""
    return tx.insert(
        """
        INSERT INTO schedule_patterns (tenant_id, dept_id, doctor_id, clinic_id, weekday, half, type, fee, area, begins,
                                       ends, slots, created_by, created_at)
        VALUES (%(tenant_id)s, %(dept_id)s, %(doctor_id)s, %(clinic_id)s, %(weekday)s, %(half)s, %(type)s, %(fee)s,
                %(area)s, %(begins)s, %(ends)s, %(slots)s, %(user_id)s, %(now)s)
        """,
        **fields,
        tenant_id=tenant_id,
        user_id=user_id,
        now=clock.now(),
    )


def listed(tx: Tx, tenant_id: int) -> list[Row]:
    """Return a tenant's living patterns, in the order of the week."""
    return tx.all(
        f"""
        SELECT {COLUMNS} FROM schedule_patterns
        WHERE tenant_id = %(tenant_id)s AND live = 1 ORDER BY weekday, half, dept_id, doctor_id, pattern_id
        """,
        tenant_id=tenant_id,
    )


def every(tx: Tx) -> list[Row]:
    """Return tenant_id and pattern_id of all tenants' living patterns."""
    return tx.all("SELECT tenant_id, pattern_id FROM schedule_patterns WHERE live = 1 ORDER BY pattern_id")


def find(tx: Tx, tenant_id: int, pattern_id: int) -> Row | None:
    """Return a living pattern, kept from being ended before the commit."""
    return tx.one(
        f"""
        SELECT {COLUMNS} FROM schedule_patterns
        WHERE pattern_id = %(pattern_id)s AND tenant_id = %(tenant_id)s AND live = 1 LOCK IN SHARE MODE
        """,
        pattern_id=pattern_id,
        tenant_id=tenant_id,
    )


def made(tx: Tx, pattern_id: int) -> set[date]:
    """Return the days that a pattern has made schedules for."""
    rows = tx.all("SELECT day FROM schedules WHERE pattern_id = %(pattern_id)s", pattern_id=pattern_id)
    return {row["day"] for row in rows}


def end(tx: Tx, tenant_id: int, pattern_id: int) -> bool:
    """False where the tenant has no such pattern; one that has ended stays so."""
    return bool(
        tx.run(
            """
            UPDATE schedule_patterns SET live = NULL
            WHERE pattern_id = %(pattern_id)s AND tenant_id = %(tenant_id)s
            """,
            pattern_id=pattern_id,
            tenant_id=tenant_id,
        )
    )
