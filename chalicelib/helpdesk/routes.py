"""Document 002: the messagecenter, a hospital's help desk. Its answers have an envelope of their own."""

from chalicelib.errors import CONFLICT, NOT_FOUND
from chalicelib.helpdesk import lists, messages, post_cards, queue, sessions, withdrawals_and_ratings
from chalicelib.helpdesk.list_models import ListAsked, Listed
from chalicelib.helpdesk.models import (
    Added,
    Appraisal,
    Card,
    CountAsked,
    Draft,
    Entry,
    MessagesAsked,
    Pair,
    PeerPost,
    PostAsked,
    ReadAsked,
    Session,
    SessionAsked,
    SessionClosing,
    ShuntAsked,
    UnreadTotal,
    Withdrawing,
)
from chalicelib.helpdesk.post_models import Duty, Post, PostKept, PostSaved
from chalicelib.http.routing import ActingCaller, CountedResult, IdempotencyKeyHeader, Routes
from chalicelib.identity.callers import Caller, Role

MESSAGECENTER_ROLES = (Role.PATIENT, Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN, Role.SERVICE)
DESK_ADMIN_ROLES = (Role.SERVICE_STAFF, Role.ADMIN)

routes = Routes(__name__)


@routes.post("/message/messageCount", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND])
def message_count(caller: ActingCaller, body: CountAsked) -> UnreadTotal:
    """未读消息数

    Of the caller, in conversations of all kinds.
    """
    return messages.count_unread(caller, body)


@routes.post("/message/messageAdd", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT])
def message_add(caller: ActingCaller, body: Draft, idempotency_key: IdempotencyKeyHeader) -> CountedResult[list[Added]]:
    """发送消息

    To persons (ownType 1: receiveId, receiverIds), to groups (3: groupIds), or (2) from a patient to the hospital's
    desk, from staff as a notice in the hospital's name. All receivers are found, or nothing is sent. 403 where a
    session is closed; a patient's message opens it again. Sent again with the same Idempotency-Key it is the same
    message; with another content or other receivers, 409.
    """
    return messages.send(caller, body, idempotency_key)


@routes.post("/message/findMessage", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND])
def find_message(caller: ActingCaller, body: MessagesAsked) -> CountedResult[list[Entry]]:
    """查询消息

    Those older than lastId, or the newest, which count as read. count is how many the conversation has.
    """
    return messages.list_page(caller, body)


@routes.post("/message/userList", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND])
def user_list(caller: ActingCaller, body: ListAsked) -> CountedResult[list[Listed]]:
    """联系人列表

    Each person with whom the caller has a conversation, the last active first, with the last message of the two.
    """
    return lists.list_people(caller, body)


@routes.post("/message/conversationList", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND])
def conversation_list(caller: ActingCaller, body: ListAsked) -> CountedResult[list[Listed]]:
    """会话列表

    The caller's conversations of all kinds, the last active first.
    """
    return lists.list_conversations(caller, body)


@routes.post("/message/createChatSession", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT])
def create_chat_session(caller: ActingCaller, body: SessionAsked) -> Session:
    """创建或打开会话

    With a person (msgType 2), with the desk (3), or a group that the caller is in (4). A patient at the desk is given
    an agent as by obtainShunt; staff who name a patient serve them themselves, 409 without a post, above its cap, and
    where somebody else on duty does. What was closed is open again.
    """
    return sessions.get_or_create(caller, body)


@routes.post("/message/closeChatSession", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT])
def close_chat_session(caller: ActingCaller, body: SessionClosing) -> None:
    """结束会话

    By either side; a note is its last message. It can be read, and at the desk the next who waits is let in.
    """
    queue.close_session(caller, body)


@routes.post("/message/obtainShunt", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT])
def obtain_shunt(caller: ActingCaller, body: ShuntAsked) -> Session:
    """客服分流

    For a patient: the agent who served them last, else who serves the fewest, else who has been idle longest, of those
    who are on duty, have room and do what is asked for (type: a skill or a department; anybody where nobody does it).
    Where there is none, the place in the queue. Asked again it is the same session or place.
    """
    return queue.request_agent(caller, body.type)


@routes.post("/message/updateReadById", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND])
def update_read_by_id(caller: ActingCaller, body: ReadAsked) -> None:
    """标记已读

    Everything that somebody has sent to the caller; they are told at /notify.
    """
    messages.mark_read(caller, body)


@routes.post("/message/withdrawMessage", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND])
def withdraw_message(caller: ActingCaller, body: Withdrawing) -> None:
    """撤回消息

    The sender within two minutes, an admin at any time; 404 else. Its place stays.
    """
    withdrawals_and_ratings.withdraw(caller, body)


@routes.post("/message/appraiseMessage", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT])
def appraise_message(caller: ActingCaller, body: Appraisal) -> None:
    """评价消息

    Once for each reader, who may change it; 409 for one's own message.
    """
    withdrawals_and_ratings.appraise(caller, body)


@routes.post("/message/oneUserPosition", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND])
def one_user_position(caller: ActingCaller, body: PostAsked) -> Card:
    """岗位名片"""
    return post_cards.get_for_post(caller, body)


@routes.post("/message/oneUserConversation", callers=MESSAGECENTER_ROLES, errors=[NOT_FOUND, CONFLICT])
def one_user_conversation(caller: ActingCaller, body: PeerPost) -> Pair:
    """首次会话

    The chat between the caller (by the post of the header positionId, 0 for none) and who holds the other post, made
    once, with both cards.
    """
    return post_cards.open_conversation(caller, body)


@routes.post("/message/savePost", callers=DESK_ADMIN_ROLES, errors=[NOT_FOUND, CONFLICT])
def save_post(caller: Caller, body: PostSaved) -> PostKept:
    """岗位保存

    Each member of staff holds one post at most. Who waits at the desk is let in where a higher cap makes room.
    """
    return post_cards.save_post(caller, body)


@routes.post("/message/setDuty", callers=DESK_ADMIN_ROLES, errors=[NOT_FOUND])
def set_duty(caller: Caller, body: Duty) -> None:
    """岗位上下班

    Who is on duty is given patients. Sessions that are open stay with who goes off duty.
    """
    post_cards.set_duty(caller, body)


@routes.post("/message/postList", callers=DESK_ADMIN_ROLES)
def post_list(caller: Caller) -> CountedResult[list[Post]]:
    """岗位列表

    With how many sessions of the desk each has open.
    """
    return post_cards.list_posts(caller)
