"""What account holders are told about their bookings: each once, promised in the transaction that causes it.

announcing.py does it.
"""

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.wechat_account import templates

# Types of events at /notify.
BOOKED, CANCELLED, STOPPED, RELEASED, REGISTERED, MISSED, REMINDED = range(1100, 1107)
# By which kind of its templates a hospital tells of it at WeChat.
WECHAT_TEMPLATES = {
    BOOKED: templates.BOOKED,
    CANCELLED: templates.CANCELLED,
    STOPPED: templates.CANCELLED,
    RELEASED: templates.CANCELLED,
    REGISTERED: templates.REGISTERED,
    REMINDED: templates.REVISIT,
}


def enqueue(tx: Tx, booking: Row, kind: int) -> None:
    """After the commit: outbox.nudge()."""
    told = {"user_id": booking["user_id"], "book_id": booking["book_id"], "type": kind, "at": clock.now()}
    outbox.enqueue(tx, booking["tenant_id"], Job.NOTIFY_BOOKING, told, dedup_key=f"booking:{booking['book_id']}:{kind}")
