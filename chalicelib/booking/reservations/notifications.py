"""What account holders are told about their bookings: each once, promised in the transaction that causes it.

announcing.py does it.
"""

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.wechat_account.templates import TemplateKind

# Types of events at /notify.
# By which kind of its templates a hospital tells of it at WeChat.
WECHAT_TEMPLATES = {
    EventType.BOOKING_MADE: TemplateKind.BOOKED,
    EventType.BOOKING_CANCELLED: TemplateKind.CANCELLED,
    EventType.SCHEDULE_STOPPED: TemplateKind.CANCELLED,
    EventType.BOOKING_RELEASED: TemplateKind.CANCELLED,
    EventType.BOOKING_REGISTERED: TemplateKind.REGISTERED,
    EventType.BOOKING_REMINDER: TemplateKind.REVISIT,
}


def enqueue(tx: Tx, booking: Row, kind: int) -> None:
    """After the commit: outbox.nudge()."""
    told = {"user_id": booking["user_id"], "book_id": booking["book_id"], "type": kind, "at": clock.now()}
    outbox.enqueue(tx, booking["tenant_id"], Job.NOTIFY_BOOKING, told, dedup_key=f"booking:{booking['book_id']}:{kind}")
