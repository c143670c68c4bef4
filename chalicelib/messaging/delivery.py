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
from chalicelib.errors import UNAVAILABLE, Refused
from chalicelib.messaging import feed, frames, reading
from chalicelib.messaging.models import Message
from chalicelib.messaging.msg_data import Delivered

MOST = 100  # events of one delivery
SLICE = 2.0  # seconds: a stream that was lost and begun anew wakes nobody who waits for the old one

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens, from where on, and for what. cursor "" is where the token has come to."""

    tenant_id: int
    principal: str
    token: str  # its hash, as hexadecimal text
    cursor: str = ""
    events: bool = False  # also what is no message


@dataclass(frozen=True, slots=True)
class Delivery:
    """cursor is behind the last frame. gap: something before it is lost, history has it; placeless: perhaps.

    more: the limit was reached, and there may be others.
    """

    frames: Sequence[Delivered]
    cursor: str
    gap: bool
    placeless: bool
    more: bool


def awaited(listener: Listener, limit: int, seconds: float, tell_placeless: bool) -> Delivery:
    """Wait for something to deliver, so long; a gap is told at once, one that is only possible where that is asked for.

    Refused(UNAVAILABLE) without Redis: there is nothing to wait on.
    """
    until = clock.monotonic() + seconds
    try:
        found = read(listener, limit)
        placeless = found.placeless
        if placeless:
            place(listener, found.cursor)  # what is said from here on is not missed by the next who asks without one
            if tell_placeless:
                return replace(found, gap=True)
        while not (found.frames or found.gap) and (left := until - clock.monotonic()) > 0:
            _, stream, _ = feed.keys(listener.tenant_id, listener.principal)
            redis.wait(stream, f"{found.cursor.partition('.')[2]}-0", min(left, SLICE))
            found = read(listener, limit, found.cursor)
        if not listener.cursor:
            place(listener, found.cursor)
    except redis.Down as down:
        raise Refused(UNAVAILABLE, retry_after=2) from down
    return replace(found, gap=found.gap or placeless, placeless=placeless)


def read(listener: Listener, limit: int, cursor: str = "") -> Delivery:
    """Return what is there. Raises redis.Down."""
    who, cursor = (listener.tenant_id, listener.principal), cursor or listener.cursor
    stretch = feed.stretch(redis.run(*feed.reading(*who, cursor, listener.token, limit)))
    messages = _messages(*who, [event for _, event in stretch.events if event["kind"] == "message"])
    shown = [
        one
        for at, event in stretch.events
        if (event["kind"] == "message" or listener.events)
        and (one := frames.frame(event, at, messages.get((event.get("conversation", ""), event.get("seq", 0)))))
    ]
    return Delivery(shown, stretch.cursor, stretch.gap, stretch.placeless, len(stretch.events) == limit)


def place(listener: Listener, cursor: str) -> None:
    """Keep how far the token has come."""
    redis.run(*feed.placing(listener.tenant_id, listener.principal, listener.token, cursor))


def newest(listener: Listener) -> str:
    """Return the cursor behind everything there is. Raises redis.Down."""
    return feed.head(redis.run(*feed.reading(listener.tenant_id, listener.principal, "", listener.token, 1)))


def _messages(tenant_id: int, principal: str, events: Iterable[Event]) -> dict[tuple[str, int], Message]:
    wanted: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        wanted[event["conversation"]].append(event)
    found: dict[tuple[str, int], Message] = {}
    for public_id, theirs in wanted.items():
        found |= {(public_id, one.seq): one for one in _of_one(tenant_id, public_id, principal, theirs)}
    return found


def _of_one(tenant_id: int, public_id: str, principal: str, events: list[Event]) -> list[Message]:
    page, _ = reading.newest(public_id, principal, MOST)
    if page.seat is None or page.tenant_id != tenant_id:
        return []
    if page.messages and min(event["seq"] for event in events) >= page.messages[-1].seq:
        return list(page.messages)
    ids = sorted(event["id"] for event in events)
    try:
        old = reading.span(tenant_id, public_id, principal, ids[0], ids[-1], feed.KEPT, newest_first=False)
    except Refused as refused:
        if refused.kind is errors.UNAVAILABLE:
            raise
        return []
    return [*old, *page.messages]
