"""The conversation log: messages of all protocols are sent and withdrawn here."""

import logging

from chalicelib import clock, errors
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.redis import ScriptBatch, ScriptCall
from chalicelib.errors import ApiError
from chalicelib.messaging import fan_out, feed, recent_cache, socket_push, store, withdrawal_store
from chalicelib.messaging.feed import Event
from chalicelib.messaging.models import Message, NewMessage, StoredMessage, Withdrawal
from chalicelib.outbox import outbox

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3  # of writing a message, if others change what it depends on at the same moment
WITHDRAWAL_WINDOW = 2 * 60 * clock.SECOND  # in which a sender may withdraw
ANY_SENDER = ""


def append(
    tenant_id: int,
    kind: str | None,
    public_id: str,
    sender: str,
    new_message: NewMessage,
    batch: ScriptBatch | None = None,
) -> Message:
    """Write a message exactly once, however often it is sent. When this returns, it is durable and visible.

    Args:
        kind: the required ConversationKind, or None for any.
        batch: the result of `recent_cache.prepare_write_intent` for this conversation.

    Raises:
        ApiError: 404 if the sender does not take part, 403 if the conversation is archived, 409 if the idempotency key
            names another message, 503 after MAX_ATTEMPTS.
    """
    intent, stored = recent_cache.run_with_write_intent(
        public_id, lambda: _insert_message(tenant_id, kind, public_id, sender, new_message), batch
    )
    cache_call = recent_cache.build_publish_call(public_id, intent, stored, sender)
    _publish(tenant_id, public_id, stored, cache_call, feed.build_message_event(public_id, stored))
    return stored.message


def withdraw(
    tenant_id: int, public_id: str, message_id: str, by: str, *, sender: str | None = None, reason: str = ""
) -> Message:
    """Withdraw a message: its place remains, its content is no longer returned. It is idempotent.

    Args:
        by: the principal who withdraws it, which is stored with the reason.
        sender: the principal whose message it must be, sent within WITHDRAWAL_WINDOW; by default the one who withdraws
            it. ANY_SENDER (for an admin): anybody's, however old.

    Raises:
        ApiError: 404 if there is no such message.
    """
    withdrawal, now = Withdrawal(by, by if sender is None else sender, reason), clock.now()

    def update() -> StoredMessage:
        stored = mysql.run_transaction(
            lambda tx: withdrawal_store.withdraw(
                tx, tenant_id, public_id, message_id, withdrawal, now - WITHDRAWAL_WINDOW, now
            )
        )
        if stored is None:
            raise ApiError(errors.NOT_FOUND, "消息不存在，或已超过2分钟不能撤回")
        return stored

    intent, stored = recent_cache.run_with_write_intent(public_id, update)
    cache_call = recent_cache.build_publish_call(public_id, intent, stored, "")
    _publish(tenant_id, public_id, stored, cache_call, feed.build_withdrawn_event(public_id, stored))
    return stored.message


def _publish(tenant_id: int, public_id: str, stored: StoredMessage, cache_call: ScriptCall, event: Event) -> None:
    """Show a committed change to readers and notify participants: at once, or by the outbox if they are many.

    If Redis is unavailable, the outbox notifies them later.
    """
    if stored.is_large_conversation or stored.withdraws_file:
        outbox.wake_worker()
    try:
        _, *replies = redis.run_scripts(
            [cache_call, *feed.build_publish_calls(tenant_id, stored.recipients, event)], ignore_backoff=True
        )
    except redis.RedisUnavailableError as error:
        recent_cache.distrust(public_id)
        logger.warning("message not published", extra={"ids": {"reason": str(error), "seq": stored.message.seq}})
        if not stored.is_large_conversation:  # its job notifies the participants in any case
            fan_out.notify_later(tenant_id, event)
        return
    socket_push.push_events(tenant_id, feed.parse_published_events(stored.recipients, event, replies), stored.message)


def _insert_message(
    tenant_id: int, kind: str | None, public_id: str, sender: str, new_message: NewMessage
) -> StoredMessage:
    for _ in range(MAX_ATTEMPTS):
        now = clock.now()
        try:
            stored = store.append(mysql.autocommit, tenant_id, kind, public_id, sender, new_message, now)
        except mysql.DuplicateKeyError as duplicate:
            if duplicate.key != "idempotency_key":
                continue  # two conversations drew the same message id, or this one was created meanwhile
            stored = None
        except mysql.CheckViolationError:
            continue  # the conversation was created meanwhile
        except mysql.NullViolationError:
            stored = None  # the sender does not take part
        if stored := stored or _find_duplicate(tenant_id, kind, public_id, sender, new_message, now):
            return stored
        raise _build_rejection(tenant_id, kind, public_id, sender)
    raise ApiError(errors.UNAVAILABLE, retry_after=1)


def _find_duplicate(
    tenant_id: int, kind: str | None, public_id: str, sender: str, new_message: NewMessage, now: int
) -> StoredMessage | None:
    """Return the message that was sent before with this key, even if the conversation no longer accepts messages.

    Without a key, return an equal message that was submitted just before.

    Raises:
        ApiError: 409 if the key names another message.
    """
    if store.is_merged_with_equal(new_message):
        return store.find_double_submission(mysql.autocommit, tenant_id, kind, public_id, sender, new_message, now)
    if not new_message.idempotency_key:
        return None
    found = store.find_by_idempotency_key(mysql.autocommit, tenant_id, sender, new_message)
    if found is None:
        return None
    message = found.stored.message
    sent = (found.public_id, message.type, found.content, found.object_key, message.status, found.extra)
    if sent != (
        public_id,
        new_message.type,
        new_message.content,
        new_message.object_key,
        new_message.status,
        new_message.extra,
    ):
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一条消息")
    return found.stored


def _build_rejection(tenant_id: int, kind: str | None, public_id: str, sender: str) -> ApiError:
    if store.is_archived(mysql.autocommit, tenant_id, kind, public_id, sender):
        return ApiError(errors.NOT_ALLOWED, "会话已归档，不能发送消息")
    return ApiError(errors.NOT_FOUND, "会话不存在")
