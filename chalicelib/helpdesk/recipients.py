"""Resolve the recipients of a message into conversations: all of them, or nothing is sent."""

from collections.abc import Iterable
from typing import NamedTuple

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.helpdesk import chats, desk_sessions, store
from chalicelib.helpdesk.chats import GROUP_KINDS, HOSPITAL_PRINCIPAL
from chalicelib.helpdesk.codes import OwnType
from chalicelib.helpdesk.models import AddMessageRequest
from chalicelib.helpdesk.store import Conversation
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging.models import TWO_PERSON_KINDS, ConversationKind
from chalicelib.people import persons

ANNOUNCING_ROLES = (Role.SERVICE_STAFF, Role.ADMIN)  # who may speak in the hospital's name


class Target(NamedTuple):
    """A conversation to which a message is sent."""

    public_id: str
    kind: ConversationKind
    recipient: str  # as the request names it, "0" for the help desk


def resolve(caller: Caller, request: AddMessageRequest, is_duplicate: bool) -> tuple[str, list[Target]]:
    """Return the sender's principal and the conversations that a message goes to.

    A patient's message to the hospital goes to the help desk; one of service staff or an admin is an announcement in
    the hospital's name. A message to a person goes to the help desk chat of the two if they have met there, else to
    their direct chat. A patient's message reopens closed chats.

    Args:
        is_duplicate: the message has been sent before; nothing is opened or checked for being closed.

    Raises:
        ApiError: 400 without recipients; 404 if a recipient is unknown; 403 if a conversation is closed to the caller,
            or if a doctor announces something.
    """
    if request.ownType == OwnType.GROUP:
        names = _require_recipients(request.groupIds, "groupIds")
        conversations = chats.get_conversations(caller, names, GROUP_KINDS)
        return caller.principal, _build_targets(_ensure_open(caller, conversations, is_duplicate), names)
    if request.ownType == OwnType.HOSPITAL and caller.role == Role.PATIENT:
        session_id = (
            desk_sessions.get_or_create_session_id(caller)
            if is_duplicate
            else desk_sessions.ensure_open_session(caller)
        )
        return caller.principal, [Target(session_id, ConversationKind.DESK, "0")]
    if request.ownType == OwnType.HOSPITAL and caller.role not in ANNOUNCING_ROLES:
        raise ApiError(errors.NOT_ALLOWED, "以医院名义发布通知仅限客服、管理员；发给个人请用 ownType 1")
    names = _require_recipients([request.receiveId, *request.receiverIds], "receiveId")
    if request.ownType == OwnType.HOSPITAL:
        return HOSPITAL_PRINCIPAL, _get_announcement_targets(caller, names, is_duplicate)
    return caller.principal, _resolve_persons(caller, names, is_duplicate)


def _resolve_persons(caller: Caller, names: list[str], is_duplicate: bool) -> list[Target]:
    """Return the chats with persons, or with these session_ids. New ones begin when all others have been checked."""
    user_ids = {name: user_id for name in names if (user_id := chats.parse_user_id(name))}
    found = _find_session_ids(caller, list(user_ids.values()))
    new = [name for name, user_id in user_ids.items() if user_id not in found]
    existing = [name for name in names if name not in new]
    public_ids = [found[user_ids[name]] if name in user_ids else name for name in existing]
    conversations = chats.get_conversations(caller, public_ids, TWO_PERSON_KINDS)
    targets = _build_targets(_ensure_open(caller, conversations, is_duplicate), existing)
    begun = chats.begin_direct(caller, [user_ids[name] for name in new])
    targets += {
        begun[user_ids[name]]: Target(begun[user_ids[name]], ConversationKind.DIRECT, name) for name in new
    }.values()
    return sorted(targets, key=lambda target: names.index(target.recipient))


def _require_recipients(names: Iterable[str], field: str) -> list[str]:
    """Return the names that are not empty, without duplicates, in their order."""
    recipients = [name for name in dict.fromkeys(names) if name]
    if not recipients:
        raise ApiError(errors.BAD_PARAMETER, f"{field}：必填")
    return recipients


def _build_targets(conversations: list[Conversation], names: list[str]) -> list[Target]:
    """Return one target for each conversation; two names may be of the same one."""
    targets = {
        conversation.public_id: Target(conversation.public_id, conversation.kind, name)
        for conversation, name in zip(conversations, names, strict=True)
    }
    return list(targets.values())


def _get_announcement_targets(caller: Caller, names: list[str], is_duplicate: bool) -> list[Target]:
    user_ids = [user_id for name in names if (user_id := chats.parse_user_id(name))]
    if len(user_ids) < len(names):
        raise ApiError(errors.NOT_FOUND, "通知只能发给用户")
    # A recipient of a duplicate may have been disabled since the message was sent.
    list_ids = persons.list_existing_ids if is_duplicate else persons.list_active_ids
    missing = set(user_ids) - list_ids(mysql.autocommit, caller.tenant_id, user_ids)
    if missing:
        raise ApiError(errors.NOT_FOUND, f"用户不存在：{'、'.join(map(str, sorted(missing)))}")
    kind = ConversationKind.ANNOUNCEMENT
    session_ids = chats.get_or_create(caller.tenant_id, kind, [(user_id, 0) for user_id in user_ids])
    return [Target(session_ids[user_id, 0], kind, str(user_id)) for user_id in user_ids]


def _find_session_ids(caller: Caller, user_ids: list[int]) -> dict[int, str]:
    """Return the session_id in which the caller writes to each of these persons, if there is one already."""
    if not user_ids:
        return {}
    people = chats.require_contacts(caller, user_ids)
    at_desk = store.get_desk_session_ids(mysql.autocommit, caller.tenant_id, caller.user_id, user_ids)
    others = {user_id: people[user_id] for user_id in user_ids if user_id not in at_desk}
    return at_desk | chats.find_direct(caller, others)


def _ensure_open(caller: Caller, conversations: list[Conversation], is_duplicate: bool) -> list[Conversation]:
    """Return the conversations after reopening the closed ones, which only a patient may do, and not groups.

    A patient who writes to the help desk also joins its queue. Raise ApiError(NOT_ALLOWED) if one stays closed.
    """
    if is_duplicate:
        return conversations
    closed = [conversation for conversation in conversations if conversation.archived]
    if closed and (caller.role != Role.PATIENT or any(conversation.kind in GROUP_KINDS for conversation in closed)):
        raise ApiError(errors.NOT_ALLOWED, "会话已结束，不能发送消息")
    for conversation in closed:
        if conversation.kind == ConversationKind.DIRECT:
            chats.reopen(caller, conversation)
    if caller.role == Role.PATIENT and any(one.kind == ConversationKind.DESK for one in conversations):
        desk_sessions.ensure_open_session(caller)
    return conversations
