"""What account holders are told about their bookings: each once, promised in the transaction that causes it.

announcing.py does it.
"""

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.notices import outbox

# Types of events at /notify.
BOOKED, CANCELLED, STOPPED, RELEASED, REGISTERED, MISSED, REMINDED = range(1100, 1107)


def tell(tx: Tx, booking: Row, kind: int) -> None:
    """After the commit: outbox.nudge()."""
    told = {"user_id": booking["user_id"], "book_id": booking["book_id"], "type": kind, "at": clock.now()}
    outbox.put(tx, booking["tenant_id"], "tell_booking", told, once=f"booking:{booking['book_id']}:{kind}")
