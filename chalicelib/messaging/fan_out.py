"""A job of the outbox: telling the many who take part in a conversation of what happened in it."""

from typing import Any

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import feed, frames, reading_store, sockets
from chalicelib.messaging.models import Message, StoredMessage

BATCH_SIZE = 100  # feeds of one round trip


def notify_large_conversation(tenant_id: int, payload: dict[str, Any]) -> None:
    """Raises redis.RedisUnavailableError: then it is done again."""
    public_id = payload["conversation"]
    found = mysql.run_autocommit(lambda tx: reading_store.find_message(tx, tenant_id, public_id, payload["seq"]))
    if found is None:
        return
    message, prev_id, principals = found
    written = StoredMessage(message, prev_id, 0, principals)
    event = (feed.build_withdrawn_event if payload["kind"] == "withdrawn" else feed.build_message_event)(
        public_id, written
    )
    notify(tenant_id, principals, event, message)


def notify(tenant_id: int, principals: list[str], event: dict[str, Any], message: Message | None = None) -> None:
    """Put an event into the feed of each, and write it to their open WebSockets; `message` is what it is about.

    Raises redis.RedisUnavailableError: those who were told already are told again with the rest.
    """
    for start in range(0, len(principals), BATCH_SIZE):
        some = principals[start : start + BATCH_SIZE]
        answers = redis.run_scripts(feed.build_publish_calls(tenant_id, some, event), ignore_backoff=True)
        sockets.push_frames(
            tenant_id, frames.build_outgoing_frames(feed.parse_published_events(some, event, answers), message)
        )
