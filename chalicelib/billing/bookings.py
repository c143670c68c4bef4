"""What a booking owes: whether it is paid. Booking and payment meet here, under the lock of the booking's row: what the
one decides, the other finds."""

from enum import IntEnum

from chalicelib.adapters.mysql import Row, Tx


class BookingStatus(IntEnum):
    """bookStatus of document 003."""

    BOOKED = 0
    CANCELLED = 1
    REGISTERED = 2
    MISSED = 3


class PaymentState(IntEnum):
    """visiCharge of document 003."""

    UNPAID = 1
    PAID = 2


def find_for_update(tx: Tx, tenant_id: int, book_id: int) -> Row | None:
    """Return a booking, whosever it is, locked until the commit."""
    return tx.fetch_one(
        """
        SELECT book_id, tenant_id, schedule_id, dept_id, serial_no, user_id, pati_id, day, slot_time, fee, status,
               payment_state, pay_by
        FROM bookings WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s FOR UPDATE
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )


def is_payable(booking: Row) -> bool:
    """Whether money for it would be kept: a visit that will be, or is, and was not paid."""
    return (
        booking["status"] in (BookingStatus.BOOKED, BookingStatus.REGISTERED)
        and booking["payment_state"] == PaymentState.UNPAID
    )


def mark_paid(tx: Tx, booking: Row) -> None:
    """Mark a booking that `find` has locked as paid."""
    tx.execute("UPDATE bookings SET payment_state = 2 WHERE book_id = %(book_id)s", book_id=booking["book_id"])
