"""Each principal's stream of events in Redis, which listening clients receive. History is read from the log.

A position in a stream is a cursor: the stream's generation and a counter without gaps, as in abc.12. A server that has
lost the stream starts another generation, so that a listener who cannot be served from it is notified of the gap. The
scripts are in lua/feed_*.lua.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypedDict

from chalicelib.adapters import redis
from chalicelib.adapters.redis import ScriptCall, load_script
from chalicelib.messaging.models import StoredMessage

SCHEMA_VERSION = 3  # of the stored data: a new version of the code must not read what another one wrote
MAX_STREAM_LENGTH = 500  # events
TTL_SECONDS = 7 * 86_400

_PUBLISH = load_script(
    __file__, "feed_open", "feed_publish", MAX_STREAM_LENGTH=MAX_STREAM_LENGTH, TTL_SECONDS=TTL_SECONDS
)
_READ = load_script(__file__, "feed_open", "feed_read", TTL_SECONDS=TTL_SECONDS)
_SAVE_POSITION = load_script(__file__, "feed_save_position", TTL_SECONDS=TTL_SECONDS)


class EventKind(StrEnum):
    """What an event of a feed reports."""

    MESSAGE = "message"
    WITHDRAWN = "withdrawn"
    READ = "read"  # a participant has read up to a message
    APPLICATION = "application"  # of another part of the system; its type is above 1099


class Event(TypedDict, total=False):
    """An event as it is stored. It names its message and does not hold it, so no stream keeps a withdrawn text."""

    kind: str  # of EventKind
    conversation: str  # public id
    seq: int
    id: str  # of the message
    prev_id: str  # of the message before it, "" for the first
    sender: str  # principal
    at: int  # microseconds
    type: int
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event as it was appended to one principal's stream."""

    principal: str
    event: Event
    cursor: str
    cached_sockets: str | None  # the cached list of the principal's open sockets, None if Redis has none


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Consecutive events of a stream, and the cursor after them."""

    events: list[tuple[str, Event]]  # each with the cursor after it
    cursor: str
    gap: bool  # events before these are lost: the client must read history
    position_unknown: bool  # events before these may be lost: the token has no saved position
    end_cursor: str  # after the newest event of the stream


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens, from where on, and for what."""

    tenant_id: int
    principal: str
    token_hash_hex: str
    cursor: str = ""  # "" for the token's saved position
    wants_events: bool = False  # also events that are no messages


def build_message_event(public_id: str, stored: StoredMessage) -> Event:
    """Return the event of a new message."""
    return _build_event(EventKind.MESSAGE, public_id, stored)


def build_withdrawn_event(public_id: str, stored: StoredMessage) -> Event:
    """Return the event of a withdrawn message."""
    return _build_event(EventKind.WITHDRAWN, public_id, stored)


def build_read_event(public_id: str, message_id: str, principal: str, at: int) -> Event:
    """Return the event of a participant who has read everything up to a message."""
    return {"kind": EventKind.READ, "conversation": public_id, "id": message_id, "sender": principal, "at": at}


def build_application_event(event_type: int, content: dict[str, Any], at: int) -> Event:
    """Return an event of another part of the system.

    Args:
        event_type: a number above 1099.
        content: must hold nothing that its recipients may not read.
    """
    return {"kind": EventKind.APPLICATION, "type": event_type, "content": content, "at": at}


def _build_event(kind: EventKind, public_id: str, stored: StoredMessage) -> Event:
    message = stored.message
    return {
        "kind": kind,
        "conversation": public_id,
        "seq": message.seq,
        "id": message.id,
        "prev_id": stored.prev_id,
    }


def build_publish_calls(tenant_id: int, principals: Iterable[str], event: Event) -> list[ScriptCall]:
    """Return the scripts that append an event to these feeds, whose replies `parse_published_events` takes."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return [(_PUBLISH, build_keys(tenant_id, principal), [redis.generate_nonce(), text]) for principal in principals]


def parse_published_events(principals: Iterable[str], event: Event, replies: Iterable[Any]) -> list[PublishedEvent]:
    """Parse the replies of `build_publish_calls`."""
    return [
        PublishedEvent(principal, event, f"{generation}.{count}", cached_sockets)
        for principal, (generation, count, cached_sockets) in zip(principals, replies, strict=True)
    ]


def read(listener: Listener, cursor: str, limit: int) -> FeedPage:
    """Return the events after a cursor ("" for the token's saved position).

    Raises:
        redis.RedisUnavailableError
    """
    generation, _, count = cursor.partition(".")
    head, stream, _ = build_keys(listener.tenant_id, listener.principal)
    keys = [head, stream, _build_position_key(listener)]
    reply = redis.run_script(_READ, keys, [redis.generate_nonce(), generation, count, limit])
    generation, newest, after, gap, *rest = reply
    events = [(f"{generation}.{at}", json.loads(text)) for at, text in zip(rest[::2], rest[1::2], strict=True)]
    cursor = events[-1][0] if events else f"{generation}.{after}"
    return FeedPage(events, cursor, gap == "lost", gap == "unknown", f"{generation}.{newest}")


def wait(listener: Listener, cursor: str, seconds: float) -> None:
    """Wait until the stream has an event after a cursor, at most so long.

    Raises:
        redis.RedisUnavailableError
    """
    _, stream, _ = build_keys(listener.tenant_id, listener.principal)
    redis.wait_for_stream(stream, f"{cursor.partition('.')[2]}-0", seconds)


def save_position(listener: Listener, cursor: str) -> None:
    """Save the cursor up to which the listener's token has received events.

    Raises:
        redis.RedisUnavailableError
    """
    redis.run_script(_SAVE_POSITION, [_build_position_key(listener)], [cursor])


def build_keys(tenant_id: int, principal: str) -> list[str]:
    """Return the keys of a principal's feed: head, stream, cached sockets.

    They name the tenant, because two hospitals may each have a session:abc.
    """
    prefix = f"feed:{SCHEMA_VERSION}:{{{tenant_id}:{principal}}}"
    return [f"{prefix}:head", f"{prefix}:stream", f"{prefix}:sockets"]


def _build_position_key(listener: Listener) -> str:
    owner = f"{{{listener.tenant_id}:{listener.principal}}}"
    return f"feed:{SCHEMA_VERSION}:{owner}:position:{listener.token_hash_hex}"
