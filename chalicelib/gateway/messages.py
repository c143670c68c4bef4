"""Sending to a conversation and reading its history, whatever kind of conversation it is."""

from collections.abc import Iterable

from chalicelib import errors
from chalicelib.errors import Refused
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
from chalicelib.identity.callers import DOCTOR, Caller
from chalicelib.messaging import log, msg_data, reading
from chalicelib.messaging.models import Draft, Message
from chalicelib.messaging.reading import Page

PAGE, MOST = 30, 500  # messages; both are the protocol's


def send(caller: Caller, text: Text, key: str | None) -> Sent:
    """Say something wherever the caller has a seat."""
    sent = (text.content, "send_msg", key or text.client_msg_id, text.type)
    draft = Draft(*sent, status=text.status, answers=caller.kind == DOCTOR)
    return Sent(MsgID=log.append(caller.tenant_id, None, text.conversation_id, caller.principal, draft).id)


def newest(caller: Caller, asked: NewestMessages) -> Messages:
    """Return the newest page, which counts as read."""
    page = _newest(caller, asked.conversation_id, PAGE)
    reading.read_up_to(asked.conversation_id, page)
    return _ordered(asked, page.messages)


def last(caller: Caller, asked: NewestMessages) -> Messages:
    return _ordered(asked, _newest(caller, asked.conversation_id, 1).messages)


def last_id(caller: Caller, asked: Conversation) -> NewestMessageId:
    page = _newest(caller, asked.conversation_id, 1)
    return NewestMessageId(MsgId=page.messages[0].id if page.messages else "")


def before(caller: Caller, asked: Around) -> Messages:
    """Return the page that ends with a message."""
    return _ordered(asked, _span(caller, asked, "", asked.msg_id, PAGE, newest_first=True))


def after(caller: Caller, asked: Around) -> Messages:
    """Return the page that begins with a message."""
    return _ordered(asked, _span(caller, asked, asked.msg_id, "", PAGE, newest_first=False))


def between(caller: Caller, asked: Span) -> Messages:
    """Return what lies between two messages, from the end that the order begins with."""
    low, high = asked.start_msg_id or "", asked.end_msg_id or ""
    return _ordered(asked, _span(caller, asked, low, high, MOST, newest_first=asked.desc))


def _newest(caller: Caller, public_id: str, limit: int) -> Page:
    """Two tenants may each have a session:abc, so that a seat says nothing without its tenant."""
    page, _ = reading.newest(public_id, caller.principal, limit)
    if page.seat is None or page.tenant_id != caller.tenant_id:
        raise Refused(errors.NOT_FOUND, "会话不存在")
    return page


def _span(caller: Caller, asked: Conversation, low: str, high: str, limit: int, *, newest_first: bool) -> list[Message]:
    return reading.span(caller.tenant_id, asked.conversation_id, caller.principal, low, high, limit, newest_first)


def _ordered(asked: NewestMessages, messages: Iterable[Message]) -> Messages:
    in_order = sorted(messages, key=lambda message: message.seq, reverse=asked.desc)
    return Messages(Msg=[msg_data.of_message(asked.conversation_id, message) for message in in_order])
