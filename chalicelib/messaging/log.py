"""The conversation log: the one way a message comes to exist or to be read, whatever protocol it came by."""

from collections.abc import Sequence
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.redis import Call
from chalicelib.errors import Refused
from chalicelib.messaging import ids, store, tail
from chalicelib.messaging.models import Draft, Message

CLASHES = 3  # of message ids, in a row


def append(tenant_id: int, kind: str, public_id: str, sender: str, draft: Draft) -> Message:
    """Write a message exactly once, however often it is sent. When this returns, it is durable and can be seen.

    Refused 404 where the sender takes no part, 403 where the conversation is archived, 409 where the retry key
    names another message.
    """
    writer = ids.nonce()
    tail.mark(public_id, writer)
    try:
        message = _stored(tenant_id, kind, public_id, sender, draft)
    except Refused as refused:
        if refused.kind is not errors.UNAVAILABLE:  # then it may be committed: the mark keeps readers with MySQL
            tail.unmark(public_id, writer)
        raise
    tail.publish(public_id, writer, message)
    return message


def newest(public_id: str, limit: int, beside: Sequence[Call] = ()) -> tuple[list[Message], list[Any]]:
    """Return up to 100 newest messages, newest first, and what the scripts beside answered in the same round trip.

    Without Redis each of those answers is None. Who may read is for the caller to find out.
    """
    try:
        seen, *answers = redis.run_all([tail.reading(public_id, limit, ids.nonce()), *beside])
    except redis.Down:
        return mysql.autocommit(lambda tx: store.newest(tx, public_id, limit)), [None] * len(beside)
    return _believed(public_id, tail.view(seen), limit), answers


def older(public_id: str, message_id: str, limit: int) -> list[Message]:
    """Return messages strictly older than the given one, newest first. Refused 400 where it is not of this log."""
    messages = mysql.autocommit(lambda tx: store.older(tx, public_id, message_id, limit))
    if messages is None:
        raise Refused(errors.BAD_PARAMETER, "msg_id：不是该会话的消息")
    return messages


def _stored(tenant_id: int, kind: str, public_id: str, sender: str, draft: Draft) -> Message:
    for _ in range(CLASHES):
        try:
            message = mysql.autocommit(
                lambda tx: store.append(tx, tenant_id, kind, public_id, sender, draft, clock.now())
            )
        except mysql.Duplicate as duplicate:
            if duplicate.key == "resend":
                return _sent_before(tenant_id, public_id, sender, draft)
            continue  # two conversations drew one message id: the next tick is free
        if message is None:
            raise _why_not(tenant_id, kind, public_id, sender)
        return message
    raise Refused(errors.UNAVAILABLE, retry_after=1)


def _sent_before(tenant_id: int, public_id: str, sender: str, draft: Draft) -> Message:
    """A resend is the same message; another message under the same key is refused."""
    sent_in, message = mysql.autocommit(lambda tx: store.find_sent(tx, tenant_id, sender, draft))
    if (sent_in, message.type, message.content) != (public_id, draft.type, draft.content):
        raise Refused(errors.CONFLICT, "Idempotency-Key：已用于另一条消息")
    return message


def _why_not(tenant_id: int, kind: str, public_id: str, sender: str) -> Refused:
    if mysql.autocommit(lambda tx: store.is_archived(tx, tenant_id, kind, public_id, sender)):
        return Refused(errors.NOT_ALLOWED, "会话已归档，不能发送消息")
    return Refused(errors.NOT_FOUND, "会话不存在")


def _believed(public_id: str, seen: tail.View, limit: int) -> list[Message]:
    if seen.verdict == "whole":
        return seen.messages
    if seen.verdict == "stale" and mysql.autocommit(lambda tx: store.last_seq(tx, public_id)) == seen.last_seq:
        tail.confirm(public_id, seen)
        return seen.messages
    messages = mysql.autocommit(lambda tx: store.newest(tx, public_id, tail.KEPT))
    tail.refill(public_id, seen, messages)
    return messages[:limit]
