"""Enqueue notifications of payments and refunds. site_messages.py sends them."""

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.payment.refund_store import Refund
from chalicelib.payment.store import Payment


def enqueue(tx: Tx, subject: Payment | Refund, event_type: EventType) -> None:
    """Enqueue the notification of a payment or refund. Call outbox.wake_worker() after the commit."""
    key = f"refund:{subject.refund_id}" if isinstance(subject, Refund) else f"payment:{subject.payment_id}"
    payload = {
        "key": key,
        "user_id": subject.user_id,
        "book_id": subject.book_id,
        "fee": subject.fee,
        "type": event_type,
        "at": clock.now(),
    }
    outbox.enqueue(tx, subject.tenant_id, Job.NOTIFY_PAYMENT, payload, dedup_key=f"{key}:{event_type}")
