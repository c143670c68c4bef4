"""Reading the conversation log: pages, read positions, lists of conversations. See tail.py for what is believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.redis import ScriptCall
from chalicelib.errors import ApiError
from chalicelib.messaging import feed, frames, ids, reading_store, recent_cache, sockets
from chalicelib.messaging.models import Message, ParticipantState, Snapshot
from chalicelib.messaging.recent_cache import CacheView


@dataclass(frozen=True, slots=True)
class Page:
    """The newest messages of a conversation, newest first, as one participant finds them."""

    messages: Sequence[Message]
    last_seq: int
    participant: ParticipantState | None  # None for somebody who takes no part
    tenant_id: int
    version: str  # of the tail it came from or went into, "" without Redis


def fetch_newest_page(
    public_id: str, principal: str, limit: int, beside: Sequence[ScriptCall] = ()
) -> tuple[Page, list[Any]]:
    """Return a page of up to 100 messages, and what the scripts beside answered in the same round trip.

    Without Redis each of those answers is None. Who may read is for the caller to find out.
    """
    try:
        answer, *others = redis.run_scripts(
            [recent_cache.build_read_call(public_id, limit, principal, ids.generate_nonce()), *beside]
        )
    except redis.RedisUnavailableError:
        found = reading_store.fetch_snapshot(mysql.autocommit, public_id, principal, limit)
        recent_cache.distrust(public_id)
        return _build_page_from_snapshot(found, principal, limit, ""), [None] * len(beside)
    return _resolve_page(public_id, principal, recent_cache.parse_view(public_id, principal, answer), limit), others


def list_older(public_id: str, message_id: str, limit: int) -> list[Message]:
    """Return messages strictly older than the given one, newest first. ApiError 400 where it is not of this log."""
    messages = mysql.run_autocommit(lambda tx: reading_store.list_older(tx, public_id, message_id, limit))
    if messages is None:
        raise ApiError(errors.BAD_PARAMETER, "msg_id：不是该会话的消息")
    if any(message.withdrawn for message in messages):  # the tail may not know it yet
        recent_cache.distrust(public_id)
    return messages


def list_range(
    tenant_id: int, public_id: str, principal: str, low: str, high: str, limit: int, newest_first: bool
) -> list[Message]:
    """Return a participant's messages between two ids, both included, as many as the limit lets pass from one end.

    An empty id is an open end. ApiError 404 for a stranger, 400 for an id that is not of this log.
    """

    def read(tx: Tx) -> list[Message]:
        found = reading_store.find_range_bounds(tx, tenant_id, public_id, principal, low, high)
        if found is None:
            raise ApiError(errors.NOT_FOUND, "会话不存在")
        if (low and not found["low"]) or (high and not found["high"]):
            raise ApiError(errors.BAD_PARAMETER, "消息编号：不是该会话的消息")
        return reading_store.list_range(tx, **found, limit=limit, newest_first=newest_first)

    messages = mysql.run_autocommit(read)
    if any(message.withdrawn for message in messages) or _is_ahead_of_cache(public_id, principal, messages):
        recent_cache.distrust(public_id)
    return messages


def mark_read(public_id: str, page: Page) -> None:
    """The participant has seen this page: move the read position, and tell who takes part, if it moves."""
    seat = page.participant
    if seat is None or seat.read_seq >= page.last_seq:
        return
    moved = reading_store.advance_read_position(mysql.autocommit, public_id, seat.principal, page.last_seq)
    if moved is None:
        return
    now_seated, principals = moved
    event = feed.build_read_event(public_id, page.messages[0].id, seat.principal, clock.now())
    answers = redis.try_scripts(
        [
            recent_cache.build_set_participant_call(public_id, page.version, now_seated),
            *feed.build_publish_calls(page.tenant_id, principals, event),
        ]
    )
    if answers is None:
        recent_cache.distrust(public_id)
    else:
        sockets.push_frames(
            page.tenant_id, frames.build_outgoing_frames(feed.parse_published_events(principals, event, answers[1:]))
        )


def hide(public_id: str, principal: str) -> None:
    """Take the conversation off the principal's list until its next message. ApiError 404 for no participant."""
    seat = reading_store.hide(mysql.autocommit, public_id, principal)
    if seat is None:
        raise ApiError(errors.NOT_FOUND, "会话不存在")
    recent_cache.set_participant(public_id, "", seat)


def fetch_newest_pages(public_ids: list[str], principal: str) -> dict[str, Page]:
    """Return the newest message of each conversation that the principal takes part in, in one round trip."""
    if not public_ids:
        return {}
    try:
        answers = redis.run_scripts(
            [recent_cache.build_read_call(public_id, 1, principal, ids.generate_nonce()) for public_id in public_ids]
        )
    except redis.RedisUnavailableError:
        found = reading_store.fetch_snapshots(mysql.autocommit, public_ids, principal)
        for public_id in found:
            recent_cache.distrust(public_id)
        return {
            public_id: _build_page_from_snapshot(snapshot, principal, 1, "") for public_id, snapshot in found.items()
        }
    views = {
        public_id: recent_cache.parse_view(public_id, principal, answer)
        for public_id, answer in zip(public_ids, answers, strict=True)
    }
    whole = {public_id: _build_page_from_view(view) for public_id, view in views.items() if view.verdict == "whole"}
    return whole | _reload_pages(views, principal)


def _resolve_page(public_id: str, principal: str, view: CacheView, limit: int) -> Page:
    if view.verdict == "whole":
        return _build_page_from_view(view)
    if view.verdict == "stale":
        last_seq, changes, seat = reading_store.fetch_head(mysql.autocommit, public_id, principal)
        if seat and (last_seq, changes) == (view.last_seq, view.changes):
            [version] = redis.try_scripts([recent_cache.build_confirm_call(public_id, view, seat)]) or [None]
            return Page(view.messages, last_seq, seat, view.tenant_id, version or "")
    found = reading_store.fetch_snapshot(mysql.autocommit, public_id, principal, recent_cache.MAX_MESSAGES)
    if found.find_participant(principal) is None:  # a stranger, or no such conversation: nothing is kept for them
        return _build_page_from_snapshot(found, principal, limit, "")
    [version] = _update_cache({public_id: view}, [recent_cache.build_refill_call(public_id, view, found)])
    return _build_page_from_snapshot(found, principal, limit, version)


def _is_ahead_of_cache(public_id: str, principal: str, messages: list[Message]) -> bool:
    """Whether what came from MySQL may be more than the tail shows; what is older than a comparison is in it."""
    newest = max(messages, key=lambda message: message.seq, default=None)
    if newest is None or newest.sent_at < clock.now() - 2 * recent_cache.TRUST_SECONDS * clock.SECOND:
        return False
    try:
        answer = redis.run_script(*recent_cache.build_read_call(public_id, 1, principal, ids.generate_nonce()))
    except redis.RedisUnavailableError:
        return True
    return recent_cache.parse_view(public_id, principal, answer).last_seq < newest.seq


def _reload_pages(views: dict[str, CacheView], principal: str) -> dict[str, Page]:
    """What the tails could not show, from MySQL in one query, and back into Redis in one round trip."""
    missing = {public_id: view for public_id, view in views.items() if view.verdict != "whole"}
    if not missing:
        return {}
    found = reading_store.fetch_snapshots(mysql.autocommit, list(missing), principal)
    theirs = {public_id: missing[public_id] for public_id in found}
    versions = _update_cache(
        theirs, [_build_renew_call(public_id, view, found[public_id]) for public_id, view in theirs.items()]
    )
    return {
        public_id: _build_page_from_snapshot(found[public_id], principal, 1, version)
        for public_id, version in zip(theirs, versions, strict=True)
    }


def _build_renew_call(public_id: str, view: CacheView, found: Snapshot) -> ScriptCall:
    """A tail that MySQL agrees with keeps what it has; another is left with the newest message alone."""
    agreed = (view.last_seq, view.changes) == (found.last_seq, found.changes)
    if view.verdict == "stale" and agreed:
        return recent_cache.build_confirm_call(public_id, view, found.participants[0])
    return recent_cache.build_refill_call(public_id, view, found)


def _update_cache(views: dict[str, CacheView], calls: list[ScriptCall]) -> list[str]:
    """Tell Redis what MySQL holds; return each tail's version then, "" for one that did not take it and is doubted."""
    versions = redis.try_scripts(calls) or [None] * len(calls)
    for (public_id, view), version in zip(views.items(), versions, strict=True):
        if version:
            recent_cache.trust(public_id, view)
        else:
            recent_cache.distrust(public_id)
    return [version or "" for version in versions]


def _build_page_from_view(view: CacheView) -> Page:
    return Page(view.messages, view.last_seq, view.participant, view.tenant_id, view.version)


def _build_page_from_snapshot(found: Snapshot, principal: str, limit: int, version: str) -> Page:
    return Page(found.messages[:limit], found.last_seq, found.find_participant(principal), found.tenant_id, version)
