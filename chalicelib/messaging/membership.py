"""Membership of the gateway's conversations: create, join, leave, remove, archive.

A change acquires its locks in the order of the log - the conversation, then its participants - so that it comes either
before or after each message and each other change. It runs under a write intent, and afterwards the participants'
states are removed from the recent-message cache: a removed participant no longer sees cached messages:
at once, or after at most 10 s if Redis could not be reached.
"""

import hashlib
import json
from collections.abc import Callable, Mapping

from chalicelib import clock, errors
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.messaging import ids, listings, membership_store, recent_cache, store
from chalicelib.messaging.models import ConversationKind, ConversationSummary
from chalicelib.people import double_submission

MAX_PARTICIPANTS = 500
NEWEST = 2**63 - 1  # above every conversation_id


def create(
    tenant_id: int, kind: str, conversation_type: int, creator: str, principals: list[str], idempotency_key: str | None
) -> str:
    """Create a conversation and return its public id, the same one each time for one creator and key.

    Without a key, an equal request within double_submission.WINDOW gets the same conversation.

    Raises:
        ApiError: 409 if the key was used for another request.
    """
    request = json.dumps([kind, conversation_type, sorted(principals)])
    request_digest = hashlib.sha256(request.encode()).digest()

    def insert(tx: Tx) -> str:
        key = idempotency_key
        if key is None:
            double_submission.lock_sender(tx, tenant_id, creator)
            key, after = double_submission.build_key_range(request_digest)
            if found := membership_store.find_by_key_range(tx, tenant_id, creator, after, key):
                return found
        public_id = ids.generate_public_id()
        conversation_id = store.create_conversation(
            tx, tenant_id, public_id, kind, principals, clock.now(), conversation_type
        )
        membership_store.set_creator(tx, conversation_id, creator, key, request_digest)
        return public_id

    try:
        return mysql.run_transaction(insert)
    except mysql.DuplicateKeyError:
        if idempotency_key is None:
            raise
    found = membership_store.find_by_idempotency_key(mysql.autocommit, tenant_id, creator, idempotency_key)
    if found is None or found.request_digest != request_digest:
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一个会话")
    return found.public_id


def join(tenant_id: int, public_id: str, principal: str) -> None:
    """Join a conversation by its id. Nothing changes for a participant.

    Raises:
        ApiError: 404 if it does not exist or cannot be joined by its id, 403 if it is archived or the principal was
            removed from it, 409 if it is full.
    """
    conversation_id = _require_conversation(tenant_id, public_id, (ConversationKind.CLIENT,))

    def set_joined(tx: Tx) -> None:
        now = clock.now()
        conversation = membership_store.lock_conversation(tx, conversation_id)
        locked = membership_store.insert_and_lock_participants(tx, tenant_id, conversation_id, [principal], now)
        if not locked[principal].has_left:
            return
        if locked[principal].was_removed:
            raise ApiError(errors.NOT_ALLOWED, "您已被移出该会话，不能再加入")
        if conversation.archived:
            raise ApiError(errors.NOT_ALLOWED, "会话已归档，不能加入")
        _set_joined_within_limit(tx, conversation_id, [principal], conversation.last_seq, now)
        listings.copy_to_participants(tx, tenant_id, [conversation_id])

    _apply_change(public_id, [principal], set_joined)


def leave(tenant_id: int, public_id: str, principal: str) -> None:
    """Leave a conversation. Nothing changes for a principal who has left already.

    Raises:
        ApiError: 404 for a principal who never took part, and if only the hospital's system changes who takes part.
    """
    conversation_id = _require_conversation(tenant_id, public_id, (ConversationKind.CLIENT,))

    def set_left(tx: Tx) -> None:
        membership_store.lock_conversation(tx, conversation_id)
        if not membership_store.lock_participants(tx, conversation_id, [principal]):
            raise _build_not_found_error()
        membership_store.set_left(tx, conversation_id, [principal], clock.now(), removed=False)
        membership_store.count_participants(tx, conversation_id)
        listings.copy_to_participants(tx, tenant_id, [conversation_id])

    _apply_change(public_id, [principal], set_left)


def add_participants(tenant_id: int, public_id: str, principals: list[str]) -> None:
    """Add participants, also those that were removed.

    Raises:
        ApiError: 404 if there is no such conversation, 409 if it would have more than MAX_PARTICIPANTS.
    """
    conversation_id = _require_conversation(tenant_id, public_id, (ConversationKind.CLIENT, ConversationKind.SERVICE))

    def set_joined(tx: Tx) -> None:
        now = clock.now()
        conversation = membership_store.lock_conversation(tx, conversation_id)
        membership_store.insert_and_lock_participants(tx, tenant_id, conversation_id, principals, now)
        _set_joined_within_limit(tx, conversation_id, principals, conversation.last_seq, now)
        listings.copy_to_participants(tx, tenant_id, [conversation_id])

    _apply_change(public_id, principals, set_joined)


def remove_participants(tenant_id: int, public_id: str, principals: list[str]) -> None:
    """Remove participants, who then read and receive nothing more. Others among the principals are ignored.

    Raises:
        ApiError: 404 if there is no such conversation.
    """
    conversation_id = _require_conversation(tenant_id, public_id, (ConversationKind.CLIENT, ConversationKind.SERVICE))

    def set_left(tx: Tx) -> None:
        membership_store.lock_conversation(tx, conversation_id)
        membership_store.lock_participants(tx, conversation_id, principals)
        membership_store.set_left(tx, conversation_id, principals, clock.now(), removed=True)
        membership_store.count_participants(tx, conversation_id)
        listings.copy_to_participants(tx, tenant_id, [conversation_id])

    _apply_change(public_id, principals, set_left)


def set_archived(tenant_id: int, public_ids: list[str], archived: bool) -> None:
    """Archive conversations, which then accept no messages, or reopen them: all of them or none.

    Caches are not affected, as each send checks MySQL.

    Raises:
        ApiError: 404 if one of them does not exist.
    """
    unique_ids = sorted(set(public_ids))
    kinds = (ConversationKind.CLIENT, ConversationKind.SERVICE)

    def update(tx: Tx) -> None:
        archived_at = clock.now() if archived else None
        if membership_store.set_archived(tx, tenant_id, unique_ids, kinds, archived_at) < len(unique_ids):
            raise _build_not_found_error()

    mysql.run_transaction(update)


def invalidate_participants(principals_by_conversation: Mapping[str, list[str]]) -> None:
    """Drop cached states of participants that a committed transaction has added or removed, by public id."""
    calls = [
        recent_cache.build_remove_participants_call(public_id, redis.generate_nonce(), principals)
        for public_id, principals in principals_by_conversation.items()
    ]
    if redis.try_scripts(calls, ignore_backoff=True) is None:
        for public_id in principals_by_conversation:
            recent_cache.distrust(public_id)


def list_joined(tenant_id: int, principal: str, after: str, limit: int) -> list[str]:
    """Return the public ids of conversations in which a principal takes part, of all kinds, the newest first.

    Args:
        after: the last one of the page before, "" for the first page. The principal may have left it since.

    Raises:
        ApiError: 404 if the principal has never taken part in that one.
    """
    tx, before = mysql.autocommit, NEWEST
    if after:
        found = membership_store.find_joined_id(tx, tenant_id, after, principal)
        if found is None:
            raise _build_not_found_error()
        before = found
    return membership_store.list_joined(tx, tenant_id, principal, before, limit)


def find_summary(tenant_id: int, public_id: str, principal: str) -> ConversationSummary | None:
    """Return what a participant may know of a conversation; None if the principal does not take part."""
    return membership_store.find_summary(mysql.autocommit, tenant_id, public_id, principal)


def _require_conversation(tenant_id: int, public_id: str, kinds: tuple[str, ...]) -> int:
    found = membership_store.find_conversation_id(mysql.autocommit, tenant_id, public_id, kinds)
    if found is None:
        raise _build_not_found_error()
    return found


def _build_not_found_error() -> ApiError:
    return ApiError(errors.NOT_FOUND, "会话不存在")


def _set_joined_within_limit(tx: Tx, conversation_id: int, principals: list[str], last_seq: int, now: int) -> None:
    membership_store.set_joined(tx, conversation_id, principals, last_seq, now)
    if membership_store.count_participants(tx, conversation_id) > MAX_PARTICIPANTS:
        raise ApiError(errors.CONFLICT, f"会话成员已满，最多 {MAX_PARTICIPANTS} 人")


def _apply_change(public_id: str, principals: list[str], change: Callable[[Tx], None]) -> None:
    intent, _ = recent_cache.run_with_write_intent(public_id, lambda: mysql.run_transaction(change))
    if not redis.try_script(
        *recent_cache.build_remove_participants_call(public_id, intent, principals), ignore_backoff=True
    ):
        recent_cache.distrust(public_id)
