"""A job of the outbox: the live push of an event that is no message, to one principal's feed and open WebSockets."""

from typing import Any

from chalicelib.adapters import redis
from chalicelib.messaging import feed, frames, sockets


def run(tenant_id: int, payload: dict[str, Any]) -> None:
    """payload: principal, type (above 1099), content (nothing but theirs), at. Raises redis.Down: then again."""
    who, event = [payload["principal"]], feed.notice(payload["type"], payload["content"], payload["at"])
    answers = redis.run_all(feed.emitting(tenant_id, who, event), insist=True)
    sockets.push(tenant_id, frames.parcels(feed.told(who, event, answers)))
