"""Enqueue application events.

Separate from event_push.py, so that functions which only enqueue do not import delivery.
"""

from chalicelib.adapters.mysql import Tx
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job


def enqueue_event(
    tx: Tx,
    tenant_id: int,
    principals: list[str],
    event_type: EventType,
    content: dict[str, str],
    at: int,
    dedup_key: str | None = None,
) -> None:
    """Enqueue an event that is pushed to these principals after the transaction commits.

    Args:
        content: `Content` of the event. Every recipient sees it, so it must not hold another person's data.
        at: the time of the event in microseconds.
        dedup_key: see `outbox.enqueue`.
    """
    payload = {"principals": principals, "type": event_type, "content": content, "at": at}
    outbox.enqueue(tx, tenant_id, Job.PUBLISH_EVENT, payload, dedup_key)
