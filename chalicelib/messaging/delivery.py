"""What a listener is given: the events of their feed from a cursor on, each with the message it is about.

Texts come from the log at that moment, and only to somebody who still has a seat: nothing that was withdrawn, nothing
from where one was put out.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import redis
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.messaging import feed, frames, reading
from chalicelib.messaging.models import Message
from chalicelib.messaging.msg_data import Delivered

MAX_EVENTS_PER_DELIVERY = 100  # events of one delivery
WAIT_SLICE_SECONDS = 2.0  # seconds: a stream that was lost and begun anew wakes nobody who waits for the old one

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens, from where on, and for what. cursor "" is where the token has come to."""

    tenant_id: int
    principal: str
    token_hash_hex: str  # its hash, as hexadecimal text
    cursor: str = ""
    wants_events: bool = False  # also what is no message


@dataclass(frozen=True, slots=True)
class Delivery:
    """cursor is behind the last frame. gap: something before it is lost, history has it; placeless: perhaps.

    more: the limit was reached, and there may be others.
    """

    frames: Sequence[Delivered]
    cursor: str
    gap: bool
    position_unknown: bool
    has_more: bool


def wait_for_events(listener: Listener, limit: int, seconds: float, tell_placeless: bool) -> Delivery:
    """Wait for something to deliver, so long; a gap is told at once, one that is only possible where that is asked for.

    ApiError(UNAVAILABLE) without Redis: there is nothing to wait on.
    """
    until = clock.monotonic() + seconds
    try:
        found = read_events(listener, limit)
        placeless = found.position_unknown
        if placeless:
            save_position(
                listener, found.cursor
            )  # what is said from here on is not missed by the next who asks without one
            if tell_placeless:
                return replace(found, gap=True)
        while not (found.frames or found.gap) and (left := until - clock.monotonic()) > 0:
            _, stream, _ = feed.build_keys(listener.tenant_id, listener.principal)
            redis.wait_for_stream(stream, f"{found.cursor.partition('.')[2]}-0", min(left, WAIT_SLICE_SECONDS))
            found = read_events(listener, limit, found.cursor)
        if not listener.cursor:
            save_position(listener, found.cursor)
    except redis.RedisUnavailableError as down:
        raise ApiError(UNAVAILABLE, retry_after=2) from down
    return replace(found, gap=found.gap or placeless, position_unknown=placeless)


def read_events(listener: Listener, limit: int, cursor: str = "") -> Delivery:
    """Return what is there. Raises redis.RedisUnavailableError."""
    who, cursor = (listener.tenant_id, listener.principal), cursor or listener.cursor
    stretch = feed.parse_page(redis.run_script(*feed.build_read_call(*who, cursor, listener.token_hash_hex, limit)))
    messages = _fetch_messages(*who, [event for _, event in stretch.events if event["kind"] == "message"])
    shown = [
        one
        for at, event in stretch.events
        if (event["kind"] == "message" or listener.wants_events)
        and (one := frames.build_frame(event, at, messages.get((event.get("conversation", ""), event.get("seq", 0)))))
    ]
    return Delivery(shown, stretch.cursor, stretch.gap, stretch.position_unknown, len(stretch.events) == limit)


def save_position(listener: Listener, cursor: str) -> None:
    """Keep how far the token has come."""
    redis.run_script(
        *feed.build_set_position_call(listener.tenant_id, listener.principal, listener.token_hash_hex, cursor)
    )


def get_end_cursor(listener: Listener) -> str:
    """Return the cursor behind everything there is. Raises redis.RedisUnavailableError."""
    return feed.parse_end_cursor(
        redis.run_script(*feed.build_read_call(listener.tenant_id, listener.principal, "", listener.token_hash_hex, 1))
    )


def _fetch_messages(tenant_id: int, principal: str, events: Iterable[Event]) -> dict[tuple[str, int], Message]:
    wanted: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        wanted[event["conversation"]].append(event)
    found: dict[tuple[str, int], Message] = {}
    for public_id, theirs in wanted.items():
        found |= {
            (public_id, one.seq): one for one in _fetch_conversation_messages(tenant_id, public_id, principal, theirs)
        }
    return found


def _fetch_conversation_messages(tenant_id: int, public_id: str, principal: str, events: list[Event]) -> list[Message]:
    page, _ = reading.fetch_newest_page(public_id, principal, MAX_EVENTS_PER_DELIVERY)
    if page.participant is None or page.tenant_id != tenant_id:
        return []
    if page.messages and min(event["seq"] for event in events) >= page.messages[-1].seq:
        return list(page.messages)
    ids = sorted(event["id"] for event in events)
    try:
        old = reading.list_range(
            tenant_id, public_id, principal, ids[0], ids[-1], feed.MAX_STREAM_LENGTH, newest_first=False
        )
    except ApiError as refused:
        if refused.kind is errors.UNAVAILABLE:
            raise
        return []
    return [*old, *page.messages]
