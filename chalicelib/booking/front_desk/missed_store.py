"""SQL of missed visits, as they count against a verified patient or against an account."""

from dataclasses import dataclass
from datetime import timedelta

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import BookingOrigin, BookingStatus
from chalicelib.booking.reservations import limits
from chalicelib.booking.schedules import rules


@dataclass(frozen=True, slots=True)
class MissedVisits:
    """The missed visits that count."""

    missed: int
    cleared_at: int | None  # visits missed before do not count; None: never cleared


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom visits count against: one of the two is set."""

    pati_id: int | None
    user_id: int | None

    @property
    def table_and_key(self) -> tuple[str, str]:
        """Return the table that has the column missed_cleared_at, and its key column."""
        return ("patients", "pati_id") if self.pati_id else ("accounts", "user_id")


def find(tx: Tx, tenant_id: int, subject: Subject, for_update: bool = False) -> MissedVisits | None:
    """Return the missed visits, None if the tenant has no such patient or account.

    Args:
        for_update: lock its row until the commit; a booking waits for that.
    """
    table, key = subject.table_and_key
    row = tx.fetch_one(
        f"""
        SELECT missed_cleared_at FROM {table} WHERE {key} = %({key})s AND tenant_id = %(tenant_id)s
        {"FOR UPDATE" if for_update else ""}
        """,
        tenant_id=tenant_id,
        pati_id=subject.pati_id,
        user_id=subject.user_id,
    )
    return MissedVisits(_count(tx, tenant_id, subject), row["missed_cleared_at"]) if row else None


def clear(tx: Tx, tenant_id: int, subject: Subject) -> None:
    """Let visits missed until now not count."""
    table, key = subject.table_and_key
    tx.execute(
        f"UPDATE {table} SET missed_cleared_at = %(now)s WHERE {key} = %({key})s AND tenant_id = %(tenant_id)s",
        tenant_id=tenant_id,
        pati_id=subject.pati_id,
        user_id=subject.user_id,
        now=clock.now(),
    )


def _count(tx: Tx, tenant_id: int, subject: Subject) -> int:
    [row] = tx.fetch_all(
        limits.build_count_sql(is_declared=subject.pati_id is None),
        tenant_id=tenant_id,
        pati_id=subject.pati_id,
        user_id=subject.user_id,
        midnight=clock.now(),
        missed_since=clock.today() - timedelta(rules.MISSED_WINDOW_DAYS),
        missed=BookingStatus.MISSED,
        booked=BookingStatus.BOOKED,
        counted_origin=BookingOrigin.PATIENT,
    )
    return int(row["missed"])
