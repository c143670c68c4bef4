"""Taking a message back, and saying what one thinks of one."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.errors import Refused
from chalicelib.helpdesk import store
from chalicelib.helpdesk.chats import HOSPITAL
from chalicelib.helpdesk.message_views import extra_of
from chalicelib.helpdesk.models import Appraisal, Withdrawing
from chalicelib.identity.callers import ADMIN, PATIENT, Caller
from chalicelib.messaging import log


def withdraw(caller: Caller, asked: Withdrawing) -> None:
    """The sender may for two minutes, of a notice whoever wrote it; an admin always. Refused 404 else."""
    own = "" if caller.kind == ADMIN else caller.principal
    found = _found(caller, asked.messageId, own)
    if found is None and caller.kind != PATIENT:
        own, found = HOSPITAL, _found(caller, asked.messageId, HOSPITAL)
        found = found if found and extra_of(found["extra"]).get("by") == caller.user_id else None
    if found is None:
        raise _missing()
    log.withdraw(caller.tenant_id, found["public_id"].decode(), asked.messageId, own)


def appraise(caller: Caller, asked: Appraisal) -> None:
    """One opinion for each reader and message, which may change. Refused 409 for one's own message."""
    found = _found(caller, asked.messageId, caller.principal)
    if found is None or found["withdrawn"]:
        raise _missing()
    if found["sender"].decode() == caller.principal:
        raise Refused(errors.CONFLICT, "不能评价自己发送的消息")
    mysql.autocommit(
        lambda tx: store.appraise(tx, caller.tenant_id, caller.user_id, found, asked.appraise, clock.now())
    )


def _found(caller: Caller, message_id: str, principal: str) -> Row | None:
    return mysql.autocommit(lambda tx: store.message(tx, caller.tenant_id, message_id, principal))


def _missing() -> Refused:
    return Refused(errors.NOT_FOUND, "消息不存在")
