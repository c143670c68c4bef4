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
from chalicelib.identity import session_changes
from chalicelib.messaging.models import StoredMessage

SCHEMA_VERSION = 3  # of the stored data: a new version of the code must not read what another one wrote
MAX_STREAM_LENGTH = 500  # events
TTL_SECONDS = 7 * 86_400
MAX_LISTENERS = 5  # of a principal that wait at the same time; sockets have a limit of their own

_PUBLISH = load_script(
    __file__, "feed_open", "feed_publish", MAX_STREAM_LENGTH=MAX_STREAM_LENGTH, TTL_SECONDS=TTL_SECONDS
)
_READ = load_script(
    __file__,
    *("feed_open", "feed_read"),
    TTL_SECONDS=TTL_SECONDS,
    MAX_LISTENERS=MAX_LISTENERS,
    LISTENER_GRACE_MS=3_000,  # for which a listener may be late
    LISTENERS_TTL_SECONDS=60,  # longer than any listener waits
)
_STOP_WAITING = load_script(__file__, "feed_stop_waiting")
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
    sessions_changed: str  # identifies the newest change of the principal's sessions that was announced, "" for none
    retry_after: float  # seconds after which to try again, as too many listeners of the principal wait; 0 if not


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens, from where on, and for what."""

    tenant_id: int
    principal: str
    token_hash_hex: str
    cursor: str = ""  # "" for the token's saved position
    wants_events: bool = False  # also events that are no messages


@dataclass(frozen=True, slots=True)
class Wait:
    """The intention of a listener to wait if there are no events."""

    name: str  # of the listener, unique
    seconds: float  # at most
    ends_at_unknown_position: bool  # it does not wait if the token has no saved position


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


def read(listener: Listener, cursor: str, limit: int, wait: Wait | None = None) -> FeedPage:
    """Return the events after a cursor ("" for the token's saved position).

    Args:
        wait: registers a listener that is going to wait because there are no events, unless MAX_LISTENERS of the
            principal wait already; otherwise removes it.

    Raises:
        redis.RedisUnavailableError
    """
    generation, _, count = cursor.partition(".")
    head, stream, _ = build_keys(listener.tenant_id, listener.principal)
    changes = session_changes.build_key(listener.tenant_id, listener.principal)
    keys = [head, stream, _build_position_key(listener), changes, build_listeners_key(listener)]
    name, wait_ms, ends = (wait.name, int(wait.seconds * 1000), wait.ends_at_unknown_position) if wait else ("", 0, 0)
    reply = redis.run_script(_READ, keys, [redis.generate_nonce(), generation, count, limit, name, wait_ms, int(ends)])
    generation, newest, after, gap, sessions_changed, retry_ms, *rest = reply
    events = [(f"{generation}.{at}", json.loads(text)) for at, text in zip(rest[::2], rest[1::2], strict=True)]
    cursor = events[-1][0] if events else f"{generation}.{after}"
    end_cursor = f"{generation}.{newest}"
    return FeedPage(events, cursor, gap == "lost", gap == "unknown", end_cursor, sessions_changed, retry_ms / 1000)


def wait_for_change(listener: Listener, page: FeedPage, seconds: float) -> None:
    """Wait until there is an event after a page, or a change of the principal's sessions, at most so long.

    Raises:
        redis.RedisUnavailableError
    """
    _, stream, _ = build_keys(listener.tenant_id, listener.principal)
    changes = session_changes.build_key(listener.tenant_id, listener.principal)
    after = f"{page.cursor.partition('.')[2]}-0"
    redis.wait_for_streams({stream: after, changes: page.sessions_changed or "0-0"}, seconds)


def stop_waiting(listener: Listener, name: str) -> None:
    """Remove a listener whose wait has ended otherwise than by a read."""
    redis.try_script(_STOP_WAITING, [build_listeners_key(listener)], [name])


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


def build_listeners_key(listener: Listener) -> str:
    """Return the key of the principal's listeners that wait."""
    return f"feed:{SCHEMA_VERSION}:{{{listener.tenant_id}:{listener.principal}}}:listeners"


def _build_position_key(listener: Listener) -> str:
    owner = f"{{{listener.tenant_id}:{listener.principal}}}"
    return f"feed:{SCHEMA_VERSION}:{owner}:position:{listener.token_hash_hex}"
