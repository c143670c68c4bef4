"""The conversation log: the one way a message comes to exist, whatever protocol it came by."""

import logging
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.redis import ScriptCall
from chalicelib.errors import ApiError
from chalicelib.messaging import feed, frames, ids, recent_cache, sockets, store
from chalicelib.messaging.models import Message, NewMessage, StoredMessage
from chalicelib.outbox import outbox

logger = logging.getLogger(__name__)

MAX_ID_COLLISIONS = 3  # of message ids, in a row
WITHDRAWAL_WINDOW = 2 * 60 * clock.SECOND  # how long a sender may withdraw


def append(tenant_id: int, kind: str | None, public_id: str, sender: str, draft: NewMessage) -> Message:
    """Write a message exactly once, however often it is sent. When this returns, it is durable and can be seen.

    kind None is any: wherever the sender has a seat.
    ApiError 404 where the sender takes no part, 403 where the conversation is archived, 409 where the idempotency key
    names another message.
    """
    writer = ids.generate_nonce()
    written = recent_cache.run_with_write_intent(
        public_id, writer, lambda: _insert_message(tenant_id, kind, public_id, sender, draft)
    )
    shown = recent_cache.build_publish_call(public_id, writer, written, sender)
    _publish(tenant_id, public_id, written, shown, feed.build_message_event(public_id, written))
    return written.message


def withdraw(tenant_id: int, public_id: str, message_id: str, principal: str) -> Message:
    """Take back a message: its place stays, its content is served to nobody. Doing so again changes nothing.

    The sender may for two minutes; principal "" (an administrator) always. ApiError 404 else.
    """
    writer, now = ids.generate_nonce(), clock.now()

    def take_back() -> StoredMessage:
        written = mysql.run_transaction(
            lambda tx: store.withdraw(tx, tenant_id, public_id, message_id, principal, now - WITHDRAWAL_WINDOW, now)
        )
        if written is None:
            raise ApiError(errors.NOT_FOUND, "消息不存在，或已超过2分钟不能撤回")
        return written

    written = recent_cache.run_with_write_intent(public_id, writer, take_back)
    shown = recent_cache.build_publish_call(public_id, writer, written, "")
    _publish(tenant_id, public_id, written, shown, feed.build_withdrawn_event(public_id, written))
    return written.message


def _publish(tenant_id: int, public_id: str, written: StoredMessage, shown: ScriptCall, event: dict[str, Any]) -> None:
    """Let readers see what was committed, and tell who takes part: at once, or from the outbox where they are many."""
    if written.is_large_conversation:
        outbox.wake_worker()
    try:
        _, *answers = redis.run_scripts(
            [shown, *feed.build_publish_calls(tenant_id, written.recipients, event)], ignore_backoff=True
        )
    except redis.RedisUnavailableError as down:
        recent_cache.distrust(public_id)
        logger.warning("message not published", extra={"ids": {"reason": str(down), "seq": written.message.seq}})
        return
    told = feed.parse_published_events(written.recipients, event, answers)
    sockets.push_frames(tenant_id, frames.build_outgoing_frames(told, written.message))


def _insert_message(tenant_id: int, kind: str | None, public_id: str, sender: str, draft: NewMessage) -> StoredMessage:
    for _ in range(MAX_ID_COLLISIONS):
        try:
            written = store.append(mysql.autocommit, tenant_id, kind, public_id, sender, draft, clock.now())
        except mysql.DuplicateKeyError as duplicate:
            if duplicate.key != "idempotency_key":
                continue  # two conversations drew one message id: the next tick is free
            written = None
        if written := written or _find_duplicate(tenant_id, public_id, sender, draft):
            return written
        raise _build_rejection(tenant_id, kind, public_id, sender)
    raise ApiError(errors.UNAVAILABLE, retry_after=1)


def _find_duplicate(tenant_id: int, public_id: str, sender: str, draft: NewMessage) -> StoredMessage | None:
    """A resend is the same message, also where no new one could be written; another under the same key is refused."""
    found = (
        mysql.run_autocommit(lambda tx: store.find_by_idempotency_key(tx, tenant_id, sender, draft))
        if draft.idempotency_key
        else None
    )
    if found is None:
        return None
    sent_in, content, object_key, extra, written = found
    sent = (sent_in, written.message.type, content, object_key, written.message.status, extra)
    if sent != (public_id, draft.type, draft.content, draft.object_key, draft.status, draft.extra):
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一条消息")
    return written


def _build_rejection(tenant_id: int, kind: str | None, public_id: str, sender: str) -> ApiError:
    if store.is_archived(mysql.autocommit, tenant_id, kind, public_id, sender):
        return ApiError(errors.NOT_ALLOWED, "会话已归档，不能发送消息")
    return ApiError(errors.NOT_FOUND, "会话不存在")
