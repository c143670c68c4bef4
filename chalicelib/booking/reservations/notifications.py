"""Enqueue notifications to the account holder about a booking, each at most once per booking and event type.

The outbox jobs in booking/jobs/ deliver them.
"""

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.wechat_account.templates import TemplateKind

# The template by which a hospital reports an event in WeChat; events without one are not sent there.
WECHAT_TEMPLATES = {
    EventType.BOOKING_MADE: TemplateKind.BOOKED,
    EventType.BOOKING_CANCELLED: TemplateKind.CANCELLED,
    EventType.SCHEDULE_STOPPED: TemplateKind.CANCELLED,
    EventType.BOOKING_RELEASED: TemplateKind.CANCELLED,
    EventType.BOOKING_REGISTERED: TemplateKind.REGISTERED,
    EventType.BOOKING_REMINDER: TemplateKind.REVISIT,
}


def enqueue(tx: Tx, tenant_id: int, user_id: int, book_id: int, event_type: EventType) -> None:
    """Enqueue the notification in the transaction that causes it. Call outbox.wake_worker() after the commit."""
    payload = {"user_id": user_id, "book_id": book_id, "type": event_type, "at": clock.now()}
    outbox.enqueue(tx, tenant_id, Job.NOTIFY_BOOKING, payload, dedup_key=f"booking:{book_id}:{event_type}")
