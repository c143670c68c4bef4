"""Sending to a conversation of any kind and reading its history."""

from collections.abc import Iterable

from chalicelib import errors
from chalicelib.adapters.redis import ScriptBatch
from chalicelib.errors import ApiError
from chalicelib.gateway.models import (
    ConversationRequest,
    Messages,
    NewestMessageId,
    NewestMessagesRequest,
    OrderedMessagesRequest,
    PageRequest,
    RangeRequest,
    SendMessageRequest,
    SendMessageResponse,
)
from chalicelib.identity.callers import Caller, Role
from chalicelib.identity.tokens import Owner
from chalicelib.messaging import log, msg_data, read_positions, reading, recent_cache
from chalicelib.messaging.models import Message, MessageType, NewMessage
from chalicelib.messaging.reading import MessagePage
from chalicelib.wechat_account.unread_replies import ENQUEUE_UNREAD_REPLY

PAGE_SIZE, MAX_RANGE_SIZE = 30, 500  # messages; document 004


def prepare_send(_: Owner, request: SendMessageRequest) -> ScriptBatch:
    """Return the scripts with which sending begins."""
    return recent_cache.prepare_write_intent(request.conversation_id)


def prepare_newest_page(owner: Owner, request: NewestMessagesRequest) -> ScriptBatch:
    """Return the scripts with which reading the newest page begins."""
    return reading.prepare_newest_page(request.conversation_id, owner.principal, PAGE_SIZE)


def prepare_newest_message(owner: Owner, request: ConversationRequest) -> ScriptBatch:
    """Return the scripts with which reading the newest message begins."""
    return reading.prepare_newest_page(request.conversation_id, owner.principal, 1)


def send(
    caller: Caller, request: SendMessageRequest, idempotency_key: str | None, batch: ScriptBatch | None = None
) -> SendMessageResponse:
    """Send a message to a conversation in which the caller takes part. See `log.append` for errors.

    Args:
        batch: the result of `prepare_send`; in the other functions, that of the function named after them.
    """
    new_message = NewMessage(
        request.content,
        "send_msg",
        idempotency_key or request.client_msg_id,
        request.type,
        status=request.status,
        enqueue_sql=ENQUEUE_UNREAD_REPLY if caller.role == Role.DOCTOR else "",
        merge_double_submission=request.type == MessageType.TEXT,  # others may be signals, which a client repeats
    )
    message = log.append(caller.tenant_id, None, request.conversation_id, caller.principal, new_message, batch)
    return SendMessageResponse(MsgID=message.id)


def list_newest(caller: Caller, request: NewestMessagesRequest, batch: ScriptBatch | None) -> Messages:
    """Return the newest page and mark it as read.

    Raises:
        ApiError: 404 if the caller does not take part. The same holds for the other functions of this module.
    """
    page = _fetch_newest_page(caller, request, PAGE_SIZE, batch)
    read_positions.mark_read(request.conversation_id, page)
    return _build_messages(request, page.messages)


def list_last(caller: Caller, request: NewestMessagesRequest, batch: ScriptBatch | None) -> Messages:
    """Return the newest message, if there is one, without marking it as read."""
    return _build_messages(request, _fetch_newest_page(caller, request, 1, batch).messages)


def get_last_id(caller: Caller, request: ConversationRequest, batch: ScriptBatch | None) -> NewestMessageId:
    """Return the id of the newest message, "" if there is none."""
    page = _fetch_newest_page(caller, request, 1, batch)
    return NewestMessageId(MsgId=page.messages[0].id if page.messages else "")


def list_before(caller: Caller, request: PageRequest) -> Messages:
    """Return the page that ends with a message."""
    return _build_messages(request, _list_range(caller, request, "", request.msg_id, PAGE_SIZE, newest_first=True))


def list_after(caller: Caller, request: PageRequest) -> Messages:
    """Return the page that begins with a message."""
    return _build_messages(request, _list_range(caller, request, request.msg_id, "", PAGE_SIZE, newest_first=False))


def list_between(caller: Caller, request: RangeRequest) -> Messages:
    """Return the messages between two ids, beginning at the end with which the requested order begins."""
    low, high = request.start_msg_id or "", request.end_msg_id or ""
    return _build_messages(request, _list_range(caller, request, low, high, MAX_RANGE_SIZE, newest_first=request.desc))


def _fetch_newest_page(
    caller: Caller, request: ConversationRequest, limit: int, batch: ScriptBatch | None
) -> MessagePage:
    """Return the newest page. The tenant is compared because two tenants may each have a session:abc."""
    page, _ = reading.fetch_newest_page(request.conversation_id, caller.principal, limit, batch)
    if page.participant is None or page.tenant_id != caller.tenant_id:
        raise ApiError(errors.NOT_FOUND, "会话不存在")
    return page


def _list_range(
    caller: Caller, request: ConversationRequest, low: str, high: str, limit: int, *, newest_first: bool
) -> list[Message]:
    return reading.list_range(
        caller.tenant_id, request.conversation_id, caller.principal, low, high, limit, newest_first
    )


def _build_messages(request: OrderedMessagesRequest, messages: Iterable[Message]) -> Messages:
    in_order = sorted(messages, key=lambda message: message.seq, reverse=request.desc)
    return Messages(Msg=[msg_data.build_msg_data(request.conversation_id, message) for message in in_order])
