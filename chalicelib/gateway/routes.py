"""Document 004: the IM gateway."""

from chalicelib.errors import CONFLICT, CONVERSATION_TYPE, NO_MEMBERS, NOT_FOUND, PROTOCOL
from chalicelib.gateway import conversations, internal, messages
from chalicelib.gateway.models import (
    Archiving,
    Around,
    Conversation,
    ConversationDetail,
    ConversationNamed,
    ConversationOfMembers,
    Conversations,
    ConversationWanted,
    Joined,
    Members,
    Messages,
    NewestMessageId,
    NewestMessages,
    OwnSession,
    Sent,
    Span,
    Text,
    TokenRequest,
)
from chalicelib.gateway.notify import listening, poll, sse
from chalicelib.gateway.notify.models import ListenQuery, Several, Single
from chalicelib.http.routing import IdempotencyKeyHeader, LastEventIdHeader, RawContent, Routes
from chalicelib.identity.callers import PARTICIPANT_ROLES, Caller, Role

routes = Routes(__name__)


@routes.get("/notify", callers=PARTICIPANT_ROLES, errors=[PROTOCOL], raw_content_type=sse.CONTENT_TYPE)
def notify(
    caller: Caller, query: ListenQuery, last_event_id: LastEventIdHeader, time_left: float
) -> Single | Several | RawContent | None:
    """消息推送服务

    What is new for the caller, in all conversations. poll answers as soon as there is something: one message, or with
    limit a list and the cursor to go on from; null (an empty list) after 20 seconds without. sse is a stream of the
    same, ended after each delivery: an EventSource goes on by itself. Without a cursor each delivery counts as
    received, and the next one goes on behind it. gap says that something is lost to the feed and must be read from
    history (an answer without MsgId where there is nothing else). Each entry's PreId is the message before it in its
    conversation. events=1 brings what is no message: withdrawals (Type 1000), read positions (1001) and others.
    """
    transport = listening.require_transport(query)
    if transport == "sse":
        return sse.build_stream(caller, query, last_event_id, time_left)
    return (
        poll.wait_for_several(caller, query, query.limit, time_left)
        if query.limit
        else poll.wait_for_one(caller, query, time_left)
    )


@routes.post("/send_msg", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND, CONFLICT])
def send_msg(caller: Caller, body: Text, idempotency_key: IdempotencyKeyHeader) -> Sent:
    """发送消息

    To any conversation that the caller takes part in, consultations among them; 403 where it is archived. Sent again
    with the same Idempotency-Key (or client_msg_id) it is the same message.
    """
    return messages.send(caller, body, idempotency_key)


@routes.post("/check_joined_conversation", callers=PARTICIPANT_ROLES)
def check_joined_conversation(caller: Caller, body: Conversation) -> Joined:
    """检查当前用户是否在会话中"""
    return conversations.check_joined(caller, body)


@routes.post("/get_joined_conversation", callers=PARTICIPANT_ROLES)
def get_joined_conversation(caller: Caller, body: OwnSession) -> Conversations:
    """获取当前用户加入的会话列表

    All of the caller's own conversations, the youngest first; 403 where SessionId is somebody else.
    """
    return conversations.list_joined(caller, body)


@routes.post("/get_conversation_detail", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND])
def get_conversation_detail(caller: Caller, body: Conversation) -> ConversationDetail:
    """获取会话信息"""
    return conversations.get_detail(caller, body)


@routes.post("/join_conversation", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND, CONFLICT])
def join_conversation(caller: Caller, body: Conversation) -> ConversationNamed:
    """加入会话

    By its id, where a participant made it (create_conversation); every other conversation is a 404. 403 where it is
    archived or the caller was put out of it, 409 where it has 500 members. What was said before can be read.
    """
    return conversations.join(caller, body)


@routes.post("/create_conversation", callers=PARTICIPANT_ROLES, errors=[CONFLICT, CONVERSATION_TYPE])
def create_conversation(
    caller: Caller, body: ConversationWanted, idempotency_key: IdempotencyKeyHeader
) -> ConversationNamed:
    """创建会话

    The caller is its first member; whoever knows its id may join. Asked again with the same Idempotency-Key it is
    the same conversation.
    """
    return conversations.create(caller, body, idempotency_key)


@routes.post("/leave_conversation", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND])
def leave_conversation(caller: Caller, body: Conversation) -> ConversationNamed:
    """离开会话

    One that can be joined by its id; every other is a 404.
    """
    return conversations.leave(caller, body)


@routes.post("/get_lastone_msgid", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND])
def get_lastone_msgid(caller: Caller, body: Conversation) -> NewestMessageId:
    """获取会话的最后一条消息ID"""
    return messages.get_last_id(caller, body)


@routes.post("/get_conversation_msg_by_range", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND])
def get_conversation_msg_by_range(caller: Caller, body: Span) -> Messages:
    """获取会话指定消息ID范围的信息

    Both ids are included; an empty one is an open end. At most 500 messages: the first of the order asked for.
    """
    return messages.list_between(caller, body)


@routes.post("/get_conversation_30msg_before_the_id", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND])
def get_conversation_30msg_before_the_id(caller: Caller, body: Around) -> Messages:
    """获取指定消息ID之前的30条消息

    That message and the 29 before it.
    """
    return messages.list_before(caller, body)


@routes.post("/get_conversation_30msg_after_the_id", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND])
def get_conversation_30msg_after_the_id(caller: Caller, body: Around) -> Messages:
    """获取指定消息ID之后的30条消息

    That message and the 29 after it.
    """
    return messages.list_after(caller, body)


@routes.post("/get_conversation_last_30_msg", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND])
def get_conversation_last_30_msg(caller: Caller, body: NewestMessages) -> Messages:
    """获取会话的最后30条消息

    They count as read by the caller.
    """
    return messages.list_newest(caller, body)


@routes.post("/get_conversation_lastone_msg", callers=PARTICIPANT_ROLES, errors=[NOT_FOUND])
def get_conversation_lastone_msg(caller: Caller, body: NewestMessages) -> Messages:
    """获取会话最后一条消息

    A list of one, or of none where nothing was said yet. Does not count as reading.
    """
    return messages.list_last(caller, body)


@routes.post("/inner/get_token", callers=[Role.SERVICE], errors=[NOT_FOUND])
def get_token(caller: Caller, body: TokenRequest) -> str:
    """获取Token

    Signs somebody in on behalf of the hospital's own system. `12` or `user:12` is the account or member of staff
    of that id, with that person's own rights; any other string is a user of that system, known here by it alone.
    """
    return internal.issue_token(caller, body)


@routes.post(
    "/inner/create_conversation", callers=[Role.SERVICE], errors=[NOT_FOUND, CONFLICT, CONVERSATION_TYPE, NO_MEMBERS]
)
def inner_create_conversation(
    caller: Caller, body: ConversationOfMembers, idempotency_key: IdempotencyKeyHeader
) -> ConversationNamed:
    """创建会话并初始化成员

    Only /inner/join_conversation lets others in. Members are named as in get_token; 404 for a number that is nobody's.
    Asked again with the same Idempotency-Key it is the same conversation.
    """
    return internal.create(caller, body, idempotency_key)


@routes.post("/inner/kickout_conversation", callers=[Role.SERVICE], errors=[NOT_FOUND, NO_MEMBERS])
def inner_kickout_conversation(caller: Caller, body: Members) -> ConversationNamed:
    """踢出会话成员

    They read nothing more, and come back only by /inner/join_conversation. Who is no member changes nothing.
    """
    return internal.remove_members(caller, body)


@routes.post("/inner/join_conversation", callers=[Role.SERVICE], errors=[NOT_FOUND, CONFLICT, NO_MEMBERS])
def inner_join_conversation(caller: Caller, body: Members) -> ConversationNamed:
    """指定用户加入会话

    All of them, or none where they would be more than 500 (409).
    """
    return internal.add_members(caller, body)


@routes.post("/inner/set_archive_conversations", callers=[Role.SERVICE], errors=[NOT_FOUND])
def inner_set_archive_conversations(caller: Caller, body: Archiving) -> None:
    """会话状态设为归档/非归档

    An archived conversation can be read and not written to (403). All of them, or none where one is not there (404).
    """
    return internal.set_archived(caller, body)
