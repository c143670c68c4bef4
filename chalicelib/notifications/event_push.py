"""Push an application event, which is not a message, to the feeds and open WebSockets of users."""

from typing import Any

from chalicelib.adapters.mysql import Tx
from chalicelib.messaging import fan_out, feed
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


def publish_event(tenant_id: int, payload: dict[str, Any]) -> None:
    """Push an event now. Handler of Job.PUBLISH_EVENT.

    Args:
        payload: principals, type, content and at, as `enqueue_event` takes them.

    Raises:
        redis.RedisUnavailableError: the job is retried; some principals may then receive the event twice.
    """
    event = feed.build_application_event(payload["type"], payload["content"], payload["at"])
    fan_out.notify(tenant_id, payload["principals"], event)
