"""Endpoints of the messagecenter, a hospital's help desk: document 002. Its responses have an envelope of their own."""

from chalicelib.errors import CONFLICT, NOT_FOUND
from chalicelib.helpdesk import (
    desk_sessions,
    lists,
    messages,
    person_cards,
    post_settings,
    session_opening,
    withdrawals_and_ratings,
)
from chalicelib.helpdesk.list_models import ListEntry, ListRequest
from chalicelib.helpdesk.models import (
    AddMessageRequest,
    AppraiseRequest,
    AssignmentRequest,
    CloseSessionRequest,
    MarkReadRequest,
    MessageEntry,
    MessagePageRequest,
    OpenSessionRequest,
    PeerConversation,
    PeerConversationRequest,
    PersonCard,
    PostCardRequest,
    SentMessage,
    Session,
    UnreadCountRequest,
    UnreadTotal,
    WithdrawRequest,
)
from chalicelib.helpdesk.post_models import Post, SavedPost, SavePostRequest, SetDutyRequest
from chalicelib.http.routing import ActingCaller, CountedResult, IdempotencyKeyHeader, RateLimit, Routes
from chalicelib.identity.callers import Caller, Role

MESSAGECENTER_ROLES = (Role.PATIENT, Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN, Role.SERVICE)
DESK_ADMIN_ROLES = (Role.SERVICE_STAFF, Role.ADMIN)

routes = Routes(__name__)


@routes.post("/message/messageCount", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND], audited=False)
def message_count(caller: ActingCaller, body: UnreadCountRequest) -> UnreadTotal:
    """未读消息数

    Of the caller, in conversations of all kinds.
    """
    return messages.count_unread(caller, body)


@routes.post("/message/messageAdd", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT], limit=RateLimit.MESSAGES)
def message_add(
    caller: ActingCaller, body: AddMessageRequest, idempotency_key: IdempotencyKeyHeader
) -> CountedResult[list[SentMessage]]:
    """发送消息

    To persons (ownType 1: receiveId, receiverIds), to groups (3: groupIds), or (2) from a patient to the hospital's
    help desk, from service staff and admins as an announcement in the hospital's name (doctors: 403). If one recipient
    is unknown, nothing is sent; nor if a doctor, who may answer everybody, begins a chat with a patient who is not
    their own (404). 403 if a session is closed; a patient's message reopens it. Requests with the same
    Idempotency-Key send one message; 409 if the key was used for another content or other recipients.
    """
    return messages.send(caller, body, idempotency_key)


@routes.post("/message/findMessage", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND], audited=False)
def find_message(caller: ActingCaller, body: MessagePageRequest) -> CountedResult[list[MessageEntry]]:
    """查询消息

    Those older than lastId; without it the newest, which are marked as read. count is the number of messages of the
    conversation.
    """
    return messages.list_page(caller, body)


@routes.post(
    "/message/userList", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND], limit=RateLimit.SEARCHES, audited=False
)
def user_list(caller: ActingCaller, body: ListRequest) -> CountedResult[list[ListEntry]]:
    """联系人列表

    Each person with whom the caller has a conversation, last active first, with their newest message.
    """
    return lists.list_people(caller, body)


@routes.post(
    "/message/conversationList",
    callers=MESSAGECENTER_ROLES,
    errors=[NOT_FOUND],
    limit=RateLimit.SEARCHES,
    audited=False,
)
def conversation_list(caller: ActingCaller, body: ListRequest) -> CountedResult[list[ListEntry]]:
    """会话列表

    The caller's conversations of all kinds, last active first.
    """
    return lists.list_conversations(caller, body)


@routes.post(
    "/message/createChatSession",
    callers=MESSAGECENTER_ROLES,
    errors=[NOT_FOUND, CONFLICT],
    limit=RateLimit.CONVERSATIONS,
)
def create_chat_session(caller: ActingCaller, body: OpenSessionRequest) -> Session:
    """创建或打开会话

    With a person (msgType 2), with the help desk (3), or a group in which the caller takes part (4). At the help desk,
    a patient is assigned an agent as by obtainShunt; staff who name a patient serve them, 409 without a post, above its
    cap, or if another agent on duty serves them. A closed session is reopened. A doctor begins and reopens sessions
    with own patients only (404), and serves whoever has asked the help desk.
    """
    return session_opening.open_session(caller, body)


@routes.post("/message/closeChatSession", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT])
def close_chat_session(caller: ActingCaller, body: CloseSessionRequest) -> None:
    """结束会话

    By either participant; a closing message is its last one. The session can still be read; at the help desk, the next
    waiting patient is assigned.
    """
    desk_sessions.close_session(caller, body)


@routes.post("/message/obtainShunt", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT])
def obtain_shunt(caller: ActingCaller, body: AssignmentRequest) -> Session:
    """客服分流

    For a patient: of the agents on duty who are below their cap and have the requested skill or department (type), the
    one who served them last, else the one with the fewest sessions, else the one whose last session started or ended
    longest ago. A type that no agent has is ignored. If no agent is available, the position in the queue. Repeated
    requests return the same session or position.
    """
    return desk_sessions.request_agent(caller, body.type)


@routes.post("/message/updateReadById", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND])
def update_read_by_id(caller: ActingCaller, body: MarkReadRequest) -> None:
    """标记已读

    All messages of a person, a session or the hospital. The senders are notified at /notify.
    """
    messages.mark_read(caller, body)


@routes.post("/message/withdrawMessage", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND])
def withdraw_message(caller: ActingCaller, body: WithdrawRequest) -> None:
    """撤回消息

    By the sender within two minutes, by an admin at any time; otherwise 404. The message keeps its place in the
    conversation, without content. Who withdrew it, when and why stays on record, and so does the content: admins read
    it with manager_service/withdrawn_message.
    """
    withdrawals_and_ratings.withdraw(caller, body)


@routes.post("/message/appraiseMessage", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT])
def appraise_message(caller: ActingCaller, body: AppraiseRequest) -> None:
    """评价消息

    One rating for each reader, which can be changed; 409 for the caller's own message.
    """
    withdrawals_and_ratings.rate(caller, body)


@routes.post("/message/oneUserPosition", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND], audited=False)
def one_user_position(caller: ActingCaller, body: PostCardRequest) -> PersonCard:
    """岗位名片"""
    return person_cards.get_for_post(caller, body)


@routes.post("/message/oneUserConversation", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT])
def one_user_conversation(caller: ActingCaller, body: PeerConversationRequest) -> PeerConversation:
    """首次会话

    The direct chat of the caller (with the post of the header positionId, 0 for none) and the holder of the other post,
    created if there is none, with both cards.
    """
    return person_cards.open_conversation(caller, body)


@routes.post("/message/savePost", callers=DESK_ADMIN_ROLES, errors=[NOT_FOUND, CONFLICT])
def save_post(caller: Caller, body: SavePostRequest) -> SavedPost:
    """岗位保存

    Each member of staff holds at most one post. Waiting patients are assigned if a higher cap allows it. A double click
    creates one post.
    """
    return post_settings.save_post(caller, body)


@routes.post("/message/setDuty", callers=DESK_ADMIN_ROLES, errors=[NOT_FOUND])
def set_duty(caller: Caller, body: SetDutyRequest) -> None:
    """岗位上下班

    Patients are assigned to agents on duty. Open sessions keep their agent when duty ends.
    """
    post_settings.set_duty(caller, body)


@routes.post("/message/postList", callers=DESK_ADMIN_ROLES, audited=False)
def post_list(caller: Caller) -> CountedResult[list[Post]]:
    """岗位列表

    With the number of open sessions of each.
    """
    return post_settings.list_posts(caller)
