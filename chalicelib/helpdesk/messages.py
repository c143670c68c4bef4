"""Sending and reading in the messagecenter. Messages lie in the log that all protocols speak to."""

import hashlib
import json
from collections.abc import Sequence

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.helpdesk import chats, message_views, recipients, store
from chalicelib.helpdesk.chats import GROUP_KINDS, HOSPITAL_PRINCIPAL
from chalicelib.helpdesk.models import Added, CountAsked, Draft, Entry, MessagesAsked, ReadAsked, UnreadTotal, UserKind
from chalicelib.helpdesk.store import Conversation
from chalicelib.http.routing import CountedResult
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import log, models, reading
from chalicelib.messaging.models import ConversationKind, MessageType
from chalicelib.wechat_account.unread_replies import ENQUEUE_UNREAD_REPLY

MSG_TYPE_ANNOUNCEMENT, MSG_TYPE_DIRECT, MSG_TYPE_DESK = 1, 2, 3  # msgType; 4 is groups
MAX_EXTRA_CHARS = (
    4000  # characters for what stands beside a text, where quotation marks and the like count more than once
)
IDEMPOTENCY_ENDPOINT = "messageAdd"  # of the idempotency keys
MAX_CAPTION_CHARS = 512  # characters beside a picture, which to the other protocols is its link alone


def count_unread(caller: Caller, _: CountAsked) -> UnreadTotal:
    """Return how many messages the caller has not read, in conversations of all kinds."""
    unread = store.count_unread(mysql.autocommit, caller.tenant_id, caller.principal)
    return UnreadTotal(data=unread, count=unread)


def send(caller: Caller, draft: Draft, key: str | None) -> CountedResult[list[Added]]:
    """Send one message to all receivers, each once however often it is sent with one key."""
    if draft.sendId not in ("", str(caller.user_id)):
        raise ApiError(errors.NOT_ALLOWED, "sendId：不是本人")
    _validate_content(draft)
    own = _hash_texts([caller.principal, key]) if key else ""
    before = _find_original_sender(caller, f"{own}:0") if own else ""
    sender, targets = recipients.resolve(caller, draft, again=bool(before))
    if before not in ("", sender):
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一条消息")
    content, extra = _build_content(caller, draft, [name for _, _, name in targets] if key else [])
    added: list[Added] = []
    for number, (public_id, kind, name) in enumerate(targets):
        sent = (content, IDEMPOTENCY_ENDPOINT, f"{own}:{number}" if own else None, draft.itemType)
        one = models.NewMessage(
            *sent, enqueue_sql=ENQUEUE_UNREAD_REPLY if caller.role == Role.DOCTOR else "", extra=extra
        )
        message = _append_message(caller, draft, (kind, public_id, sender), one)
        sent_at = clock.format_wire_time(message.sent_at)
        added.append({"messageId": message.id, "sessionId": public_id, "receiveId": name, "createTime": sent_at})
    return CountedResult(data=added, count=len(added))


def list_page(caller: Caller, asked: MessagesAsked) -> CountedResult[list[Entry]]:
    """Return a page of a conversation. The newest page counts as read."""
    room = _resolve_conversation(caller, asked)
    if asked.lastId:
        found, total = _list_older(room, asked.lastId, asked.pageSize), room.last_seq
    else:
        page, _ = reading.fetch_newest_page(room.public_id, caller.principal, asked.pageSize)
        if page.participant is None or page.tenant_id != caller.tenant_id:  # has lost it since
            raise chats.build_not_found_error()
        reading.mark_read(room.public_id, page)
        found, total = page.messages, page.last_seq
    in_order = found[::-1] if asked.sort == "asc" else found
    return CountedResult(data=message_views.build_entries(caller, room, in_order), count=total)


def mark_read(caller: Caller, asked: ReadAsked) -> None:
    """Everything that somebody has written to the caller is read. ApiError 404 where they have never talked."""
    for room in _get_shared_conversations(caller, asked):
        page, _ = reading.fetch_newest_page(room.public_id, caller.principal, 1)
        reading.mark_read(room.public_id, page)


def _append_message(
    caller: Caller, draft: Draft, where: tuple[str, str, str], one: models.NewMessage
) -> models.Message:
    """A patient's message that meets the end of a session opens it again, as one does that comes after it."""
    try:
        return log.append(caller.tenant_id, *where, one)
    except ApiError as refused:
        if refused.kind is not errors.NOT_ALLOWED or caller.role != Role.PATIENT or where[0] in GROUP_KINDS:
            raise
    recipients.resolve(caller, draft, again=False)
    return log.append(caller.tenant_id, *where, one)


def _find_original_sender(caller: Caller, own_key: str) -> str:
    """Return as whom the caller has sent something under a key of theirs: as themselves, or as the hospital."""
    senders = (caller.principal, HOSPITAL_PRINCIPAL)
    return store.find_sender(mysql.autocommit, caller.tenant_id, senders, IDEMPOTENCY_ENDPOINT, own_key)


def _validate_content(draft: Draft) -> None:
    if _is_picture(draft) and len(draft.content) > MAX_CAPTION_CHARS:
        raise ApiError(errors.BAD_PARAMETER, f"content：图片的说明不能超过 {MAX_CAPTION_CHARS} 个字符")
    if not _is_picture(draft) and not draft.content.strip():
        raise ApiError(errors.BAD_PARAMETER, "content：不能为空")


def _is_picture(draft: Draft) -> bool:
    return draft.itemType == MessageType.IMAGE and bool(draft.link)


def _build_content(caller: Caller, draft: Draft, receivers: list[str]) -> tuple[str, str]:
    """The text that all protocols see, and what only this one does. The receivers make another request under the same
    key another message."""
    picture = _is_picture(draft)
    extra = {
        "title": draft.title,
        "link": draft.link,
        "item": draft.item,
        "type": draft.type,
        "by": caller.user_id,
        "post": caller.post_id,
        "app": caller.app_id,
    }
    extra |= {"to": _hash_texts(receivers)} if receivers else {}
    extra |= {"caption": draft.content} if picture else {}
    text = json.dumps(extra, ensure_ascii=False, separators=(",", ":"))
    if len(text) > MAX_EXTRA_CHARS:
        raise ApiError(errors.BAD_PARAMETER, "title、link、content：过长")
    return (draft.link if picture else draft.content), text


def _hash_texts(texts: Sequence[str | None]) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:40]


def _resolve_conversation(caller: Caller, asked: MessagesAsked) -> Conversation:
    person = chats.parse_user_id(asked.sendId)
    if asked.msgType == MSG_TYPE_ANNOUNCEMENT:
        return chats.get_chat(caller, ConversationKind.ANNOUNCEMENT, (caller.user_id, 0))
    if asked.msgType == MSG_TYPE_DESK and caller.role == Role.PATIENT:
        return chats.get_chat(caller, ConversationKind.DESK, (caller.user_id, 0))
    if asked.msgType in (MSG_TYPE_DIRECT, MSG_TYPE_DESK):
        kind = ConversationKind.DIRECT if asked.msgType == MSG_TYPE_DIRECT else ConversationKind.DESK
        if not asked.sendId:
            raise ApiError(errors.BAD_PARAMETER, "sendId：必填")
        if not person:
            return chats.get_conversation(
                caller, asked.sendId, (kind, ConversationKind.CONSULT) if kind == ConversationKind.DIRECT else (kind,)
            )
        return chats.get_chat(
            caller,
            kind,
            chats.build_direct_pair(caller.user_id, person) if kind == ConversationKind.DIRECT else (person, 0),
        )
    if not asked.chatGroupId:
        raise ApiError(errors.BAD_PARAMETER, "chatGroupId：必填")
    return chats.get_conversation(caller, asked.chatGroupId, GROUP_KINDS)


def _list_older(room: Conversation, last_id: str, limit: int) -> Sequence[models.Message]:
    try:
        return reading.list_older(room.public_id, last_id, limit)
    except ApiError as refused:
        if refused.kind is errors.BAD_PARAMETER:
            raise ApiError(errors.BAD_PARAMETER, "lastId：不是该会话的消息") from None
        raise


def _get_shared_conversations(caller: Caller, asked: ReadAsked) -> list[Conversation]:
    person = chats.parse_user_id(asked.sendId)
    if asked.sendId == "0" or asked.sendType == UserKind.SYSTEM.value:
        return [chats.get_chat(caller, ConversationKind.ANNOUNCEMENT, (caller.user_id, 0))]
    if not person:
        return [
            chats.get_conversation(
                caller,
                asked.sendId,
                (
                    ConversationKind.DIRECT,
                    ConversationKind.DESK,
                    ConversationKind.CONSULT,
                    ConversationKind.ANNOUNCEMENT,
                    *GROUP_KINDS,
                ),
            )
        ]
    found = store.list_shared_conversations(mysql.autocommit, caller.tenant_id, caller.principal, f"user:{person}")
    if not found:
        raise chats.build_not_found_error()
    return found
