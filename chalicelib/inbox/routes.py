"""The site messages (站内消息) of document 000."""

from chalicelib.errors import CONFLICT, NOT_FOUND
from chalicelib.http.routing import IdempotencyKeyHeader, Routes
from chalicelib.identity.callers import Caller, Role
from chalicelib.inbox import messages
from chalicelib.inbox.models import AllRead, MessageListQuery, MessageRead, Sending, SiteMessage, UnreadCount

routes = Routes(__name__)
STAFF_ROLES = [Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN]
READER_ROLES = [Role.PATIENT, *STAFF_ROLES]


@routes.post("/msg_service/msg/send", callers=[*STAFF_ROLES, Role.SERVICE], errors=[NOT_FOUND, CONFLICT])
def send(caller: Caller, body: Sending, idempotency_key: IdempotencyKeyHeader) -> None:
    """发送消息

    To at most 1,000 people of the hospital, patients or staff; where one is unknown, nobody is sent anything. Each is
    told at /notify (`Type` 1200). Sent again with the same Idempotency-Key it is one message.
    """
    messages.send(caller, body, idempotency_key)


@routes.get("/msg_service/msg/list", callers=READER_ROLES)
def list_own(caller: Caller, query: MessageListQuery) -> list[SiteMessage]:
    """获取消息列表

    The caller's own, the newest first. Listing does not count as reading.
    """
    return messages.list_own(caller, query)


@routes.get("/msg_service/msg/unread_count", callers=READER_ROLES)
def unread_count(caller: Caller) -> UnreadCount:
    """未读消息数

    An endpoint of ours.
    """
    return messages.count_unread(caller)


@routes.post("/msg_service/msg/set_read", callers=READER_ROLES, errors=[NOT_FOUND])
def set_read(caller: Caller, body: MessageRead) -> None:
    """消息改为已读"""
    messages.mark_read(caller, body)


@routes.post("/msg_service/msg/all_set_read", callers=READER_ROLES)
def all_set_read(caller: Caller, body: AllRead) -> None:
    """消息全部改为已读

    What was there when it was asked; what arrives meanwhile stays unread.
    """
    messages.mark_all_read(caller, body)
