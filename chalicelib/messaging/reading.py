"""Reading the conversation log: pages and lists. recent_cache.py decides when a cached page is trusted."""

from collections.abc import Sequence
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.redis import ScriptBatch, ScriptCall
from chalicelib.errors import ApiError
from chalicelib.messaging import reading_store, recent_cache
from chalicelib.messaging.models import Message, Snapshot
from chalicelib.messaging.recent_cache import CacheView, MessagePage, Verdict

__all__ = ["MessagePage"]


def prepare_newest_page(public_id: str, principal: str, limit: int, beside: Sequence[ScriptCall] = ()) -> ScriptBatch:
    """Return the scripts of `fetch_newest_page`, to be run in the round trip that authenticates the reader.

    Args:
        beside: other scripts, whose replies `fetch_newest_page` returns.
    """
    return ScriptBatch([recent_cache.build_read_call(public_id, limit, principal), *beside])


def fetch_newest_page(
    public_id: str, principal: str, limit: int, batch: ScriptBatch | None = None
) -> tuple[MessagePage, list[Any]]:
    """Return the newest page. Whether the principal may read it is for the caller to check.

    Args:
        limit: at most 100 messages.
        batch: the result of `prepare_newest_page` for the same arguments. It is run unless it has been already.

    Returns:
        The page, and the replies of the batch's other scripts: None for each without Redis.
    """
    batch = batch or prepare_newest_page(public_id, principal, limit)
    try:
        reply, *others = redis.run_scripts(batch.calls) if batch.replies is None else batch.replies
    except redis.RedisUnavailableError:
        snapshot = reading_store.fetch_snapshot(mysql.autocommit, public_id, principal, limit)
        recent_cache.distrust(public_id)
        return _build_page(snapshot, principal, limit, ""), [None] * (len(batch.calls) - 1)
    view = recent_cache.parse_view(public_id, principal, reply)
    return view.page if view.verdict == Verdict.FRESH else _reload_page(public_id, principal, view, limit), others


def fetch_newest_page_unless_busy(public_id: str, principal: str, limit: int) -> MessagePage | None:
    """Return the newest page, as `fetch_newest_page` does; None while writers are about to change its cache.

    Reloading a page reads far more than the few messages that a listener needs, and each message of a conversation in
    which many write at once would make every listener reload it.
    """
    batch = prepare_newest_page(public_id, principal, limit)
    batch.replies = redis.try_scripts(batch.calls)
    if batch.replies and batch.replies[0][0] == Verdict.BUSY:
        return None
    return fetch_newest_page(public_id, principal, limit, batch)[0]


def list_older(public_id: str, message_id: str, limit: int) -> list[Message]:
    """Return messages older than the given one, newest first.

    Raises:
        ApiError: 400 if the given one is not of this conversation.
    """
    messages = reading_store.list_older(mysql.autocommit, public_id, message_id, limit)
    if messages is None:
        raise ApiError(errors.BAD_PARAMETER, "msg_id：不是该会话的消息")
    if any(message.withdrawn for message in messages):  # the cache may not know it yet
        recent_cache.distrust(public_id)
    return messages


def list_range(
    tenant_id: int, public_id: str, principal: str, low: str, high: str, limit: int, newest_first: bool
) -> list[Message]:
    """Return the messages between two ids, both included: at most `limit`, from one of the ends.

    Args:
        low, high: message ids, "" for an open end.

    Raises:
        ApiError: 404 if the principal does not take part, 400 for an id that is not of this conversation.
    """

    def fetch(tx: Tx) -> list[Message]:
        bounds = reading_store.find_range_bounds(tx, tenant_id, public_id, principal, low, high)
        if bounds is None:
            raise ApiError(errors.NOT_FOUND, "会话不存在")
        if (low and not bounds.low) or (high and not bounds.high):
            raise ApiError(errors.BAD_PARAMETER, "消息编号：不是该会话的消息")
        return reading_store.list_range(tx, bounds, limit, newest_first)

    messages = mysql.run_autocommit(fetch)
    if any(message.withdrawn for message in messages):
        recent_cache.distrust(public_id)
    elif newest_seq := _find_seq_ahead_of_cache(public_id, principal, messages):
        recent_cache.distrust(public_id, unless_seq=newest_seq)
    return messages


def hide(public_id: str, principal: str) -> None:
    """Hide the conversation from the principal's list until its next message.

    Raises:
        ApiError: 404 if the principal does not take part.
    """
    state = reading_store.hide(mysql.autocommit, public_id, principal)
    if state is None:
        raise ApiError(errors.NOT_FOUND, "会话不存在")
    recent_cache.set_participant(public_id, "", state)


def fetch_newest_pages(public_ids: list[str], principal: str) -> dict[str, MessagePage]:
    """Return the newest message of each conversation in which the principal takes part, in one round trip."""
    if not public_ids:
        return {}
    try:
        replies = redis.run_scripts([recent_cache.build_read_call(public_id, 1, principal) for public_id in public_ids])
    except redis.RedisUnavailableError:
        snapshots = reading_store.fetch_snapshots(mysql.autocommit, public_ids, principal)
        for public_id in snapshots:
            recent_cache.distrust(public_id)
        return {public_id: _build_page(snapshot, principal, 1, "") for public_id, snapshot in snapshots.items()}
    views = {
        public_id: recent_cache.parse_view(public_id, principal, reply)
        for public_id, reply in zip(public_ids, replies, strict=True)
    }
    fresh = {public_id: view.page for public_id, view in views.items() if view.verdict == Verdict.FRESH}
    return fresh | _reload_pages(views, principal)


def _reload_page(public_id: str, principal: str, view: CacheView, limit: int) -> MessagePage:
    """Return the page from MySQL, and confirm or refill the cache."""
    if view.verdict == Verdict.STALE:
        last_seq, changes, state = reading_store.fetch_head(mysql.autocommit, public_id, principal)
        if state and (last_seq, changes) == (view.page.last_seq, view.changes):
            [version] = redis.try_scripts([recent_cache.build_confirm_call(public_id, view, state)]) or [None]
            return MessagePage(view.page.messages, last_seq, state, view.page.tenant_id, version or "")
    snapshot = reading_store.fetch_snapshot(mysql.autocommit, public_id, principal, recent_cache.MAX_MESSAGES)
    if snapshot.find_participant(principal) is None:  # no participant, or no such conversation: nothing is cached
        return _build_page(snapshot, principal, limit, "")
    [version] = _update_cache({public_id: view}, [recent_cache.build_refill_call(public_id, view, snapshot)])
    return _build_page(snapshot, principal, limit, version)


def _find_seq_ahead_of_cache(public_id: str, principal: str, messages: list[Message]) -> int | None:
    """Return the newest seq of messages from MySQL if it may be newer than what the cache shows, else None.

    The cache has those that are older than the last comparison with MySQL.
    """
    newest = max(messages, key=lambda message: message.seq, default=None)
    if newest is None or newest.sent_at < clock.now() - 2 * recent_cache.TRUST_SECONDS * clock.SECOND:
        return None
    try:
        reply = redis.run_script(*recent_cache.build_read_call(public_id, 1, principal))
    except redis.RedisUnavailableError:
        return newest.seq
    is_ahead = recent_cache.parse_view(public_id, principal, reply).page.last_seq < newest.seq
    return newest.seq if is_ahead else None


def _reload_pages(views: dict[str, CacheView], principal: str) -> dict[str, MessagePage]:
    """Return the pages that are not fresh from MySQL in one query, and update the caches in one round trip."""
    missing = {public_id: view for public_id, view in views.items() if view.verdict != Verdict.FRESH}
    if not missing:
        return {}
    snapshots = reading_store.fetch_snapshots(mysql.autocommit, list(missing), principal)
    busy = {public_id for public_id in snapshots if missing[public_id].verdict == Verdict.BUSY}
    for public_id in busy:
        _leave_to_writers(public_id, snapshots[public_id])
    found = {public_id: missing[public_id] for public_id in snapshots if public_id not in busy}
    calls = [_build_update_call(public_id, view, snapshots[public_id]) for public_id, view in found.items()]
    versions = dict(zip(found, _update_cache(found, calls) if calls else [], strict=True))
    return {
        public_id: _build_page(snapshot, principal, 1, versions.get(public_id, ""))
        for public_id, snapshot in snapshots.items()
    }


def _leave_to_writers(public_id: str, snapshot: Snapshot) -> None:
    """Do not refill a cache that its writers are about to change: they complete it.

    A refill would leave it with the newest message alone, and the next reader of a page would reload it. This process
    uses the cache again when it has what the snapshot shows.
    """
    if any(message.withdrawn for message in snapshot.messages):
        recent_cache.distrust(public_id)
    else:
        recent_cache.distrust(public_id, unless_seq=snapshot.last_seq)


def _build_update_call(public_id: str, view: CacheView, snapshot: Snapshot) -> ScriptCall:
    """Confirm a cache that MySQL agrees with; refill another, which then has the newest message alone."""
    agrees = (view.page.last_seq, view.changes) == (snapshot.last_seq, snapshot.changes)
    if view.verdict == Verdict.STALE and agrees:
        return recent_cache.build_confirm_call(public_id, view, snapshot.participants[0])
    return recent_cache.build_refill_call(public_id, view, snapshot)


def _update_cache(views: dict[str, CacheView], calls: list[ScriptCall]) -> list[str]:
    """Run a script for each cache; return each one's version, "" for one that was not updated and is distrusted."""
    versions = redis.try_scripts(calls) or [None] * len(calls)
    for (public_id, view), version in zip(views.items(), versions, strict=True):
        if version:
            recent_cache.trust(public_id, view)
        else:
            recent_cache.distrust(public_id)
    return [version or "" for version in versions]


def _build_page(snapshot: Snapshot, principal: str, limit: int, version: str) -> MessagePage:
    participant = snapshot.find_participant(principal)
    return MessagePage(snapshot.messages[:limit], snapshot.last_seq, participant, snapshot.tenant_id, version)
