"""Who takes part in the gateway's conversations: made, joined, left, put out of, archived.

A change takes its locks in the order of the log - the conversation, then the seats - so that it comes either before or
after each message and each other change. Around it stands a writer's mark, and after it the tail forgets the seats:
who was put out is not shown what Redis holds, at once, or within 10 s where Redis could not be told.
"""

import hashlib
import json
from collections.abc import Callable, Mapping

from chalicelib import clock, errors
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.messaging import ids, membership_store, recent_cache, store
from chalicelib.messaging.models import ConversationKind, ConversationSummary

MAX_PARTICIPANTS = 500  # participants


def create(
    tenant_id: int, kind: str, conversation_type: int, creator: str, principals: list[str], idempotency_key: str | None
) -> str:
    """Return the public id of a new conversation, the same one each time for one creator and key.

    ApiError 409 where the key made another one.
    """
    asked = json.dumps([kind, conversation_type, sorted(principals)])
    request_digest = hashlib.sha256(asked.encode()).digest()

    def make(tx: Tx) -> str:
        public_id = ids.generate_public_id()
        made = (tenant_id, public_id, kind, principals, clock.now(), conversation_type)
        membership_store.set_creator(tx, store.create_conversation(tx, *made), creator, idempotency_key, request_digest)
        return public_id

    try:
        return mysql.run_transaction(make)
    except mysql.DuplicateKeyError:
        if idempotency_key is None:
            raise
    found = membership_store.find_by_idempotency_key(mysql.autocommit, tenant_id, creator, idempotency_key)
    if found is None or found[1] != request_digest:
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一个会话")
    return found[0]


def join(tenant_id: int, public_id: str, principal: str) -> None:
    """Take a seat by knowing the id. Who sits there already stays as they are.

    ApiError 404 for what cannot be joined so, 403 where archived and for who was put out, 409 where it is full.
    """
    conversation_id = _require_conversation(tenant_id, public_id, (ConversationKind.CLIENT,))

    def sit(tx: Tx) -> None:
        now = clock.now()
        conversation = membership_store.lock_conversation(tx, conversation_id)
        seat = membership_store.insert_and_lock_participants(tx, tenant_id, conversation_id, [principal], now)[
            principal
        ]
        if seat["left_at"] is None:
            return
        if seat["removed_at"] is not None:
            raise ApiError(errors.NOT_ALLOWED, "您已被移出该会话，不能再加入")
        if conversation["archived_at"] is not None:
            raise ApiError(errors.NOT_ALLOWED, "会话已归档，不能加入")
        _set_joined_within_limit(tx, conversation_id, [principal], conversation["last_seq"], now)

    _apply_change(public_id, [principal], sit)


def leave(tenant_id: int, public_id: str, principal: str) -> None:
    """Give up one's seat; who has left already may say so again. ApiError 404 for who never had one, and where only
    the hospital seats people."""
    conversation_id = _require_conversation(tenant_id, public_id, (ConversationKind.CLIENT,))

    def stand(tx: Tx) -> None:
        membership_store.lock_conversation(tx, conversation_id)
        if not membership_store.lock_participants(tx, conversation_id, [principal]):
            raise _build_not_found_error()
        membership_store.set_left(tx, conversation_id, [principal], clock.now(), kicked=False)

    _apply_change(public_id, [principal], stand)


def add_participants(tenant_id: int, public_id: str, principals: list[str]) -> None:
    """The hospital seats people, also those it has put out. ApiError 404, or 409 where not all of them find room."""
    conversation_id = _require_conversation(tenant_id, public_id, (ConversationKind.CLIENT, ConversationKind.SERVICE))

    def sit(tx: Tx) -> None:
        now = clock.now()
        conversation = membership_store.lock_conversation(tx, conversation_id)
        membership_store.insert_and_lock_participants(tx, tenant_id, conversation_id, principals, now)
        _set_joined_within_limit(tx, conversation_id, principals, conversation["last_seq"], now)

    _apply_change(public_id, principals, sit)


def remove_participants(tenant_id: int, public_id: str, principals: list[str]) -> None:
    """The hospital takes people's seats away: they read and hear nothing more. Strangers among them change nothing."""
    conversation_id = _require_conversation(tenant_id, public_id, (ConversationKind.CLIENT, ConversationKind.SERVICE))

    def stand(tx: Tx) -> None:
        membership_store.lock_conversation(tx, conversation_id)
        membership_store.lock_participants(tx, conversation_id, principals)
        membership_store.set_left(tx, conversation_id, principals, clock.now(), kicked=True)

    _apply_change(public_id, principals, stand)


def set_archived(tenant_id: int, public_ids: list[str], archived: bool) -> None:
    """Close conversations to new messages, or open them again: all of them, or ApiError 404.

    No reader needs to hear of it: a send asks MySQL.
    """
    wanted = sorted(set(public_ids))

    def change(tx: Tx) -> None:
        at = clock.now() if archived else None
        if membership_store.set_archived(
            tx, tenant_id, wanted, (ConversationKind.CLIENT, ConversationKind.SERVICE), at
        ) < len(wanted):
            raise _build_not_found_error()

    mysql.run_transaction(change)


def invalidate_participants(seats: Mapping[str, list[str]]) -> None:
    """Seats, by public id, were taken or given up in a transaction that has committed: no tail shows them as before."""
    calls = [
        recent_cache.build_forget_participants_call(public_id, ids.generate_nonce(), principals)
        for public_id, principals in seats.items()
    ]
    if redis.try_scripts(calls, ignore_backoff=True) is None:
        for public_id in seats:
            recent_cache.distrust(public_id)


def list_joined(tenant_id: int, principal: str) -> list[str]:
    """Return the public ids of all conversations that a principal takes part in, of whatever kind."""
    return membership_store.list_joined(mysql.autocommit, tenant_id, principal)


def find_summary(tenant_id: int, public_id: str, principal: str) -> ConversationSummary | None:
    """Return what a participant may know of a conversation; None for anybody else."""
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
    writer = ids.generate_nonce()
    recent_cache.run_with_write_intent(public_id, writer, lambda: mysql.run_transaction(change))
    if not redis.try_script(
        *recent_cache.build_forget_participants_call(public_id, writer, principals), ignore_backoff=True
    ):
        recent_cache.distrust(public_id)
