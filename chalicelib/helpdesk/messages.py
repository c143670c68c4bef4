"""Send messages, read them page by page, and mark them as read. They are stored in the log that all protocols share."""

from collections.abc import Sequence

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.helpdesk import chats, list_store, list_totals, message_content, message_views, recipients, store
from chalicelib.helpdesk.chats import GROUP_KINDS, HOSPITAL_PRINCIPAL
from chalicelib.helpdesk.codes import MsgType, UserType
from chalicelib.helpdesk.message_content import hash_texts
from chalicelib.helpdesk.models import (
    AddMessageRequest,
    MarkReadRequest,
    MessageEntry,
    MessagePageRequest,
    SentMessage,
    UnreadCountRequest,
    UnreadTotal,
)
from chalicelib.helpdesk.recipients import Target
from chalicelib.helpdesk.store import Conversation
from chalicelib.http.routing import CountedResult
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import log, read_positions, reading
from chalicelib.messaging.models import ConversationKind, Message, NewMessage
from chalicelib.wechat_account.unread_replies import ENQUEUE_UNREAD_REPLY

IDEMPOTENCY_ENDPOINT = "messageAdd"  # the endpoint that idempotency keys are stored with


def count_unread(caller: Caller, _: UnreadCountRequest) -> UnreadTotal:
    """Return how many messages the caller has not read, in conversations of all kinds."""
    own = (caller.tenant_id, caller.principal)
    unread, conversations = list_store.sum_unread(mysql.autocommit, *own, limited=True)
    if conversations > list_store.MAX_COUNTED:
        unread = list_totals.get_cached(
            *own, ("unread",), lambda: list_store.sum_unread(mysql.autocommit, *own, limited=False)[0]
        )
    return UnreadTotal(data=unread, count=unread)


def send(caller: Caller, request: AddMessageRequest, idempotency_key: str | None) -> CountedResult[list[SentMessage]]:
    """Send one message to all recipients, once for each idempotency key.

    Raises:
        ApiError: 400 for invalid content; 403 for another sendId; 409 if the key was used for another message; and as
            `recipients.resolve` raises it.
    """
    if request.sendId not in ("", str(caller.user_id)):
        raise ApiError(errors.NOT_ALLOWED, "sendId：不是本人")
    message_content.require_valid(request)
    own_key = hash_texts([caller.principal, idempotency_key]) if idempotency_key else ""
    first_sender = _find_first_sender(caller, f"{own_key}:0") if own_key else ""
    sender, targets = recipients.resolve(caller, request, is_duplicate=bool(first_sender))
    if first_sender not in ("", sender):
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一条消息")
    recipient_names = [target.recipient for target in targets] if own_key else []
    content, extra = message_content.build(caller, request, recipient_names)
    sent: list[SentMessage] = []
    for number, target in enumerate(targets):
        new_message = NewMessage(
            content,
            IDEMPOTENCY_ENDPOINT,
            f"{own_key}:{number}" if own_key else None,
            request.itemType,
            enqueue_sql=ENQUEUE_UNREAD_REPLY if caller.role == Role.DOCTOR else "",
            extra=extra,
            merge_double_submission=True,
            few_recipients=target.kind not in GROUP_KINDS,
        )
        message = _append_message(caller, request, target, sender, new_message)
        sent.append(
            {
                "messageId": message.id,
                "sessionId": target.public_id,
                "receiveId": target.recipient,
                "createTime": clock.format_wire_time(message.sent_at),
            }
        )
    return CountedResult(data=sent, count=len(sent))


def list_page(caller: Caller, request: MessagePageRequest) -> CountedResult[list[MessageEntry]]:
    """Return a page of a conversation and the number of its messages. The newest page is marked as read.

    Raises:
        ApiError: 404 if the caller takes no part in the conversation; 400 if lastId is not of it.
    """
    conversation = _resolve_conversation(caller, request)
    found: Sequence[Message]
    if request.lastId:
        found, total = _list_older(conversation, request.lastId, request.pageSize), conversation.last_seq
    else:
        page, _ = reading.fetch_newest_page(conversation.public_id, caller.principal, request.pageSize)
        if page.participant is None or page.tenant_id != caller.tenant_id:  # removed since the query above
            raise chats.build_not_found_error()
        read_positions.mark_read(conversation.public_id, page)
        found, total = page.messages, page.last_seq
    in_order = found[::-1] if request.sort == "asc" else found
    return CountedResult(data=message_views.build_entries(caller, conversation, in_order), count=total)


def mark_read(caller: Caller, request: MarkReadRequest) -> None:
    """Mark all messages of a person, the hospital or a conversation as read.

    Raises:
        ApiError: 404 if the caller has no conversation with them.
    """
    for conversation in _list_conversations_with(caller, request):
        page, _ = reading.fetch_newest_page(conversation.public_id, caller.principal, 1)
        read_positions.mark_read(conversation.public_id, page)


def _append_message(
    caller: Caller, request: AddMessageRequest, target: Target, sender: str, new_message: NewMessage
) -> Message:
    """Append a message. If a patient's chat is closed concurrently, reopen it, as a later message would, and retry."""
    try:
        return log.append(caller.tenant_id, target.kind, target.public_id, sender, new_message)
    except ApiError as error:
        if error.kind is not errors.NOT_ALLOWED or caller.role != Role.PATIENT or target.kind in GROUP_KINDS:
            raise
    recipients.resolve(caller, request, is_duplicate=False)
    return log.append(caller.tenant_id, target.kind, target.public_id, sender, new_message)


def _find_first_sender(caller: Caller, stored_key: str) -> str:
    """Return the principal under which the caller has used a key, their own or the hospital's; "" for none."""
    senders = (caller.principal, HOSPITAL_PRINCIPAL)
    return store.find_sender(mysql.autocommit, caller.tenant_id, senders, IDEMPOTENCY_ENDPOINT, stored_key)


def _resolve_conversation(caller: Caller, request: MessagePageRequest) -> Conversation:
    if request.msgType == MsgType.ANNOUNCEMENT:
        return chats.get_chat(caller, ConversationKind.ANNOUNCEMENT, (caller.user_id, 0))
    if request.msgType == MsgType.GROUP:
        if not request.chatGroupId:
            raise ApiError(errors.BAD_PARAMETER, "chatGroupId：必填")
        return chats.get_conversation(caller, request.chatGroupId, GROUP_KINDS)
    if request.msgType == MsgType.DESK and caller.role == Role.PATIENT:
        return chats.get_chat(caller, ConversationKind.DESK, (caller.user_id, 0))
    if not request.sendId:
        raise ApiError(errors.BAD_PARAMETER, "sendId：必填")
    user_id = chats.parse_user_id(request.sendId)
    if request.msgType == MsgType.DESK:
        if not user_id:
            return chats.get_conversation(caller, request.sendId, (ConversationKind.DESK,))
        return chats.get_chat(caller, ConversationKind.DESK, (user_id, 0))
    if not user_id:
        return chats.get_conversation(caller, request.sendId, (ConversationKind.DIRECT, ConversationKind.CONSULT))
    return chats.get_chat(caller, ConversationKind.DIRECT, chats.build_direct_pair(caller.user_id, user_id))


def _list_older(conversation: Conversation, last_id: str, limit: int) -> Sequence[Message]:
    try:
        return reading.list_older(conversation.public_id, last_id, limit)
    except ApiError as error:
        if error.kind is errors.BAD_PARAMETER:
            raise ApiError(errors.BAD_PARAMETER, "lastId：不是该会话的消息") from None
        raise


def _list_conversations_with(caller: Caller, request: MarkReadRequest) -> list[Conversation]:
    if request.sendId == "0" or request.sendType == UserType.SYSTEM.value:
        return [chats.get_chat(caller, ConversationKind.ANNOUNCEMENT, (caller.user_id, 0))]
    user_id = chats.parse_user_id(request.sendId)
    if not user_id:
        return [chats.get_conversation(caller, request.sendId, list(ConversationKind))]
    found = store.list_shared_conversations(mysql.autocommit, caller.tenant_id, caller.principal, f"user:{user_id}")
    if not found:
        raise chats.build_not_found_error()
    return found
