"""Endpoints of site messages (站内消息), document 000."""

from chalicelib.errors import CONFLICT, NOT_FOUND
from chalicelib.http.routing import IdempotencyKeyHeader, RateLimit, Routes
from chalicelib.identity.callers import Caller, Role
from chalicelib.inbox import messages
from chalicelib.inbox.models import (
    MarkAllReadRequest,
    MarkSiteMessageReadRequest,
    MessageListQuery,
    SendSiteMessageRequest,
    SiteMessage,
    UnreadCount,
)

routes = Routes(__name__)
STAFF_ROLES = [Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN]
READER_ROLES = [Role.PATIENT, *STAFF_ROLES]


@routes.post(
    "/msg_service/msg/send",
    callers=[*STAFF_ROLES, Role.SERVICE],
    errors=[NOT_FOUND, CONFLICT],
    limit=RateLimit.MESSAGES,
)
def send(caller: Caller, body: SendSiteMessageRequest, idempotency_key: IdempotencyKeyHeader) -> None:
    """发送消息

    To at most 1,000 users of the hospital: from service staff, admins and the hospital's systems to patients and staff,
    in the hospital's name; from a doctor to the accounts of the doctor's own patients, in the doctor's. If one of them
    is unknown, nothing is sent. Each receives an event at /notify (`Type` 1200). Requests with the same Idempotency-Key
    send one message.
    """
    messages.send(caller, body, idempotency_key)


@routes.get("/msg_service/msg/list", callers=READER_ROLES)
def list_own(caller: Caller, query: MessageListQuery) -> list[SiteMessage]:
    """获取消息列表

    The caller's own messages, newest first, with the doctor or the hospital as sender. Listing does not mark them as
    read.
    """
    return messages.list_own(caller, query)


@routes.get("/msg_service/msg/unread_count", callers=READER_ROLES)
def unread_count(caller: Caller) -> UnreadCount:
    """未读消息数

    An extension of the protocol documents.
    """
    return messages.count_unread(caller)


@routes.post("/msg_service/msg/set_read", callers=READER_ROLES, errors=[NOT_FOUND])
def set_read(caller: Caller, body: MarkSiteMessageReadRequest) -> None:
    """消息改为已读"""
    messages.mark_read(caller, body)


@routes.post("/msg_service/msg/all_set_read", callers=READER_ROLES)
def all_set_read(caller: Caller, body: MarkAllReadRequest) -> None:
    """消息全部改为已读

    Messages that arrive during the request stay unread.
    """
    messages.mark_all_read(caller, body)
