"""Opening a chat: with a person, with the desk, or a group that one is in."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.helpdesk import chats, queue
from chalicelib.helpdesk.chats import GROUP_KINDS
from chalicelib.helpdesk.models import Session, SessionAsked
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import tenants

MSG_TYPE_DIRECT, MSG_TYPE_DESK, MSG_TYPE_GROUP = 2, 3, 4  # msgType


def get_or_create(caller: Caller, asked: SessionAsked) -> Session:
    """Find or open the caller's chat with somebody, or with the desk; what was closed is open again."""
    _require_same_tenant(caller, asked.receiveEntId)
    if asked.msgType == MSG_TYPE_DESK and caller.role == Role.PATIENT:
        return queue.join_queue(caller, asked.customerserviceName or None)
    if not asked.receiveId:
        raise ApiError(errors.BAD_PARAMETER, "receiveId：必填")
    if asked.msgType == MSG_TYPE_GROUP:
        room = chats.get_conversation(caller, asked.receiveId, GROUP_KINDS)
        return _build_session(room.public_id, "closed" if room.archived else "open")
    person = chats.parse_user_id(asked.receiveId)
    if asked.msgType not in (MSG_TYPE_DIRECT, MSG_TYPE_DESK) or person is None:
        raise ApiError(errors.BAD_PARAMETER, "msgType：通知不能由此打开" if person else "receiveId：须为用户编号")
    known = chats.require_contacts(caller, [person])
    if asked.msgType == MSG_TYPE_DESK:
        if known[person]["kind"] != "patient":
            raise ApiError(errors.NOT_FOUND, "用户不存在")
        return queue.serve_patient(caller, person)
    return _open_direct_session(caller, person)


def _open_direct_session(caller: Caller, person: int) -> Session:
    pair = chats.build_direct_pair(caller.user_id, person)
    room = chats.get_conversation(
        caller, chats.get_or_create(caller.tenant_id, ConversationKind.DIRECT, [pair])[pair], (ConversationKind.DIRECT,)
    )
    if room.archived:
        chats.reopen(caller, room)
    return _build_session(room.public_id, "open")


def _build_session(public_id: str, state: str) -> Session:
    return {"sessionId": public_id, "state": state, "place": 0, "agent": None}


def _require_same_tenant(caller: Caller, named: str) -> None:
    """No hospital's people write to another's."""
    if named not in ("", str(caller.tenant_id)):
        found = tenants.find_by_external_id(mysql.autocommit, named)
        if found != caller.tenant_id:
            raise ApiError(errors.NOT_FOUND, "receiveEntId：医院不存在")
