"""Withdraw and rate messages."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.helpdesk import store
from chalicelib.helpdesk.chats import HOSPITAL_PRINCIPAL
from chalicelib.helpdesk.message_views import parse_extra
from chalicelib.helpdesk.models import AppraiseRequest, WithdrawRequest
from chalicelib.helpdesk.store import MessageRecord
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import log


def withdraw(caller: Caller, request: WithdrawRequest) -> None:
    """Withdraw a message: the sender within two minutes, an administrator at any time.

    The sender of an announcement is the member of staff who wrote it. Who withdraws it, and why, is stored.

    Raises:
        ApiError: 404 otherwise.
    """
    sender = log.ANY_SENDER if caller.role == Role.ADMIN else caller.principal
    message = _find_message(caller, request.messageId, sender)
    if message is None and caller.role != Role.PATIENT:
        sender, message = HOSPITAL_PRINCIPAL, _find_message(caller, request.messageId, HOSPITAL_PRINCIPAL)
        message = message if message and parse_extra(message.extra).get("by") == caller.user_id else None
    if message is None:
        raise _build_not_found_error()
    reason = request.reason or ""
    log.withdraw(caller.tenant_id, message.public_id, request.messageId, caller.principal, sender=sender, reason=reason)


def rate(caller: Caller, request: AppraiseRequest) -> None:
    """Set the caller's rating of a message.

    Raises:
        ApiError: 404 if the caller cannot read the message; 409 if they have sent it.
    """
    message = _find_message(caller, request.messageId, caller.principal)
    if message is None or message.withdrawn:
        raise _build_not_found_error()
    if message.sender == caller.principal:
        raise ApiError(errors.CONFLICT, "不能评价自己发送的消息")
    store.upsert_rating(mysql.autocommit, caller.tenant_id, caller.user_id, message, request.appraise, clock.now())


def _find_message(caller: Caller, message_id: str, principal: str) -> MessageRecord | None:
    return store.find_message(mysql.autocommit, caller.tenant_id, message_id, principal)


def _build_not_found_error() -> ApiError:
    return ApiError(errors.NOT_FOUND, "消息不存在")
