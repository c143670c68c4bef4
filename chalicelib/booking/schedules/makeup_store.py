"""SQL of make-up days (调休): days of a weekend on which the hospital works, as on a weekday of the admin's choice."""

from dataclasses import dataclass
from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeupDay:
    """A make-up day that was not withdrawn."""

    makeup_id: int
    day: date
    weekday: int  # whose patterns it follows: 1 Monday to 7 Sunday


def list_between(tx: Tx, tenant_id: int, days: tuple[date, date]) -> list[MakeupDay]:
    """Return the make-up days between two days, inclusive."""
    rows = tx.fetch_all(
        """
        SELECT makeup_id, day, weekday FROM makeup_days
        WHERE tenant_id = %(tenant_id)s AND live = 1 AND day BETWEEN %(first)s AND %(last)s ORDER BY day
        """,
        tenant_id=tenant_id,
        first=days[0],
        last=days[1],
    )
    return [MakeupDay(**row) for row in rows]


def insert(tx: Tx, tenant_id: int, day: date, weekday: int, user_id: int) -> int:
    """Insert a make-up day and return its makeup_id.

    Raises:
        mysql.DuplicateKeyError: the day is one already.
    """
    return tx.insert(
        """
        INSERT INTO makeup_days (tenant_id, day, weekday, created_by, created_at)
        VALUES (%(tenant_id)s, %(day)s, %(weekday)s, %(user_id)s, %(now)s)
        """,
        tenant_id=tenant_id,
        day=day,
        weekday=weekday,
        user_id=user_id,
        now=clock.now(),
    )


def end(tx: Tx, tenant_id: int, makeup_id: int) -> bool:
    """Withdraw a make-up day; return False if the tenant has no such one. A withdrawn one stays withdrawn."""
    matched = tx.execute(
        """
        UPDATE makeup_days SET live = NULL, ended_at = COALESCE(ended_at, %(now)s)
        WHERE makeup_id = %(makeup_id)s AND tenant_id = %(tenant_id)s
        """,
        makeup_id=makeup_id,
        tenant_id=tenant_id,
        now=clock.now(),
    )
    return matched == 1
