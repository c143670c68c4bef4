"""What jobs look for among bookings, in MySQL. Nothing is decided here."""

from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


def list_unpaid_overdue(tx: Tx, now: int, limit: int) -> list[Row]:
    """Return tenant_id and book_id of bookings of all tenants that were to be paid by now and are not."""
    return tx.fetch_all(
        """
        SELECT tenant_id, book_id FROM bookings WHERE status = 0 AND payment_state = 1 AND pay_by <= %(now)s
        ORDER BY pay_by LIMIT %(limit)s
        """,
        now=now,
        limit=limit,
    )


def list_unattended(tx: Tx, today: date, limit: int) -> list[Row]:
    """Return bookings of all tenants that nobody came for, and whose day is over; stopped_by where that was stopped."""
    return tx.fetch_all(
        """
        SELECT b.book_id, b.tenant_id, b.user_id, x.stopped_by
        FROM bookings b JOIN schedules x ON x.schedule_id = b.schedule_id
        WHERE b.status = 0 AND b.day < %(today)s ORDER BY b.day, b.book_id LIMIT %(limit)s
        """,
        today=today,
        limit=limit,
    )


def mark_missed(tx: Tx, book_id: int) -> bool:
    """False where it waits no more."""
    changed = tx.execute(
        "UPDATE bookings SET status = 3, changed_at = %(now)s WHERE book_id = %(book_id)s AND status = 0",
        book_id=book_id,
        now=clock.now(),
    )
    return changed == 1


def list_unreminded(tx: Tx, day: date, limit: int) -> list[Row]:
    """Return bookings of all tenants for a day whose holder has not been reminded."""
    return tx.fetch_all(
        """
        SELECT book_id, tenant_id, user_id FROM bookings
        WHERE status = 0 AND day = %(day)s AND reminded_at IS NULL ORDER BY book_id LIMIT %(limit)s
        """,
        day=day,
        limit=limit,
    )


def mark_reminded(tx: Tx, book_id: int) -> bool:
    """False where it waits no more, or somebody else reminds."""
    changed = tx.execute(
        """
        UPDATE bookings SET reminded_at = %(now)s
        WHERE book_id = %(book_id)s AND status = 0 AND reminded_at IS NULL
        """,
        book_id=book_id,
        now=clock.now(),
    )
    return changed == 1
