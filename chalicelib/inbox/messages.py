"""Sending site messages, and reading one's own."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.http.fields import ID_LIMIT
from chalicelib.identity.callers import Caller
from chalicelib.inbox import store
from chalicelib.inbox.models import AllRead, MessageListQuery, MessageRead, Sending, SiteMessage, UnreadCount
from chalicelib.notifications import site_messages
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people import persons

IS_READ_BY_STATUS = {"unread": False, "read": True, "all": None}
MAX_NAMED_USERS = 10  # unknown people that a refusal names
MARK_READ_BATCH_SIZE = 1_000  # that one statement marks


def send(caller: Caller, sending: Sending, key: str | None) -> None:
    """Send a text to each of these people once, also under a key that was sent before.

    ApiError 404, with nothing sent, where somebody is not of the hospital or locked out, 409 for a key that sent
    something else.
    """
    key, user_ids = key or sending.client_msg_id, sorted({one.user_id for one in sending.user_list})
    try:
        mysql.run_transaction(lambda tx: _insert_message(tx, caller, sending.msg_text, user_ids, key))
    except mysql.DuplicateKeyError as duplicate:
        if duplicate.key != "idempotency_key":
            raise
        _require_same_message(caller, sending.msg_text, user_ids, str(key))
    outbox.wake_worker()


def list_own(caller: Caller, asked: MessageListQuery) -> list[SiteMessage]:
    """Return a page of the caller's messages, the newest first. Listing is not reading."""
    who, page = (caller.tenant_id, caller.user_id), (asked.msg_id or ID_LIMIT, asked.page_size)
    rows = store.list_messages(mysql.autocommit, *who, IS_READ_BY_STATUS[asked.status], *page)
    return [
        SiteMessage(
            msg_id=row["message_id"],
            msg_text=row["text"],
            msg_date=clock.format_wire_time(row["sent_at"]),
            is_read=bool(row["is_read"]),
        )
        for row in rows
    ]


def count_unread(caller: Caller) -> UnreadCount:
    return UnreadCount(count=store.count_unread(mysql.autocommit, caller.tenant_id, caller.user_id))


def mark_read(caller: Caller, read: MessageRead) -> None:
    """One that was read stays so. ApiError 404 for what the caller was not sent."""
    if not _mark_read(caller, [read.msg_id]):
        raise ApiError(errors.NOT_FOUND, "消息不存在")


def mark_all_read(caller: Caller, whose: AllRead) -> None:
    """Mark what is there now, message by message: one that arrives meanwhile may have a lower id than one that is here,
    for ids are drawn before the commit. ApiError 403 for anybody else's."""
    if whose.user_id != caller.user_id:
        raise ApiError(errors.NOT_ALLOWED, "只能将自己的消息改为已读")
    there = store.list_unread_ids(mysql.autocommit, caller.tenant_id, caller.user_id)
    for start in range(0, len(there), MARK_READ_BATCH_SIZE):
        _mark_read(caller, there[start : start + MARK_READ_BATCH_SIZE])


def _insert_message(tx: Tx, caller: Caller, text: str, user_ids: list[int], key: str | None) -> None:
    now = clock.now()
    # First: what was sent before is answered as before, also when somebody has been locked out since.
    message_id = site_messages.insert(tx, caller.tenant_id, _get_sender(caller), key, text, user_ids, now)
    unknown = sorted(set(user_ids) - persons.list_active_ids(tx, caller.tenant_id, user_ids))
    if unknown:
        more = f" 等 {len(unknown)} 人" if len(unknown) > MAX_NAMED_USERS else ""
        raise ApiError(errors.NOT_FOUND, f"用户不存在：{'、'.join(map(str, unknown[:MAX_NAMED_USERS]))}{more}")
    told = {"type": EventType.SITE_MESSAGE, "content": {"msg_id": str(message_id)}, "at": now}
    outbox.enqueue(
        tx, caller.tenant_id, Job.PUBLISH_EVENT, {**told, "principals": [f"user:{user_id}" for user_id in user_ids]}
    )


def _require_same_message(caller: Caller, text: str, user_ids: list[int], key: str) -> None:
    what = (_get_sender(caller), key, text, user_ids)
    if not store.is_same_message(mysql.autocommit, caller.tenant_id, *what):
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一条消息")


def _get_sender(caller: Caller) -> str:
    """A hospital's own system is nobody in particular."""
    return caller.principal or caller.role


def _mark_read(caller: Caller, message_ids: list[int]) -> int:
    who = (caller.tenant_id, caller.user_id)
    return site_messages.mark_read(mysql.autocommit, *who, message_ids, clock.now())
