"""Delivery: the events of a listener's feed after a cursor, each with the message that it names.

Messages are read from the log at that moment, and only for a principal who still takes part: no withdrawn text is
delivered, and none of a conversation from which the listener was removed.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib import clock, errors
from chalicelib.adapters import redis
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.identity import tokens
from chalicelib.messaging import feed, msg_data, reading
from chalicelib.messaging.feed import Event, EventKind, Listener
from chalicelib.messaging.models import Message
from chalicelib.messaging.msg_data import Delivered

MAX_EVENTS_PER_DELIVERY = 100
WAIT_SLICE_SECONDS = 2.0  # a stream that is lost and starts again does not wake those who wait for the old one


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a listener receives at once."""

    frames: Sequence[Delivered]
    cursor: str  # after the last frame
    gap: bool  # frames before these are lost: the client must read history
    position_unknown: bool  # frames before these may be lost: the token has no saved position
    has_more: bool  # the limit was reached, and there may be others


def wait_for_events(listener: Listener, limit: int, seconds: float, report_unknown_position: bool) -> Delivery:
    """Wait at most so long for something to deliver; a gap is delivered at once.

    Args:
        report_unknown_position: deliver at once, as a gap, also that the token has no saved position.

    Raises:
        ApiError: 401 if the token was revoked meanwhile; UNAVAILABLE without Redis, as there is nothing to wait for.
    """
    until = clock.monotonic() + seconds
    try:
        found = read_events(listener, limit)
        position_unknown = found.position_unknown
        if position_unknown:
            # The next request without a cursor must not miss what is published from here on.
            feed.save_position(listener, found.cursor)
            if report_unknown_position:
                return replace(found, gap=True)
        while not (found.frames or found.gap) and (remaining := until - clock.monotonic()) > 0:
            feed.wait(listener, found.cursor, min(remaining, WAIT_SLICE_SECONDS))
            found = read_events(listener, limit, found.cursor)
            if found.frames or found.gap:
                _require_valid_token(listener)  # after reading: no event of a time after a sign-out is delivered
        if not listener.cursor:
            feed.save_position(listener, found.cursor)
    except redis.RedisUnavailableError as error:
        raise ApiError(UNAVAILABLE, retry_after=2) from error
    return replace(found, gap=found.gap or position_unknown, position_unknown=position_unknown)


def _require_valid_token(listener: Listener) -> None:
    if tokens.find_session_by_hash(bytes.fromhex(listener.token_hash_hex)) is None:
        raise ApiError(errors.INVALID_TOKEN)


def read_events(listener: Listener, limit: int, cursor: str = "") -> Delivery:
    """Return what there is after a cursor ("" for the listener's own) without waiting.

    Raises:
        redis.RedisUnavailableError
    """
    page = feed.read(listener, cursor or listener.cursor, limit)
    messages = _fetch_messages(listener, [event for _, event in page.events if event["kind"] == EventKind.MESSAGE])
    frames = [
        frame
        for position, event in page.events
        if listener.wants_events or event["kind"] == EventKind.MESSAGE
        if (frame := msg_data.build_delivered(event, position, messages.get(event.get("id", ""))))
    ]
    return Delivery(frames, page.cursor, page.gap, page.position_unknown, len(page.events) == limit)


def _fetch_messages(listener: Listener, events: list[Event]) -> dict[str, Message]:
    """Return the messages that these events name and the listener may read, by id."""
    by_conversation: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_conversation[event["conversation"]].append(event)
    found: dict[str, Message] = {}
    for public_id, named in by_conversation.items():
        page, _ = reading.fetch_newest_page(public_id, listener.principal, MAX_EVENTS_PER_DELIVERY)
        if page.participant is None or page.tenant_id != listener.tenant_id:
            continue
        older: list[Message] | None = []
        if not page.messages or min(event["seq"] for event in named) < page.messages[-1].seq:
            older = _fetch_older_messages(listener, public_id, named)
        if older is not None:
            found |= {message.id: message for message in (*older, *page.messages)}
    return found


def _fetch_older_messages(listener: Listener, public_id: str, events: list[Event]) -> list[Message] | None:
    """Return the messages from the first to the last that these events name; None if the listener was removed."""
    message_ids = sorted(event["id"] for event in events)
    try:
        return reading.list_range(
            listener.tenant_id,
            public_id,
            listener.principal,
            message_ids[0],
            message_ids[-1],
            feed.MAX_STREAM_LENGTH,
            newest_first=False,
        )
    except ApiError as error:
        if error.kind is errors.UNAVAILABLE:
            raise
        return None
