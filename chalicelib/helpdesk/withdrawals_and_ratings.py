"""Taking a message back, and saying what one thinks of one."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.errors import ApiError
from chalicelib.helpdesk import store
from chalicelib.helpdesk.chats import HOSPITAL_PRINCIPAL
from chalicelib.helpdesk.message_views import parse_extra
from chalicelib.helpdesk.models import Appraisal, Withdrawing
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import log


def withdraw(caller: Caller, asked: Withdrawing) -> None:
    """The sender may for two minutes, of a notice whoever wrote it; an admin always. ApiError 404 else."""
    own = "" if caller.role == Role.ADMIN else caller.principal
    found = _find_message(caller, asked.messageId, own)
    if found is None and caller.role != Role.PATIENT:
        own, found = HOSPITAL_PRINCIPAL, _find_message(caller, asked.messageId, HOSPITAL_PRINCIPAL)
        found = found if found and parse_extra(found["extra"]).get("by") == caller.user_id else None
    if found is None:
        raise _build_not_found_error()
    log.withdraw(caller.tenant_id, found["public_id"].decode(), asked.messageId, own)


def appraise(caller: Caller, asked: Appraisal) -> None:
    """One opinion for each reader and message, which may change. ApiError 409 for one's own message."""
    found = _find_message(caller, asked.messageId, caller.principal)
    if found is None or found["withdrawn"]:
        raise _build_not_found_error()
    if found["sender"].decode() == caller.principal:
        raise ApiError(errors.CONFLICT, "不能评价自己发送的消息")
    store.upsert_appraisal(mysql.autocommit, caller.tenant_id, caller.user_id, found, asked.appraise, clock.now())


def _find_message(caller: Caller, message_id: str, principal: str) -> Row | None:
    return store.find_message(mysql.autocommit, caller.tenant_id, message_id, principal)


def _build_not_found_error() -> ApiError:
    return ApiError(errors.NOT_FOUND, "消息不存在")
