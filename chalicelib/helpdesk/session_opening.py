"""Open a conversation: with a person, with the help desk, or a group."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.helpdesk import chats, desk_sessions
from chalicelib.helpdesk.chats import GROUP_KINDS
from chalicelib.helpdesk.codes import MsgType
from chalicelib.helpdesk.models import OpenSessionRequest, Session
from chalicelib.helpdesk.queue_store import ChatState
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import tenants
from chalicelib.people.persons import Person
from chalicelib.people.roles import PersonKind


def open_session(caller: Caller, request: OpenSessionRequest) -> Session:
    """Return the caller's conversation with a person or the help desk, created or reopened, or one of their groups.

    Raises:
        ApiError: 400 for an invalid combination of fields; 404 for an unknown hospital, person or group, or as
            `chats.require_may_begin` raises it; 409 as `desk_sessions.serve_patient` raises it.
    """
    _require_same_tenant(caller, request.receiveEntId)
    if request.msgType == MsgType.DESK and caller.role == Role.PATIENT:
        return desk_sessions.join_queue(caller, request.customerserviceName or None)
    if not request.receiveId:
        raise ApiError(errors.BAD_PARAMETER, "receiveId：必填")
    if request.msgType == MsgType.GROUP:
        group = chats.get_conversation(caller, request.receiveId, GROUP_KINDS)
        return _build_session(group.public_id, ChatState.CLOSED if group.archived else ChatState.OPEN)
    user_id = chats.parse_user_id(request.receiveId)
    if request.msgType not in (MsgType.DIRECT, MsgType.DESK) or user_id is None:
        raise ApiError(errors.BAD_PARAMETER, "msgType：通知不能由此打开" if user_id else "receiveId：须为用户编号")
    contacts = chats.require_contacts(caller, [user_id])
    if request.msgType == MsgType.DIRECT:
        return _open_direct_session(caller, contacts[user_id], user_id)
    if contacts[user_id].kind != PersonKind.PATIENT:
        raise ApiError(errors.NOT_FOUND, "用户不存在")
    return desk_sessions.serve_patient(caller, contacts[user_id], user_id)


def _open_direct_session(caller: Caller, person: Person, user_id: int) -> Session:
    found = chats.find_direct(caller, {user_id: person}) or chats.begin_direct(caller, [user_id])
    session_id = found[user_id]
    conversation = chats.get_conversation(caller, session_id, (ConversationKind.DIRECT,))
    if conversation.archived:
        chats.require_may_begin(caller, {user_id: person})
        chats.reopen(caller, conversation)
    return _build_session(conversation.public_id, ChatState.OPEN)


def _build_session(public_id: str, state: ChatState) -> Session:
    return {"sessionId": public_id, "state": state, "place": 0, "agent": None}


def _require_same_tenant(caller: Caller, external_id: str) -> None:
    """Raise ApiError(NOT_FOUND) if this names another hospital, by its tenant id or its external id."""
    if external_id not in ("", str(caller.tenant_id)):
        found = tenants.find_by_external_id(mysql.autocommit, external_id)
        if found != caller.tenant_id:
            raise ApiError(errors.NOT_FOUND, "receiveEntId：医院不存在")
