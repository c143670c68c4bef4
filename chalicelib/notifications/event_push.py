"""Push an application event, which is not a message, to the feeds and open WebSockets of users."""

from typing import Any

from chalicelib.messaging import fan_out, feed


def publish_event(tenant_id: int, payload: dict[str, Any]) -> None:
    """Push an event now. Handler of Job.PUBLISH_EVENT.

    Args:
        payload: principals, type, content and at, as `event_jobs.enqueue_event` takes them.

    Raises:
        redis.RedisUnavailableError: the job is retried; some principals may then receive the event twice.
    """
    event = feed.build_application_event(payload["type"], payload["content"], payload["at"])
    fan_out.notify(tenant_id, payload["principals"], event)
