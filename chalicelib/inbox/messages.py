"""Send site messages; list the caller's own, and mark them as read."""

import hashlib
import json
from typing import Literal

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.http.fields import ID_LIMIT
from chalicelib.identity.callers import Caller, Role
from chalicelib.inbox import store
from chalicelib.inbox.models import (
    MarkAllReadRequest,
    MarkSiteMessageReadRequest,
    MessageListQuery,
    SendSiteMessageRequest,
    SiteMessage,
    UnreadCount,
)
from chalicelib.notifications import event_jobs, site_messages
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.people import doctor_patients, double_submission, persons

IS_READ_BY_STATUS: dict[Literal["unread", "read", "all"], bool | None] = {"unread": False, "read": True, "all": None}
HOSPITAL_ID = 0  # sender_id of messages in the hospital's name
MAX_NAMED_USERS = 10  # unknown users that an error message names
MARK_READ_BATCH_SIZE = 1_000  # messages that one statement marks


def send(caller: Caller, request: SendSiteMessageRequest, idempotency_key: str | None) -> None:
    """Send a text to each recipient, once for each idempotency key.

    Without a key, an equal request within double_submission.WINDOW sends nothing more.

    Raises:
        ApiError: 404 if a recipient is unknown or disabled or, for a doctor, is not an account of their own patients,
            and then nothing is sent; 409 if the key was used for another message.
    """
    key = idempotency_key or request.client_msg_id
    user_ids = sorted({recipient.user_id for recipient in request.user_list})
    try:
        mysql.run_transaction(lambda tx: _insert_message(tx, caller, request.msg_text, user_ids, key))
    except mysql.DuplicateKeyError as duplicate:
        if duplicate.key != "idempotency_key":
            raise
        _require_same_message(caller, request.msg_text, user_ids, str(key))
    outbox.wake_worker()


def list_own(caller: Caller, query: MessageListQuery) -> list[SiteMessage]:
    """Return a page of the caller's messages, newest first. This does not mark them as read."""
    found = store.list_messages(
        mysql.autocommit,
        caller.tenant_id,
        caller.user_id,
        is_read=IS_READ_BY_STATUS[query.status],
        before=query.msg_id or ID_LIMIT,
        limit=query.page_size,
    )
    return [
        SiteMessage(
            msg_id=str(message.message_id),
            msg_text=message.text,
            msg_date=clock.format_wire_time(message.sent_at),
            sender_id=str(message.doctor_id or HOSPITAL_ID),
            sender_name=message.sender_name,
            is_read=message.is_read,
        )
        for message in found
    ]


def count_unread(caller: Caller) -> UnreadCount:
    """Return how many messages the caller has not read."""
    return UnreadCount(count=store.count_unread(mysql.autocommit, caller.tenant_id, caller.user_id))


def mark_read(caller: Caller, request: MarkSiteMessageReadRequest) -> None:
    """Mark one of the caller's messages as read.

    Raises:
        ApiError: 404 if the caller has no such message.
    """
    if not _mark_read(caller, [request.msg_id]):
        raise ApiError(errors.NOT_FOUND, "消息不存在")


def mark_all_read(caller: Caller, request: MarkAllReadRequest) -> None:
    """Mark the messages that the caller has now as read.

    The ids are listed first and marked one by one: a message that arrives meanwhile may have a lower id than one that
    is already visible, because ids are allocated before the commit.

    Raises:
        ApiError: 403 if the request names another user.
    """
    if request.user_id != caller.user_id:
        raise ApiError(errors.NOT_ALLOWED, "只能将自己的消息改为已读")
    unread_ids = store.list_unread_ids(mysql.autocommit, caller.tenant_id, caller.user_id)
    for start in range(0, len(unread_ids), MARK_READ_BATCH_SIZE):
        _mark_read(caller, unread_ids[start : start + MARK_READ_BATCH_SIZE])


def _insert_message(tx: Tx, caller: Caller, text: str, user_ids: list[int], key: str | None) -> None:
    now, sender = clock.now(), _get_sender(caller)
    if key is None:
        double_submission.lock_sender(tx, caller.tenant_id, sender)
        content = json.dumps([text, user_ids], ensure_ascii=False)
        key, after = double_submission.build_key_range(hashlib.sha256(content.encode()).digest())
        if store.has_key_in_range(tx, caller.tenant_id, sender, after, key):
            return
    doctor_id = caller.user_id if caller.role == Role.DOCTOR else None
    # Insert before checking the recipients: a duplicate request returns the first one's result, also if a recipient has
    # been disabled since.
    message_id = site_messages.insert(tx, caller.tenant_id, sender, key, text, user_ids, now, doctor_id)
    _require_recipients(tx, caller, user_ids)
    principals = [f"user:{user_id}" for user_id in user_ids]
    event_jobs.enqueue_event(tx, caller.tenant_id, principals, EventType.SITE_MESSAGE, {"msg_id": str(message_id)}, now)


def _require_recipients(tx: Tx, caller: Caller, user_ids: list[int]) -> None:
    """Raise ApiError(NOT_FOUND), which names the users to whom the caller may not write.

    A doctor does not learn whether such a user exists.
    """
    if caller.role == Role.DOCTOR:
        permitted = doctor_patients.list_own_account_ids(tx, caller.tenant_id, caller.user_id, user_ids)
        problem = "用户不存在，或不是您的患者"
    else:
        permitted, problem = persons.list_active_ids(tx, caller.tenant_id, user_ids), "用户不存在"
    others = sorted(set(user_ids) - permitted)
    if others:
        more = f" 等 {len(others)} 人" if len(others) > MAX_NAMED_USERS else ""
        raise ApiError(errors.NOT_FOUND, f"{problem}：{'、'.join(map(str, others[:MAX_NAMED_USERS]))}{more}")


def _require_same_message(caller: Caller, text: str, user_ids: list[int], key: str) -> None:
    sender = _get_sender(caller)
    if not store.is_same_message(mysql.autocommit, caller.tenant_id, sender, key, text, user_ids):
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一条消息")


def _get_sender(caller: Caller) -> str:
    """Return the caller's principal; their role if they have none, as a hospital's own system."""
    return caller.principal or caller.role


def _mark_read(caller: Caller, message_ids: list[int]) -> int:
    return store.mark_read(mysql.autocommit, caller.tenant_id, caller.user_id, message_ids, clock.now())
