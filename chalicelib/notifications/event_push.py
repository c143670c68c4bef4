"""A job of the outbox: the live push of an event that is no message, to feeds and open WebSockets."""

from typing import Any

from chalicelib.messaging import fan_out, feed


def publish_event(tenant_id: int, payload: dict[str, Any]) -> None:
    """payload: principals, type (above 1099), content (nothing but theirs), at. Raises redis.RedisUnavailableError:
    then again."""
    fan_out.notify(
        tenant_id,
        payload["principals"],
        feed.build_application_event(payload["type"], payload["content"], payload["at"]),
    )
