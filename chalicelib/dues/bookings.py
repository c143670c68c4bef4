"""What a booking owes and is owed: whether it is paid, and what is to go back. Booking and payment meet here, under the
lock of the booking's row: what the one decides, the other finds."""

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.notices import outbox

BOOKED, CANCELLED, REGISTERED, MISSED = range(4)
UNPAID, PAID = 1, 2


def find(tx: Tx, tenant_id: int, book_id: int) -> Row | None:
    """Return a booking, whosever it is, locked until the commit."""
    return tx.one(
        """
        SELECT book_id, tenant_id, schedule_id, dept_id, serial_no, user_id, pati_id, day, slot_time, fee, status,
               charge, pay_by
        FROM bookings WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s FOR UPDATE
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )


def is_owed(booking: Row) -> bool:
    """Whether money for it would be kept: a visit that will be, or is, and was not paid."""
    return booking["status"] in (BOOKED, REGISTERED) and booking["charge"] == UNPAID


def pay(tx: Tx, booking: Row) -> None:
    """Mark a booking that `find` has locked as paid."""
    tx.run("UPDATE bookings SET charge = 2 WHERE book_id = %(book_id)s", book_id=booking["book_id"])


def pay_back(tx: Tx, booking: Row, reason: str) -> None:
    """Note that the money of a booking that `find` has locked is to go back, and promise it. After the commit:
    outbox.nudge(outside=True)."""
    tx.run(
        """
        INSERT INTO refunds_due (book_id, tenant_id, fee, reason, created_at)
        VALUES (%(book_id)s, %(tenant_id)s, %(fee)s, %(reason)s, %(now)s)
        """,
        book_id=booking["book_id"],
        tenant_id=booking["tenant_id"],
        fee=booking["fee"],
        reason=reason,
        now=clock.now(),
    )
    promise(tx, booking["tenant_id"], booking["book_id"], "booking")


def promise(tx: Tx, tenant_id: int, book_id: int, of: str) -> None:
    """Have what is to go back of a booking sent, once for whatever it is `of`. After the commit: the nudge."""
    outbox.put(tx, tenant_id, "refund", {"book_id": book_id}, once=f"refund:{book_id}:{of}")


def owed_back(tx: Tx, tenant_id: int, book_id: int) -> str | None:
    """Return why a booking's money is to go back, None where it is not."""
    reason: str | None = tx.value(
        "SELECT reason FROM refunds_due WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return reason
