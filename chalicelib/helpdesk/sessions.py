"""Opening a chat: with a person, with the desk, or a group that one is in."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import Refused
from chalicelib.helpdesk import chats, queue
from chalicelib.helpdesk.chats import DIRECT, GROUPS
from chalicelib.helpdesk.models import Session, SessionAsked
from chalicelib.identity.callers import PATIENT, Caller
from chalicelib.people import tenants

PERSON, DESKS, GROUP = 2, 3, 4  # msgType


def create(caller: Caller, asked: SessionAsked) -> Session:
    """Find or open the caller's chat with somebody, or with the desk; what was closed is open again."""
    _check_tenant(caller, asked.receiveEntId)
    if asked.msgType == DESKS and caller.kind == PATIENT:
        return queue.come(caller, asked.customerserviceName or None)
    if not asked.receiveId:
        raise Refused(errors.BAD_PARAMETER, "receiveId：必填")
    if asked.msgType == GROUP:
        room = chats.room(caller, asked.receiveId, GROUPS)
        return _shown(room.public_id, "closed" if room.archived else "open")
    person = chats.person(asked.receiveId)
    if asked.msgType not in (PERSON, DESKS) or person is None:
        raise Refused(errors.BAD_PARAMETER, "msgType：通知不能由此打开" if person else "receiveId：须为用户编号")
    known = chats.known(caller, [person])
    if asked.msgType == DESKS:
        if known[person]["kind"] != "patient":
            raise Refused(errors.NOT_FOUND, "用户不存在")
        return queue.take(caller, person)
    return _direct(caller, person)


def _direct(caller: Caller, person: int) -> Session:
    pair = chats.direct(caller.user_id, person)
    room = chats.room(caller, chats.opened(caller.tenant_id, DIRECT, [pair])[pair], (DIRECT,))
    if room.archived:
        chats.reopen(caller, room)
    return _shown(room.public_id, "open")


def _shown(public_id: str, state: str) -> Session:
    return {"sessionId": public_id, "state": state, "place": 0, "agent": None}


def _check_tenant(caller: Caller, named: str) -> None:
    """No hospital's people write to another's."""
    if named not in ("", str(caller.tenant_id)):
        found = mysql.autocommit(lambda tx: tenants.find_by_external_id(tx, named))
        if found != caller.tenant_id:
            raise Refused(errors.NOT_FOUND, "receiveEntId：医院不存在")
