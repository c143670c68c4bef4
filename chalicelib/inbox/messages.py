"""Sending site messages, and reading one's own."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import Refused
from chalicelib.http.fields import ID_LIMIT
from chalicelib.identity.callers import Caller
from chalicelib.inbox import store
from chalicelib.inbox.models import AllRead, Asked, MessageRead, Sending, SiteMessage, UnreadCount
from chalicelib.notifications import site_messages
from chalicelib.outbox import outbox
from chalicelib.people import persons

SITE_MESSAGE = 1200  # the type of its event at /notify
IS_READ = {"unread": False, "read": True, "all": None}
NAMED = 10  # unknown people that a refusal names
AT_ONCE = 1_000  # that one statement marks


def send(caller: Caller, sending: Sending, key: str | None) -> None:
    """Send a text to each of these people once, also under a key that was sent before.

    Refused 404, with nothing sent, where somebody is not of the hospital or locked out, 409 for a key that sent
    something else.
    """
    key, user_ids = key or sending.client_msg_id, sorted({one.user_id for one in sending.user_list})
    try:
        mysql.transact(lambda tx: _send(tx, caller, sending.msg_text, user_ids, key))
    except mysql.Duplicate as duplicate:
        if duplicate.key != "resend":
            raise
        _check_resend(caller, sending.msg_text, user_ids, str(key))
    outbox.nudge()


def list_own(caller: Caller, asked: Asked) -> list[SiteMessage]:
    """Return a page of the caller's messages, the newest first. Listing is not reading."""
    who, page = (caller.tenant_id, caller.user_id), (asked.msg_id or ID_LIMIT, asked.page_size)
    rows = mysql.autocommit(lambda tx: store.listed(tx, *who, IS_READ[asked.status], *page))
    return [
        SiteMessage(
            msg_id=row["message_id"],
            msg_text=row["text"],
            msg_date=clock.wire(row["sent_at"]),
            is_read=bool(row["is_read"]),
        )
        for row in rows
    ]


def count_unread(caller: Caller) -> UnreadCount:
    return UnreadCount(count=mysql.autocommit(lambda tx: store.count_unread(tx, caller.tenant_id, caller.user_id)))


def set_read(caller: Caller, read: MessageRead) -> None:
    """One that was read stays so. Refused 404 for what the caller was not sent."""
    if not _mark(caller, [read.msg_id]):
        raise Refused(errors.NOT_FOUND, "消息不存在")


def set_all_read(caller: Caller, whose: AllRead) -> None:
    """Mark what is there now, message by message: one that arrives meanwhile may have a lower id than one that is here,
    for ids are drawn before the commit. Refused 403 for anybody else's."""
    if whose.user_id != caller.user_id:
        raise Refused(errors.NOT_ALLOWED, "只能将自己的消息改为已读")
    there = mysql.autocommit(lambda tx: store.unread(tx, caller.tenant_id, caller.user_id))
    for start in range(0, len(there), AT_ONCE):
        _mark(caller, there[start : start + AT_ONCE])


def _send(tx: Tx, caller: Caller, text: str, user_ids: list[int], key: str | None) -> None:
    now = clock.now()
    # First: what was sent before is answered as before, also when somebody has been locked out since.
    message_id = site_messages.insert(tx, caller.tenant_id, _sender(caller), key, text, user_ids, now)
    unknown = sorted(set(user_ids) - persons.reachable(tx, caller.tenant_id, user_ids))
    if unknown:
        more = f" 等 {len(unknown)} 人" if len(unknown) > NAMED else ""
        raise Refused(errors.NOT_FOUND, f"用户不存在：{'、'.join(map(str, unknown[:NAMED]))}{more}")
    told = {"type": SITE_MESSAGE, "content": {"msg_id": str(message_id)}, "at": now}
    outbox.put(tx, caller.tenant_id, "push", {**told, "principals": [f"user:{user_id}" for user_id in user_ids]})


def _check_resend(caller: Caller, text: str, user_ids: list[int], key: str) -> None:
    what = (_sender(caller), key, text, user_ids)
    if not mysql.autocommit(lambda tx: store.was_sent(tx, caller.tenant_id, *what)):
        raise Refused(errors.CONFLICT, "Idempotency-Key：已用于另一条消息")


def _sender(caller: Caller) -> str:
    """A hospital's own system is nobody in particular."""
    return caller.principal or caller.kind


def _mark(caller: Caller, message_ids: list[int]) -> int:
    who = (caller.tenant_id, caller.user_id)
    return mysql.autocommit(lambda tx: site_messages.mark_read(tx, *who, message_ids, clock.now()))
