"""What account holders are told about their bookings: each once, promised in the transaction that causes it."""

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.notices import outbox

# Types of events at /notify.
BOOKED, CANCELLED, STOPPED, RELEASED, REGISTERED, MISSED, REMINDED = range(1100, 1107)


def tell(tx: Tx, booking: Row, kind: int) -> None:
    """After the commit: outbox.nudge()."""
    told = {
        "principals": [f"user:{booking['user_id']}"],
        "type": kind,
        "content": {"bookId": str(booking["book_id"])},
        "at": clock.now(),
    }
    outbox.put(tx, booking["tenant_id"], "push", told, once=f"booking:{booking['book_id']}:{kind}")
