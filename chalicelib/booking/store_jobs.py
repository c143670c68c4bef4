"""What jobs look for among bookings, in MySQL. Nothing is decided here."""

from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


def booked(tx: Tx, tenant_id: int, schedule_id: int, limit: int) -> list[int]:
    """Return bookings of a schedule that wait for their day."""
    rows = tx.all(
        """
        SELECT book_id FROM bookings
        WHERE schedule_id = %(schedule_id)s AND live = 1 AND status = 0 AND tenant_id = %(tenant_id)s
        ORDER BY serial_no LIMIT %(limit)s
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        limit=limit,
    )
    return [row["book_id"] for row in rows]


def who_demand_payment(tx: Tx) -> list[Row]:
    """Return tenant_id and pay_minutes of the tenants that release what is not paid in time."""
    return tx.all("SELECT tenant_id, pay_minutes FROM booking_rules WHERE pay_minutes > 0 ORDER BY tenant_id")


def unpaid(tx: Tx, tenant_id: int, before: int, limit: int) -> list[int]:
    """Return bookings that cost something, were made before that and are not paid."""
    rows = tx.all(
        """
        SELECT book_id FROM bookings
        WHERE tenant_id = %(tenant_id)s AND status = 0 AND charge = 1 AND created_at <= %(before)s AND fee > 0
        ORDER BY created_at LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        before=before,
        limit=limit,
    )
    return [row["book_id"] for row in rows]


def over(tx: Tx, today: date, limit: int) -> list[Row]:
    """Return bookings of all tenants that nobody came for, and whose day is over."""
    return tx.all(
        """
        SELECT book_id, tenant_id, user_id FROM bookings WHERE status = 0 AND day < %(today)s
        ORDER BY day, book_id LIMIT %(limit)s
        """,
        today=today,
        limit=limit,
    )


def miss(tx: Tx, book_id: int) -> bool:
    """False where it waits no more."""
    changed = tx.run(
        "UPDATE bookings SET status = 3, changed_at = %(now)s WHERE book_id = %(book_id)s AND status = 0",
        book_id=book_id,
        now=clock.now(),
    )
    return changed == 1


def to_remind(tx: Tx, day: date, limit: int) -> list[Row]:
    """Return bookings of all tenants for a day whose holder has not been reminded."""
    return tx.all(
        """
        SELECT book_id, tenant_id, user_id FROM bookings
        WHERE status = 0 AND day = %(day)s AND reminded_at IS NULL ORDER BY book_id LIMIT %(limit)s
        """,
        day=day,
        limit=limit,
    )


def remind(tx: Tx, book_id: int) -> bool:
    """False where it waits no more, or somebody else reminds."""
    changed = tx.run(
        """
        UPDATE bookings SET reminded_at = %(now)s
        WHERE book_id = %(book_id)s AND status = 0 AND reminded_at IS NULL
        """,
        book_id=book_id,
        now=clock.now(),
    )
    return changed == 1
