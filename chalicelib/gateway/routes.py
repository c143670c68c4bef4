"""Document 004: the IM gateway, without /notify."""

from chalicelib.errors import CONFLICT, INVALID_CONVERSATION_TYPE, NO_PARTICIPANTS, NOT_FOUND
from chalicelib.gateway import conversations, internal, messages
from chalicelib.gateway.models import (
    ConversationDetail,
    ConversationReference,
    ConversationRequest,
    Conversations,
    CreateConversationRequest,
    CreateServiceConversationRequest,
    JoinedConversationsRequest,
    JoinedResponse,
    Messages,
    NewestMessageId,
    NewestMessagesRequest,
    PageRequest,
    ParticipantsRequest,
    RangeRequest,
    SendMessageRequest,
    SendMessageResponse,
    SetArchivedRequest,
    TokenRequest,
)
from chalicelib.http.routing import IdempotencyKeyHeader, RateLimit, Routes, ScriptBatch
from chalicelib.identity.callers import PARTICIPANT_ROLES, Caller, Role

routes = Routes(__name__)


@routes.post(
    "/send_msg",
    callers=PARTICIPANT_ROLES,
    errors=[NOT_FOUND, CONFLICT],
    batch=messages.prepare_send,
    limit=RateLimit.MESSAGES,
)
def send_msg(
    caller: Caller, body: SendMessageRequest, idempotency_key: IdempotencyKeyHeader, batch: ScriptBatch | None
) -> SendMessageResponse:
    """发送消息

    To any conversation in which the caller takes part, including consultations; 403 if it is archived. A request with
    the same Idempotency-Key (or client_msg_id) returns the same message.
    """
    return messages.send(caller, body, idempotency_key, batch)


@routes.post("/check_joined_conversation", callers=PARTICIPANT_ROLES, audited=False)
def check_joined_conversation(caller: Caller, body: ConversationRequest) -> JoinedResponse:
    """检查当前用户是否在会话中"""
    return conversations.check_joined(caller, body)


@routes.post("/get_joined_conversation", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND], audited=False)
def get_joined_conversation(caller: Caller, body: JoinedConversationsRequest) -> Conversations:
    """获取当前用户加入的会话列表

    The caller's own conversations, the newest first, at most 1,000; the next ones with the last of them as `after`. 403
    if SessionId is another user's.
    """
    return conversations.list_joined(caller, body)


@routes.post("/get_conversation_detail", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND], audited=False)
def get_conversation_detail(caller: Caller, body: ConversationRequest) -> ConversationDetail:
    """获取会话信息"""
    return conversations.get_detail(caller, body)


@routes.post("/join_conversation", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND, CONFLICT])
def join_conversation(caller: Caller, body: ConversationRequest) -> ConversationReference:
    """加入会话

    By its id, if a participant created it (create_conversation); 404 for every other conversation. 403 if it is
    archived or the caller was removed from it, 409 if it has 500 participants. Earlier messages can be read.
    """
    return conversations.join(caller, body)


@routes.post(
    "/create_conversation",
    callers=PARTICIPANT_ROLES,
    errors=[CONFLICT, INVALID_CONVERSATION_TYPE],
    limit=RateLimit.CONVERSATIONS,
)
def create_conversation(
    caller: Caller, body: CreateConversationRequest, idempotency_key: IdempotencyKeyHeader
) -> ConversationReference:
    """创建会话

    The caller is its first participant; everyone who knows its id may join. A request with the same Idempotency-Key
    returns the same conversation.
    """
    return conversations.create(caller, body, idempotency_key)


@routes.post("/leave_conversation", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND])
def leave_conversation(caller: Caller, body: ConversationRequest) -> ConversationReference:
    """离开会话

    Only one that can be joined by its id; 404 for every other.
    """
    return conversations.leave(caller, body)


@routes.post(
    "/get_lastone_msgid",
    callers=PARTICIPANT_ROLES,
    errors=[NOT_FOUND],
    batch=messages.prepare_newest_message,
    audited=False,
)
def get_lastone_msgid(caller: Caller, body: ConversationRequest, batch: ScriptBatch | None) -> NewestMessageId:
    """获取会话的最后一条消息ID"""
    return messages.get_last_id(caller, body, batch)


@routes.post("/get_conversation_msg_by_range", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND], audited=False)
def get_conversation_msg_by_range(caller: Caller, body: RangeRequest) -> Messages:
    """获取会话指定消息ID范围的信息

    Both ids are included; an empty one is an open end. At most 500 messages: the first in the requested order.
    """
    return messages.list_between(caller, body)


@routes.post("/get_conversation_30msg_before_the_id", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND], audited=False)
def get_conversation_30msg_before_the_id(caller: Caller, body: PageRequest) -> Messages:
    """获取指定消息ID之前的30条消息

    The message with the given id is included: it and the 29 before it. `msg_list` of document 000 leaves it out.
    """
    return messages.list_before(caller, body)


@routes.post("/get_conversation_30msg_after_the_id", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND], audited=False)
def get_conversation_30msg_after_the_id(caller: Caller, body: PageRequest) -> Messages:
    """获取指定消息ID之后的30条消息

    The message with the given id is included: it and the 29 after it.
    """
    return messages.list_after(caller, body)


@routes.post(
    "/get_conversation_last_30_msg",
    callers=PARTICIPANT_ROLES,
    errors=[NOT_FOUND],
    batch=messages.prepare_newest_page,
    audited=False,
)
def get_conversation_last_30_msg(caller: Caller, body: NewestMessagesRequest, batch: ScriptBatch | None) -> Messages:
    """获取会话的最后30条消息

    They count as read by the caller.
    """
    return messages.list_newest(caller, body, batch)


@routes.post(
    "/get_conversation_lastone_msg",
    callers=PARTICIPANT_ROLES,
    errors=[NOT_FOUND],
    batch=messages.prepare_newest_message,
    audited=False,
)
def get_conversation_lastone_msg(caller: Caller, body: NewestMessagesRequest, batch: ScriptBatch | None) -> Messages:
    """获取会话最后一条消息

    A list of one message, or an empty list if there is none. It does not count as read.
    """
    return messages.list_last(caller, body, batch)


@routes.post("/inner/get_token", callers=[Role.SERVICE], errors=[NOT_FOUND], audited=False)
def get_token(caller: Caller, body: TokenRequest) -> str:
    """获取Token

    Issues a token on behalf of the hospital's own system. `12` or `user:12` is the account or member of staff with that
    id, and the token has that person's rights; any other string is a user of that system, known only by this string.
    Doctors and service staff: only if the hospital allows it (internal_key_settings), for 12 hours; 403 otherwise.
    Administrators: never. Each token is in the audit log, and ends when the key is revoked.
    """
    return internal.issue_token(caller, body)


@routes.post(
    "/inner/create_conversation",
    callers=[Role.SERVICE],
    errors=[NOT_FOUND, CONFLICT, INVALID_CONVERSATION_TYPE, NO_PARTICIPANTS],
)
def inner_create_conversation(
    caller: Caller, body: CreateServiceConversationRequest, idempotency_key: IdempotencyKeyHeader
) -> ConversationReference:
    """创建会话并初始化成员

    Only /inner/join_conversation adds others. Participants are named as in get_token; 404 for an unknown id. A
    request with the same Idempotency-Key returns the same conversation.
    """
    return internal.create(caller, body, idempotency_key)


@routes.post("/inner/kickout_conversation", callers=[Role.SERVICE], errors=[NOT_FOUND, NO_PARTICIPANTS])
def inner_kickout_conversation(caller: Caller, body: ParticipantsRequest) -> ConversationReference:
    """踢出会话成员

    They can no longer read, and can return only by /inner/join_conversation. Sessions that are no participants are
    ignored.
    """
    return internal.remove_participants(caller, body)


@routes.post("/inner/join_conversation", callers=[Role.SERVICE], errors=[NOT_FOUND, CONFLICT, NO_PARTICIPANTS])
def inner_join_conversation(caller: Caller, body: ParticipantsRequest) -> ConversationReference:
    """指定用户加入会话

    All of them, or none if there would be more than 500 participants (409).
    """
    return internal.add_participants(caller, body)


@routes.post("/inner/set_archive_conversations", callers=[Role.SERVICE], errors=[NOT_FOUND])
def inner_set_archive_conversations(caller: Caller, body: SetArchivedRequest) -> None:
    """会话状态设为归档/非归档

    An archived conversation can be read but not written to (403). All of them, or none if one does not exist (404).
    """
    return internal.set_archived(caller, body)
