"""SQL of closures: days on which a doctor, or the whole hospital, sees no patients."""

from dataclasses import dataclass
from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """A closure that was not withdrawn."""

    closure_id: int
    doctor_id: int | None  # None: the whole hospital
    doctor_name: str  # "" for the whole hospital
    from_day: date
    to_day: date
    reason: str


_SELECT = """
    SELECT c.closure_id, c.doctor_id, c.from_day, c.to_day, c.reason,
           COALESCE((SELECT s.name FROM staff s WHERE s.user_id = c.doctor_id), '') AS doctor_name
    FROM closures c WHERE c.tenant_id = %(tenant_id)s AND c.ended_at IS NULL
"""


def lock_tenant(tx: Tx, tenant_id: int, is_shared: bool) -> None:
    """Lock the hospital until the commit: shared by those who create schedules, exclusively by one who closes days."""
    lock = "LOCK IN SHARE MODE" if is_shared else "FOR UPDATE"
    tx.fetch_one(f"SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s {lock}", tenant_id=tenant_id)


def list_coming(tx: Tx, tenant_id: int) -> list[Closure]:
    """Return the closures that are not over, by day."""
    rows = tx.fetch_all(
        f"{_SELECT} AND c.to_day >= %(today)s ORDER BY c.from_day, c.closure_id",
        tenant_id=tenant_id,
        today=clock.today(),
    )
    return [_parse(row) for row in rows]


def list_of_hospital(tx: Tx, tenant_id: int, days: tuple[date, date]) -> list[Closure]:
    """Return the closures of the whole hospital that include one of the days between two, inclusive."""
    rows = tx.fetch_all(
        f"{_SELECT} AND c.doctor_id IS NULL AND c.to_day >= %(first)s AND c.from_day <= %(last)s ORDER BY c.from_day",
        tenant_id=tenant_id,
        first=days[0],
        last=days[1],
    )
    return [_parse(row) for row in rows]


def is_closed(closures: list[Closure], doctor_id: int | None, day: date) -> bool:
    """Return whether a doctor, or a general clinic (None), sees no patients on a day."""
    return any(one.from_day <= day <= one.to_day and one.doctor_id in (None, doctor_id) for one in closures)


def find_equal(tx: Tx, tenant_id: int, doctor_id: int | None, days: tuple[date, date]) -> int | None:
    """Return the closure of the same doctor and days, or None. Lock the hospital before."""
    closure_id: int | None = tx.fetch_value(
        """
        SELECT closure_id FROM closures
        WHERE tenant_id = %(tenant_id)s AND doctor_id <=> %(doctor_id)s AND from_day = %(first)s
          AND to_day = %(last)s AND ended_at IS NULL LIMIT 1
        """,
        tenant_id=tenant_id,
        doctor_id=doctor_id,
        first=days[0],
        last=days[1],
    )
    return closure_id


def insert(tx: Tx, tenant_id: int, doctor_id: int | None, days: tuple[date, date], reason: str, user_id: int) -> int:
    """Insert a closure and return its closure_id."""
    return tx.insert(
        """
        INSERT INTO closures (tenant_id, doctor_id, from_day, to_day, reason, created_by, created_at)
        VALUES (%(tenant_id)s, %(doctor_id)s, %(first)s, %(last)s, %(reason)s, %(user_id)s, %(now)s)
        """,
        tenant_id=tenant_id,
        doctor_id=doctor_id,
        first=days[0],
        last=days[1],
        reason=reason,
        user_id=user_id,
        now=clock.now(),
    )


def find_doctor(tx: Tx, tenant_id: int, closure_id: int) -> tuple[int | None] | None:
    """Return the doctor of a closure, also of a withdrawn one, in a tuple; None if the tenant has no such closure."""
    row = tx.fetch_one(
        "SELECT doctor_id FROM closures WHERE closure_id = %(closure_id)s AND tenant_id = %(tenant_id)s",
        closure_id=closure_id,
        tenant_id=tenant_id,
    )
    return (row["doctor_id"],) if row else None


def end(tx: Tx, tenant_id: int, closure_id: int) -> None:
    """Withdraw a closure. A withdrawn one stays withdrawn."""
    tx.execute(
        """
        UPDATE closures SET ended_at = %(now)s
        WHERE closure_id = %(closure_id)s AND tenant_id = %(tenant_id)s AND ended_at IS NULL
        """,
        closure_id=closure_id,
        tenant_id=tenant_id,
        now=clock.now(),
    )


def _parse(row: Row) -> Closure:
    return Closure(**row)
