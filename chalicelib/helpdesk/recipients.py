"""Whom a message is for: the conversations that it goes to. All of them are found, or nothing is sent."""

from collections.abc import Iterable

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import Refused
from chalicelib.helpdesk import chats, queue, store
from chalicelib.helpdesk.chats import CONSULT, DESK, DIRECT, GROUPS, HOSPITAL, NOTICE
from chalicelib.helpdesk.models import Draft
from chalicelib.helpdesk.store import Room
from chalicelib.identity.callers import PATIENT, Caller
from chalicelib.people import persons

HOSPITALS, GROUPS_OWN = 2, 3  # ownType
Target = tuple[str, str, str]  # public id, kind, and the receiver as the answer names them


def found(caller: Caller, draft: Draft, again: bool) -> tuple[str, list[Target]]:
    """Return who speaks, and where to; again, where it was sent before, which opens nothing and is refused nowhere.

    A patient who writes to the hospital writes to its desk; staff who write for it write notices in its name. A person
    is written to where they have met at the desk, else directly. A patient's message reopens what was closed.
    """
    if draft.ownType == GROUPS_OWN:
        named = _some(draft.groupIds, "groupIds")
        return caller.principal, _targets(_open(caller, chats.rooms(caller, named, GROUPS), again), named)
    if draft.ownType == HOSPITALS and caller.kind == PATIENT:
        return caller.principal, [(queue.known(caller) if again else queue.entered(caller), DESK, "0")]
    named = _some([draft.receiveId, *draft.receiverIds], "receiveId")
    if draft.ownType == HOSPITALS:
        return HOSPITAL, _notices(caller, named, again)
    places = _places(caller, [one for one in map(chats.person, named) if one])
    asked = [places[person] if (person := chats.person(one)) else one for one in named]
    rooms = chats.rooms(caller, asked, (DIRECT, DESK, CONSULT))
    return caller.principal, _targets(_open(caller, rooms, again), named)


def _some(named: Iterable[str], field: str) -> list[str]:
    """Each once, in their order."""
    some = [one for one in dict.fromkeys(named) if one]
    if not some:
        raise Refused(errors.BAD_PARAMETER, f"{field}：必填")
    return some


def _targets(rooms: list[Room], named: list[str]) -> list[Target]:
    """Two names may be of one conversation, which is written to once."""
    found = {room.public_id: (room.public_id, room.kind, name) for room, name in zip(rooms, named, strict=True)}
    return list(found.values())


def _notices(caller: Caller, named: list[str], again: bool) -> list[Target]:
    people = [person for one in named if (person := chats.person(one))]
    if len(people) < len(named):
        raise Refused(errors.NOT_FOUND, "通知只能发给用户")
    there = persons.known if again else persons.reachable  # who was written to may have been locked out since
    missing = set(people) - mysql.autocommit(lambda tx: there(tx, caller.tenant_id, people))
    if missing:
        raise Refused(errors.NOT_FOUND, f"用户不存在：{'、'.join(map(str, sorted(missing)))}")
    found = chats.opened(caller.tenant_id, NOTICE, [(one, 0) for one in people])
    return [(found[one, 0], NOTICE, str(one)) for one in people]


def _places(caller: Caller, people: list[int]) -> dict[int, str]:
    """Where the caller writes to each of these persons."""
    if not people:
        return {}
    chats.known(caller, people)
    met = mysql.autocommit(lambda tx: store.met_at_the_desk(tx, caller.tenant_id, caller.user_id, people))
    pairs = {one: chats.direct(caller.user_id, one) for one in people if one not in met}
    made = chats.opened(caller.tenant_id, DIRECT, list(pairs.values()))
    return met | {one: made[pair] for one, pair in pairs.items()}


def _open(caller: Caller, rooms: list[Room], again: bool) -> list[Room]:
    """Refused 403 where one is closed to the caller. A patient who writes to the desk has come there."""
    if again:
        return rooms
    closed = [room for room in rooms if room.archived]
    if closed and (caller.kind != PATIENT or any(room.kind in GROUPS for room in closed)):
        raise Refused(errors.NOT_ALLOWED, "会话已结束，不能发送消息")
    for room in closed:
        if room.kind == DIRECT:
            chats.reopen(caller, room)
    if caller.kind == PATIENT and any(room.kind == DESK for room in rooms):
        queue.entered(caller)
    return rooms
