"""Enqueue notifications to the account holder about a booking, each at most once per booking, event type and change.

The outbox jobs in booking/jobs/ deliver them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.wechat_account.templates import TemplateKind

# The template by which a hospital reports an event in WeChat; events without one are not sent there.
WECHAT_TEMPLATES = {
    EventType.BOOKING_MADE: TemplateKind.BOOKED,
    EventType.BOOKING_OFFERED: TemplateKind.BOOKED,
    EventType.BOOKING_LAPSED: TemplateKind.CANCELLED,
    EventType.BOOKING_RESCHEDULED: TemplateKind.BOOKED,
    EventType.BOOKING_MOVED: TemplateKind.BOOKED,
    EventType.BOOKING_CANCELLED_BY_DESK: TemplateKind.CANCELLED,
    EventType.BOOKING_CANCELLED: TemplateKind.CANCELLED,
    EventType.SCHEDULE_STOPPED: TemplateKind.CANCELLED,
    EventType.BOOKING_RELEASED: TemplateKind.CANCELLED,
    EventType.DOCTOR_SUBSTITUTED: TemplateKind.BOOKED,
    EventType.ALTERNATIVE_HELD: TemplateKind.BOOKED,
    EventType.ALTERNATIVE_LAPSED: TemplateKind.CANCELLED,
    EventType.BOOKING_REGISTERED: TemplateKind.REGISTERED,
    EventType.BOOKING_REMINDER: TemplateKind.REVISIT,
    EventType.QUEUE_SOON: TemplateKind.REVISIT,
    EventType.QUEUE_CALLED: TemplateKind.REVISIT,
}

# Events of which patients must know: from WeChat they go on to SMS, then to the front desk's call list.
MUST_ARRIVE = frozenset(
    {
        EventType.SCHEDULE_STOPPED,
        EventType.BOOKING_MOVED,
        EventType.BOOKING_OFFERED,
        EventType.DOCTOR_SUBSTITUTED,
        EventType.ALTERNATIVE_HELD,
        EventType.ALTERNATIVE_LAPSED,
    }
)


def enqueue(
    tx: Tx,
    tenant_id: int,
    user_id: int | None,
    book_id: int,
    event_type: EventType,
    change: int = 0,
    before: str = "",
    details: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Enqueue the notification in the transaction that causes it. Call outbox.wake_worker() after the commit.

    Args:
        user_id: the holder; None if the patient has no account: then the front desk notifies, if they must know.
        change: bookings.changes, where the event can repeat after the booking was rescheduled.
        before: the time of the slot from which it was rescheduled.
        details: what the text says besides: the reason of a stop, until when to answer, and how many wait before. With
            "call", how often the patient was called in the queue, the event can repeat.
    """
    if user_id is None and event_type not in MUST_ARRIVE:
        return
    payload: dict[str, Any] = {"user_id": user_id, "book_id": book_id, "type": event_type, "at": clock.now()}
    payload |= {"change": change, "before": before} if change else {}
    payload |= details
    outbox.enqueue(tx, tenant_id, Job.NOTIFY_BOOKING, payload, dedup_key=build_key(payload))


def build_key(payload: dict[str, Any]) -> str:
    """Return the name of a notification, by which it is sent once."""
    change = f":{payload['change']}" if payload.get("change") else ""
    call = f":call{payload['call']}" if payload.get("call") else ""
    return f"booking:{payload['book_id']}:{payload['type']}{change}{call}"


def is_outdated(payload: dict[str, Any], changes: int) -> bool:
    """Return whether the booking was rescheduled again after the change that the notification reports."""
    return bool(payload.get("change", changes) != changes)
