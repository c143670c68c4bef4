"""A job of the outbox: telling the many who take part in a conversation of what happened in it."""

from typing import Any

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import feed, frames, reading_store, sockets
from chalicelib.messaging.models import Message, Written

AT_ONCE = 100  # feeds of one round trip


def run(tenant_id: int, payload: dict[str, Any]) -> None:
    """Raises redis.Down: then it is done again."""
    public_id = payload["conversation"]
    found = mysql.autocommit(lambda tx: reading_store.one(tx, tenant_id, public_id, payload["seq"]))
    if found is None:
        return
    message, prev_id, principals = found
    written = Written(message, prev_id, 0, principals)
    event = (feed.withdrawn if payload["kind"] == "withdrawn" else feed.message)(public_id, written)
    tell(tenant_id, principals, event, message)


def tell(tenant_id: int, principals: list[str], event: dict[str, Any], message: Message | None = None) -> None:
    """Put an event into the feed of each, and write it to their open WebSockets; `message` is what it is about.

    Raises redis.Down: those who were told already are told again with the rest.
    """
    for start in range(0, len(principals), AT_ONCE):
        some = principals[start : start + AT_ONCE]
        answers = redis.run_all(feed.emitting(tenant_id, some, event), insist=True)
        sockets.push(tenant_id, frames.parcels(feed.told(some, event, answers), message))
