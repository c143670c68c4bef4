"""Sending and reading in the messagecenter. Messages lie in the log that all protocols speak to."""

import hashlib
import json
from collections.abc import Sequence

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import Refused
from chalicelib.helpdesk import chats, message_views, recipients, store
from chalicelib.helpdesk.chats import CONSULT, DESK, DIRECT, GROUPS, HOSPITAL, NOTICE
from chalicelib.helpdesk.models import (
    SYSTEM,
    Added,
    CountAsked,
    Draft,
    Entry,
    MessagesAsked,
    ReadAsked,
    Unread,
)
from chalicelib.helpdesk.store import Room
from chalicelib.http.routing import Counted
from chalicelib.identity.callers import DOCTOR, PATIENT, Caller
from chalicelib.messaging import log, models, reading
from chalicelib.messaging.models import IMAGE

NOTICES, PERSONS, DESKS = 1, 2, 3  # msgType; 4 is groups
BESIDE = 4000  # characters for what stands beside a text, where quotation marks and the like count more than once
ENDPOINT = "messageAdd"  # of the retry keys
CAPTION = 512  # characters beside a picture, which to the other protocols is its link alone


def count(caller: Caller, _: CountAsked) -> Unread:
    """Return how many messages the caller has not read, in conversations of all kinds."""
    unread = mysql.autocommit(lambda tx: store.unread(tx, caller.tenant_id, caller.principal))
    return Unread(data=unread, count=unread)


def add(caller: Caller, draft: Draft, key: str | None) -> Counted[list[Added]]:
    """Send one message to all receivers, each once however often it is sent with one key."""
    if draft.sendId not in ("", str(caller.user_id)):
        raise Refused(errors.NOT_ALLOWED, "sendId：不是本人")
    _check(draft)
    own = _digest([caller.principal, key]) if key else ""
    before = _sent_by(caller, f"{own}:0") if own else ""
    sender, targets = recipients.found(caller, draft, again=bool(before))
    if before not in ("", sender):
        raise Refused(errors.CONFLICT, "Idempotency-Key：已用于另一条消息")
    content, extra = _said(caller, draft, [name for _, _, name in targets] if key else [])
    added: list[Added] = []
    for number, (public_id, kind, name) in enumerate(targets):
        sent = (content, ENDPOINT, f"{own}:{number}" if own else None, draft.itemType)
        one = models.Draft(*sent, answers=caller.kind == DOCTOR, extra=extra)
        message = _sent(caller, draft, (kind, public_id, sender), one)
        sent_at = clock.wire(message.sent_at)
        added.append({"messageId": message.id, "sessionId": public_id, "receiveId": name, "createTime": sent_at})
    return Counted(data=added, count=len(added))


def find(caller: Caller, asked: MessagesAsked) -> Counted[list[Entry]]:
    """Return a page of a conversation. The newest page counts as read."""
    room = _meant(caller, asked)
    if asked.lastId:
        found, total = _older(room, asked.lastId, asked.pageSize), room.last_seq
    else:
        page, _ = reading.newest(room.public_id, caller.principal, asked.pageSize)
        if page.seat is None or page.tenant_id != caller.tenant_id:  # has lost it since
            raise chats.missing()
        reading.read_up_to(room.public_id, page)
        found, total = page.messages, page.last_seq
    in_order = found[::-1] if asked.sort == "asc" else found
    return Counted(data=message_views.entries(caller, room, in_order), count=total)


def read(caller: Caller, asked: ReadAsked) -> None:
    """Everything that somebody has written to the caller is read. Refused 404 where they have never talked."""
    for room in _shared(caller, asked):
        page, _ = reading.newest(room.public_id, caller.principal, 1)
        reading.read_up_to(room.public_id, page)


def _sent(caller: Caller, draft: Draft, where: tuple[str, str, str], one: models.Draft) -> models.Message:
    """A patient's message that meets the end of a session opens it again, as one does that comes after it."""
    try:
        return log.append(caller.tenant_id, *where, one)
    except Refused as refused:
        if refused.kind is not errors.NOT_ALLOWED or caller.kind != PATIENT or where[0] in GROUPS:
            raise
    recipients.found(caller, draft, again=False)
    return log.append(caller.tenant_id, *where, one)


def _sent_by(caller: Caller, own_key: str) -> str:
    """Return as whom the caller has sent something under a key of theirs: as themselves, or as the hospital."""
    senders = (caller.principal, HOSPITAL)
    return mysql.autocommit(lambda tx: store.sent_by(tx, caller.tenant_id, senders, ENDPOINT, own_key))


def _check(draft: Draft) -> None:
    if _is_picture(draft) and len(draft.content) > CAPTION:
        raise Refused(errors.BAD_PARAMETER, f"content：图片的说明不能超过 {CAPTION} 个字符")
    if not _is_picture(draft) and not draft.content.strip():
        raise Refused(errors.BAD_PARAMETER, "content：不能为空")


def _is_picture(draft: Draft) -> bool:
    return draft.itemType == IMAGE and bool(draft.link)


def _said(caller: Caller, draft: Draft, receivers: list[str]) -> tuple[str, str]:
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
    extra |= {"to": _digest(receivers)} if receivers else {}
    extra |= {"caption": draft.content} if picture else {}
    text = json.dumps(extra, ensure_ascii=False, separators=(",", ":"))
    if len(text) > BESIDE:
        raise Refused(errors.BAD_PARAMETER, "title、link、content：过长")
    return (draft.link if picture else draft.content), text


def _digest(texts: Sequence[str | None]) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:40]


def _meant(caller: Caller, asked: MessagesAsked) -> Room:
    person = chats.person(asked.sendId)
    if asked.msgType == NOTICES:
        return chats.chat(caller, NOTICE, (caller.user_id, 0))
    if asked.msgType == DESKS and caller.kind == PATIENT:
        return chats.chat(caller, DESK, (caller.user_id, 0))
    if asked.msgType in (PERSONS, DESKS):
        kind = DIRECT if asked.msgType == PERSONS else DESK
        if not asked.sendId:
            raise Refused(errors.BAD_PARAMETER, "sendId：必填")
        if not person:
            return chats.room(caller, asked.sendId, (kind, CONSULT) if kind == DIRECT else (kind,))
        return chats.chat(caller, kind, chats.direct(caller.user_id, person) if kind == DIRECT else (person, 0))
    if not asked.chatGroupId:
        raise Refused(errors.BAD_PARAMETER, "chatGroupId：必填")
    return chats.room(caller, asked.chatGroupId, GROUPS)


def _older(room: Room, last_id: str, limit: int) -> Sequence[models.Message]:
    try:
        return reading.older(room.public_id, last_id, limit)
    except Refused as refused:
        if refused.kind is errors.BAD_PARAMETER:
            raise Refused(errors.BAD_PARAMETER, "lastId：不是该会话的消息") from None
        raise


def _shared(caller: Caller, asked: ReadAsked) -> list[Room]:
    person = chats.person(asked.sendId)
    if asked.sendId == "0" or asked.sendType == SYSTEM:
        return [chats.chat(caller, NOTICE, (caller.user_id, 0))]
    if not person:
        return [chats.room(caller, asked.sendId, (DIRECT, DESK, CONSULT, NOTICE, *GROUPS))]
    found = mysql.autocommit(lambda tx: store.between(tx, caller.tenant_id, caller.principal, f"user:{person}"))
    if not found:
        raise chats.missing()
    return found
