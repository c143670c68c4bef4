"""SQL of the scheduled booking jobs. They work on the bookings of all tenants."""

from dataclasses import dataclass
from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import BookingStatus, PaymentState


@dataclass(frozen=True, slots=True, kw_only=True)
class DueBooking:
    """A booking that a scheduled job has to process."""

    tenant_id: int
    book_id: int
    user_id: int | None  # None: the patient has no account
    changes: int = 0  # list_unreminded only: how often it was rescheduled
    stopped_by: int | None = None  # list_unattended only: the user_id that stopped its schedule


def list_unpaid_overdue(tx: Tx, now: int, limit: int) -> list[DueBooking]:
    """Return unpaid bookings whose payment deadline has passed."""
    rows = tx.fetch_all(
        """
        SELECT tenant_id, book_id, user_id FROM bookings
        WHERE status = %(booked)s AND payment_state = %(unpaid)s AND pay_by <= %(now)s
        ORDER BY pay_by LIMIT %(limit)s
        """,
        booked=BookingStatus.BOOKED,
        unpaid=PaymentState.UNPAID,
        now=now,
        limit=limit,
    )
    return [DueBooking(**row) for row in rows]


def list_unconfirmed_overdue(tx: Tx, now: int, limit: int) -> list[DueBooking]:
    """Return unpaid bookings that the waitlist gave and that were not confirmed in time."""
    rows = tx.fetch_all(
        """
        SELECT tenant_id, book_id, user_id FROM bookings
        WHERE status = %(booked)s AND confirm_by <= %(now)s AND payment_state = %(unpaid)s
        ORDER BY confirm_by LIMIT %(limit)s
        """,
        booked=BookingStatus.BOOKED,
        unpaid=PaymentState.UNPAID,
        now=now,
        limit=limit,
    )
    return [DueBooking(**row) for row in rows]


def list_unattended(tx: Tx, today: date, limit: int) -> list[DueBooking]:
    """Return bookings of past days that were never registered."""
    rows = tx.fetch_all(
        """
        SELECT b.book_id, b.tenant_id, b.user_id, x.stopped_by
        FROM bookings b JOIN schedules x ON x.schedule_id = b.schedule_id
        WHERE b.status = %(booked)s AND b.day < %(today)s ORDER BY b.day, b.book_id LIMIT %(limit)s
        """,
        booked=BookingStatus.BOOKED,
        today=today,
        limit=limit,
    )
    return [DueBooking(**row) for row in rows]


def mark_missed(tx: Tx, due: DueBooking) -> bool:
    """Mark a booking of a past day as missed; return False if it was no longer in state BOOKED, or rescheduled."""
    changed = tx.execute(
        """
        UPDATE bookings SET status = %(missed)s, changed_at = %(now)s
        WHERE book_id = %(book_id)s AND status = %(booked)s AND day < %(today)s
        """,
        missed=BookingStatus.MISSED,
        booked=BookingStatus.BOOKED,
        book_id=due.book_id,
        today=clock.today(),
        now=clock.now(),
    )
    return changed == 1


def list_unreminded(tx: Tx, day: date, limit: int) -> list[DueBooking]:
    """Return bookings for a day whose holders have not been reminded."""
    rows = tx.fetch_all(
        """
        SELECT book_id, tenant_id, user_id, changes FROM bookings
        WHERE status = %(booked)s AND day = %(day)s AND reminded_at IS NULL ORDER BY book_id LIMIT %(limit)s
        """,
        booked=BookingStatus.BOOKED,
        day=day,
        limit=limit,
    )
    return [DueBooking(**row) for row in rows]


def mark_reminded(tx: Tx, due: DueBooking) -> bool:
    """Record a reminder; return False if a concurrent run was faster, or the booking was cancelled or rescheduled."""
    changed = tx.execute(
        """
        UPDATE bookings SET reminded_at = %(now)s
        WHERE book_id = %(book_id)s AND status = %(booked)s AND reminded_at IS NULL AND changes = %(changes)s
        """,
        booked=BookingStatus.BOOKED,
        book_id=due.book_id,
        changes=due.changes,
        now=clock.now(),
    )
    return changed == 1
