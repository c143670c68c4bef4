"""Sending to a conversation and reading its history, whatever kind of conversation it is."""

from collections.abc import Iterable

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.gateway.models import (
    Around,
    Conversation,
    Messages,
    NewestMessageId,
    NewestMessages,
    Sent,
    Span,
    Text,
)
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import log, msg_data, reading
from chalicelib.messaging.models import Message, NewMessage
from chalicelib.messaging.reading import Page
from chalicelib.wechat_account.unread_replies import ENQUEUE_UNREAD_REPLY

PAGE_SIZE, MAX_RANGE_SIZE = 30, 500  # messages; both are the protocol's


def send(caller: Caller, text: Text, key: str | None) -> Sent:
    """Say something wherever the caller has a seat."""
    sent = (text.content, "send_msg", key or text.client_msg_id, text.type)
    draft = NewMessage(
        *sent, status=text.status, enqueue_sql=ENQUEUE_UNREAD_REPLY if caller.role == Role.DOCTOR else ""
    )
    return Sent(MsgID=log.append(caller.tenant_id, None, text.conversation_id, caller.principal, draft).id)


def list_newest(caller: Caller, asked: NewestMessages) -> Messages:
    """Return the newest page, which counts as read."""
    page = _fetch_newest_page(caller, asked.conversation_id, PAGE_SIZE)
    reading.mark_read(asked.conversation_id, page)
    return _build_messages(asked, page.messages)


def list_last(caller: Caller, asked: NewestMessages) -> Messages:
    return _build_messages(asked, _fetch_newest_page(caller, asked.conversation_id, 1).messages)


def get_last_id(caller: Caller, asked: Conversation) -> NewestMessageId:
    page = _fetch_newest_page(caller, asked.conversation_id, 1)
    return NewestMessageId(MsgId=page.messages[0].id if page.messages else "")


def list_before(caller: Caller, asked: Around) -> Messages:
    """Return the page that ends with a message."""
    return _build_messages(asked, _list_range(caller, asked, "", asked.msg_id, PAGE_SIZE, newest_first=True))


def list_after(caller: Caller, asked: Around) -> Messages:
    """Return the page that begins with a message."""
    return _build_messages(asked, _list_range(caller, asked, asked.msg_id, "", PAGE_SIZE, newest_first=False))


def list_between(caller: Caller, asked: Span) -> Messages:
    """Return what lies between two messages, from the end that the order begins with."""
    low, high = asked.start_msg_id or "", asked.end_msg_id or ""
    return _build_messages(asked, _list_range(caller, asked, low, high, MAX_RANGE_SIZE, newest_first=asked.desc))


def _fetch_newest_page(caller: Caller, public_id: str, limit: int) -> Page:
    """Two tenants may each have a session:abc, so that a seat says nothing without its tenant."""
    page, _ = reading.fetch_newest_page(public_id, caller.principal, limit)
    if page.participant is None or page.tenant_id != caller.tenant_id:
        raise ApiError(errors.NOT_FOUND, "会话不存在")
    return page


def _list_range(
    caller: Caller, asked: Conversation, low: str, high: str, limit: int, *, newest_first: bool
) -> list[Message]:
    return reading.list_range(caller.tenant_id, asked.conversation_id, caller.principal, low, high, limit, newest_first)


def _build_messages(asked: NewestMessages, messages: Iterable[Message]) -> Messages:
    in_order = sorted(messages, key=lambda message: message.seq, reverse=asked.desc)
    return Messages(Msg=[msg_data.build_msg_data(asked.conversation_id, message) for message in in_order])
