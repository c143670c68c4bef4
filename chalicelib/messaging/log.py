"""The conversation log: the one way a message comes to exist, whatever protocol it came by."""

import logging
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.redis import Call
from chalicelib.errors import Refused
from chalicelib.messaging import feed, frames, ids, recent_cache, sockets, store
from chalicelib.messaging.models import Draft, Message, Written
from chalicelib.outbox import outbox

logger = logging.getLogger(__name__)

CLASHES = 3  # of message ids, in a row
REGRET = 2 * 60 * clock.SECOND  # how long a sender may withdraw


def append(tenant_id: int, kind: str | None, public_id: str, sender: str, draft: Draft) -> Message:
    """Write a message exactly once, however often it is sent. When this returns, it is durable and can be seen.

    kind None is any: wherever the sender has a seat.
    Refused 404 where the sender takes no part, 403 where the conversation is archived, 409 where the retry key
    names another message.
    """
    writer = ids.nonce()
    written = recent_cache.marked(public_id, writer, lambda: _stored(tenant_id, kind, public_id, sender, draft))
    shown = recent_cache.publishing(public_id, writer, written, sender)
    _show(tenant_id, public_id, written, shown, feed.message(public_id, written))
    return written.message


def withdraw(tenant_id: int, public_id: str, message_id: str, principal: str) -> Message:
    """Take back a message: its place stays, its content is served to nobody. Doing so again changes nothing.

    The sender may for two minutes; principal "" (an administrator) always. Refused 404 else.
    """
    writer, now = ids.nonce(), clock.now()

    def take_back() -> Written:
        written = mysql.transact(
            lambda tx: store.withdraw(tx, tenant_id, public_id, message_id, principal, now - REGRET, now)
        )
        if written is None:
            raise Refused(errors.NOT_FOUND, "消息不存在，或已超过2分钟不能撤回")
        return written

    written = recent_cache.marked(public_id, writer, take_back)
    shown = recent_cache.publishing(public_id, writer, written, "")
    _show(tenant_id, public_id, written, shown, feed.withdrawn(public_id, written))
    return written.message


def _show(tenant_id: int, public_id: str, written: Written, shown: Call, event: dict[str, Any]) -> None:
    """Let readers see what was committed, and tell who takes part: at once, or from the outbox where they are many."""
    if written.many:
        outbox.nudge()
    try:
        _, *answers = redis.run_all([shown, *feed.emitting(tenant_id, written.principals, event)], insist=True)
    except redis.Down as down:
        recent_cache.doubt(public_id)
        logger.warning("message not published", extra={"ids": {"reason": str(down), "seq": written.message.seq}})
        return
    told = feed.told(written.principals, event, answers)
    sockets.push(tenant_id, frames.parcels(told, written.message))


def _stored(tenant_id: int, kind: str | None, public_id: str, sender: str, draft: Draft) -> Written:
    for _ in range(CLASHES):
        try:
            written = mysql.autocommit(
                lambda tx: store.append(tx, tenant_id, kind, public_id, sender, draft, clock.now())
            )
        except mysql.Duplicate as duplicate:
            if duplicate.key != "resend":
                continue  # two conversations drew one message id: the next tick is free
            written = None
        if written := written or _sent_before(tenant_id, public_id, sender, draft):
            return written
        raise _why_not(tenant_id, kind, public_id, sender)
    raise Refused(errors.UNAVAILABLE, retry_after=1)


def _sent_before(tenant_id: int, public_id: str, sender: str, draft: Draft) -> Written | None:
    """A resend is the same message, also where no new one could be written; another under the same key is refused."""
    found = mysql.autocommit(lambda tx: store.find_sent(tx, tenant_id, sender, draft)) if draft.retry_key else None
    if found is None:
        return None
    sent_in, content, object_key, extra, written = found
    sent = (sent_in, written.message.type, content, object_key, written.message.status, extra)
    if sent != (public_id, draft.type, draft.content, draft.object_key, draft.status, draft.extra):
        raise Refused(errors.CONFLICT, "Idempotency-Key：已用于另一条消息")
    return written


def _why_not(tenant_id: int, kind: str | None, public_id: str, sender: str) -> Refused:
    if mysql.autocommit(lambda tx: store.is_archived(tx, tenant_id, kind, public_id, sender)):
        return Refused(errors.NOT_ALLOWED, "会话已归档，不能发送消息")
    return Refused(errors.NOT_FOUND, "会话不存在")
