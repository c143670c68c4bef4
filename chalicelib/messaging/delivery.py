"""Delivery: the events of a listener's feed after a cursor, each with the message that it names.

Messages are read from the log at that moment, and only for a principal who still takes part: no withdrawn text is
delivered, and none of a conversation from which the listener was removed.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib import clock, errors
from chalicelib.adapters import redis
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.identity import tokens
from chalicelib.messaging import feed, msg_data, reading
from chalicelib.messaging.feed import Event, EventKind, FeedPage, Listener, Wait
from chalicelib.messaging.models import Message
from chalicelib.messaging.msg_data import Delivered
from chalicelib.people.roles import Role

MAX_EVENTS_PER_DELIVERY = 100
SPARE_MESSAGES = 10  # that are read in addition to those that are delivered, as newer ones may have come
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
        ApiError: 401 as soon as the token is revoked; 429 if too many listeners of the principal wait; UNAVAILABLE
            without Redis, as there is nothing to wait for.
    """
    name = redis.generate_nonce()
    try:
        found = _wait(listener, limit, name, clock.monotonic() + seconds, report_unknown_position)
        if not listener.cursor:
            feed.save_position(listener, found.cursor)
    except redis.RedisUnavailableError as error:
        raise ApiError(UNAVAILABLE, retry_after=2) from error
    except ApiError:
        feed.stop_waiting(listener, name)
        raise
    return found


def _wait(listener: Listener, limit: int, name: str, until: float, report_unknown_position: bool) -> Delivery:
    position_unknown, cursor, sessions_changed = False, listener.cursor, ""
    while True:
        remaining = max(until - clock.monotonic(), 0.0)
        page = feed.read(listener, cursor, limit, Wait(name, remaining, report_unknown_position))
        if page.sessions_changed != sessions_changed or page.gap:
            _require_valid_token(listener)  # after reading: no event of a time after a sign-out is delivered
        if page.retry_after:
            raise _build_too_many_listeners_error(page.retry_after)
        if page.position_unknown:
            position_unknown = True
            # The next request without a cursor must not miss what is published from here on.
            feed.save_position(listener, page.cursor)
        found = _build_delivery(listener, page, limit)
        if found.frames or found.gap or not remaining or (position_unknown and report_unknown_position):
            return replace(found, gap=found.gap or position_unknown, position_unknown=position_unknown)
        cursor, sessions_changed = page.cursor, page.sessions_changed
        if not page.events:  # otherwise there may be more of them
            feed.wait_for_change(listener, page, min(remaining, WAIT_SLICE_SECONDS))


def _require_valid_token(listener: Listener) -> None:
    session = tokens.find_session_by_hash(bytes.fromhex(listener.token_hash_hex))
    if session is None:
        raise ApiError(errors.INVALID_TOKEN)
    if session.role == Role.LIMITED:
        raise ApiError(errors.VERIFICATION_REQUIRED)


def _build_too_many_listeners_error(seconds: float) -> ApiError:
    text = f"同时等待消息的连接过多（最多 {feed.MAX_LISTENERS} 个），请关闭其他页面"
    return ApiError(errors.RATE_LIMITED, text, retry_after=math.ceil(seconds))


def read_events(listener: Listener, limit: int) -> Delivery:
    """Return what there is after the listener's cursor without waiting.

    Raises:
        redis.RedisUnavailableError
    """
    return _build_delivery(listener, feed.read(listener, listener.cursor, limit), limit)


def _build_delivery(listener: Listener, page: FeedPage, limit: int) -> Delivery:
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
        # Most events are of the newest messages.
        page = reading.fetch_newest_page_unless_busy(public_id, listener.principal, len(named) + SPARE_MESSAGES)
        if page is None:
            found |= {message.id: message for message in _fetch_older_messages(listener, public_id, named) or []}
            continue
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
