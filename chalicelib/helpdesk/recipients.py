"""Whom a message is for: the conversations that it goes to. All of them are found, or nothing is sent."""

from collections.abc import Iterable

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.helpdesk import chats, queue, store
from chalicelib.helpdesk.chats import GROUP_KINDS, HOSPITAL_PRINCIPAL
from chalicelib.helpdesk.models import Draft
from chalicelib.helpdesk.store import Conversation
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import persons

OWN_TYPE_HOSPITAL, OWN_TYPE_GROUP = 2, 3  # ownType
Target = tuple[str, str, str]  # public id, kind, and the receiver as the answer names them


def resolve(caller: Caller, draft: Draft, again: bool) -> tuple[str, list[Target]]:
    """Return who speaks, and where to; again, where it was sent before, which opens nothing and is refused nowhere.

    A patient who writes to the hospital writes to its desk; staff who write for it write notices in its name. A person
    is written to where they have met at the desk, else directly. A patient's message reopens what was closed.
    """
    if draft.ownType == OWN_TYPE_GROUP:
        named = _require_receivers(draft.groupIds, "groupIds")
        return caller.principal, _build_targets(
            _ensure_open(caller, chats.get_conversations(caller, named, GROUP_KINDS), again), named
        )
    if draft.ownType == OWN_TYPE_HOSPITAL and caller.role == Role.PATIENT:
        return caller.principal, [
            (
                queue.get_or_create_session_id(caller) if again else queue.ensure_open_session(caller),
                ConversationKind.DESK,
                "0",
            )
        ]
    named = _require_receivers([draft.receiveId, *draft.receiverIds], "receiveId")
    if draft.ownType == OWN_TYPE_HOSPITAL:
        return HOSPITAL_PRINCIPAL, _get_announcement_targets(caller, named, again)
    places = _get_session_ids(caller, [one for one in map(chats.parse_user_id, named) if one])
    asked = [places[person] if (person := chats.parse_user_id(one)) else one for one in named]
    rooms = chats.get_conversations(
        caller, asked, (ConversationKind.DIRECT, ConversationKind.DESK, ConversationKind.CONSULT)
    )
    return caller.principal, _build_targets(_ensure_open(caller, rooms, again), named)


def _require_receivers(named: Iterable[str], field: str) -> list[str]:
    """Each once, in their order."""
    some = [one for one in dict.fromkeys(named) if one]
    if not some:
        raise ApiError(errors.BAD_PARAMETER, f"{field}：必填")
    return some


def _build_targets(rooms: list[Conversation], named: list[str]) -> list[Target]:
    """Two names may be of one conversation, which is written to once."""
    found = {room.public_id: (room.public_id, room.kind, name) for room, name in zip(rooms, named, strict=True)}
    return list(found.values())


def _get_announcement_targets(caller: Caller, named: list[str], again: bool) -> list[Target]:
    people = [person for one in named if (person := chats.parse_user_id(one))]
    if len(people) < len(named):
        raise ApiError(errors.NOT_FOUND, "通知只能发给用户")
    there = (
        persons.list_existing_ids if again else persons.list_active_ids
    )  # who was written to may have been locked out since
    missing = set(people) - mysql.run_autocommit(lambda tx: there(tx, caller.tenant_id, people))
    if missing:
        raise ApiError(errors.NOT_FOUND, f"用户不存在：{'、'.join(map(str, sorted(missing)))}")
    found = chats.get_or_create(caller.tenant_id, ConversationKind.ANNOUNCEMENT, [(one, 0) for one in people])
    return [(found[one, 0], ConversationKind.ANNOUNCEMENT, str(one)) for one in people]


def _get_session_ids(caller: Caller, people: list[int]) -> dict[int, str]:
    """Where the caller writes to each of these persons."""
    if not people:
        return {}
    chats.require_contacts(caller, people)
    met = store.get_desk_session_ids(mysql.autocommit, caller.tenant_id, caller.user_id, people)
    pairs = {one: chats.build_direct_pair(caller.user_id, one) for one in people if one not in met}
    made = chats.get_or_create(caller.tenant_id, ConversationKind.DIRECT, list(pairs.values()))
    return met | {one: made[pair] for one, pair in pairs.items()}


def _ensure_open(caller: Caller, rooms: list[Conversation], again: bool) -> list[Conversation]:
    """ApiError 403 where one is closed to the caller. A patient who writes to the desk has come there."""
    if again:
        return rooms
    closed = [room for room in rooms if room.archived]
    if closed and (caller.role != Role.PATIENT or any(room.kind in GROUP_KINDS for room in closed)):
        raise ApiError(errors.NOT_ALLOWED, "会话已结束，不能发送消息")
    for room in closed:
        if room.kind == ConversationKind.DIRECT:
            chats.reopen(caller, room)
    if caller.role == Role.PATIENT and any(room.kind == ConversationKind.DESK for room in rooms):
        queue.ensure_open_session(caller)
    return rooms
