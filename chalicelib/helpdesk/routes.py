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
    Unread,
    Withdrawing,
)
from chalicelib.helpdesk.post_models import Duty, Post, PostKept, PostSaved
from chalicelib.http.routing import Acting, Counted, Key, Routes
from chalicelib.identity.callers import ADMIN, DOCTOR, PATIENT, SERVICE, SERVICE_STAFF, Caller

EVERYBODY = (PATIENT, DOCTOR, SERVICE_STAFF, ADMIN, SERVICE)
DESK_ADMINS = (SERVICE_STAFF, ADMIN)

routes = Routes(__name__)


@routes.post("/message/messageCount", callers=EVERYBODY, refusals=[NOT_FOUND])
def message_count(caller: Acting, body: CountAsked) -> Unread:
    """未读消息数

    Of the caller, in conversations of all kinds.
    """
    return messages.count(caller, body)


@routes.post("/message/messageAdd", callers=EVERYBODY, refusals=[NOT_FOUND, CONFLICT])
def message_add(caller: Acting, body: Draft, key: Key) -> Counted[list[Added]]:
    """发送消息

    To persons (ownType 1: receiveId, receiverIds), to groups (3: groupIds), or (2) from a patient to the hospital's
    desk, from staff as a notice in the hospital's name. All receivers are found, or nothing is sent. 403 where a
    session is closed; a patient's message opens it again. Sent again with the same Idempotency-Key it is the same
    message; with another content or other receivers, 409.
    """
    return messages.add(caller, body, key)


@routes.post("/message/findMessage", callers=EVERYBODY, refusals=[NOT_FOUND])
def find_message(caller: Acting, body: MessagesAsked) -> Counted[list[Entry]]:
    """查询消息

    Those older than lastId, or the newest, which count as read. count is how many the conversation has.
    """
    return messages.find(caller, body)


@routes.post("/message/userList", callers=EVERYBODY, refusals=[NOT_FOUND])
def user_list(caller: Acting, body: ListAsked) -> Counted[list[Listed]]:
    """联系人列表

    Each person with whom the caller has a conversation, the last active first, with the last message of the two.
    """
    return lists.people(caller, body)


@routes.post("/message/conversationList", callers=EVERYBODY, refusals=[NOT_FOUND])
def conversation_list(caller: Acting, body: ListAsked) -> Counted[list[Listed]]:
    """会话列表

    The caller's conversations of all kinds, the last active first.
    """
    return lists.conversations(caller, body)


@routes.post("/message/createChatSession", callers=EVERYBODY, refusals=[NOT_FOUND, CONFLICT])
def create_chat_session(caller: Acting, body: SessionAsked) -> Session:
    """创建或打开会话

    With a person (msgType 2), with the desk (3), or a group that the caller is in (4). A patient at the desk is given
    an agent as by obtainShunt; staff who name a patient serve them themselves, 409 without a post, above its cap, and
    where somebody else on duty does. What was closed is open again.
    """
    return sessions.create(caller, body)


@routes.post("/message/closeChatSession", callers=EVERYBODY, refusals=[NOT_FOUND, CONFLICT])
def close_chat_session(caller: Acting, body: SessionClosing) -> None:
    """结束会话

    By either side; a note is its last message. It can be read, and at the desk the next who waits is let in.
    """
    queue.close(caller, body)


@routes.post("/message/obtainShunt", callers=EVERYBODY, refusals=[NOT_FOUND, CONFLICT])
def obtain_shunt(caller: Acting, body: ShuntAsked) -> Session:
    """客服分流

    For a patient: the agent who served them last, else who serves the fewest, else who has been idle longest, of those
    who are on duty, have room and do what is asked for (type: a skill or a department; anybody where nobody does it).
    Where there is none, the place in the queue. Asked again it is the same session or place.
    """
    return queue.obtain(caller, body.type)


@routes.post("/message/updateReadById", callers=EVERYBODY, refusals=[NOT_FOUND])
def update_read_by_id(caller: Acting, body: ReadAsked) -> None:
    """标记已读

    Everything that somebody has sent to the caller; they are told at /notify.
    """
    messages.read(caller, body)


@routes.post("/message/withdrawMessage", callers=EVERYBODY, refusals=[NOT_FOUND])
def withdraw_message(caller: Acting, body: Withdrawing) -> None:
    """撤回消息

    The sender within two minutes, an admin at any time; 404 else. Its place stays.
    """
    withdrawals_and_ratings.withdraw(caller, body)


@routes.post("/message/appraiseMessage", callers=EVERYBODY, refusals=[NOT_FOUND, CONFLICT])
def appraise_message(caller: Acting, body: Appraisal) -> None:
    """评价消息

    Once for each reader, who may change it; 409 for one's own message.
    """
    withdrawals_and_ratings.appraise(caller, body)


@routes.post("/message/oneUserPosition", callers=EVERYBODY, refusals=[NOT_FOUND])
def one_user_position(caller: Acting, body: PostAsked) -> Card:
    """岗位名片"""
    return post_cards.of_post(caller, body)


@routes.post("/message/oneUserConversation", callers=EVERYBODY, refusals=[NOT_FOUND, CONFLICT])
def one_user_conversation(caller: Acting, body: PeerPost) -> Pair:
    """首次会话

    The chat between the caller (by the post of the header positionId, 0 for none) and who holds the other post, made
    once, with both cards.
    """
    return post_cards.conversation(caller, body)


@routes.post("/message/savePost", callers=DESK_ADMINS, refusals=[NOT_FOUND, CONFLICT])
def save_post(caller: Caller, body: PostSaved) -> PostKept:
    """岗位保存

    Each member of staff holds one post at most. Who waits at the desk is let in where a higher cap makes room.
    """
    return post_cards.save(caller, body)


@routes.post("/message/setDuty", callers=DESK_ADMINS, refusals=[NOT_FOUND])
def set_duty(caller: Caller, body: Duty) -> None:
    """岗位上下班

    Who is on duty is given patients. Sessions that are open stay with who goes off duty.
    """
    post_cards.set_duty(caller, body)


@routes.post("/message/postList", callers=DESK_ADMINS)
def post_list(caller: Caller) -> Counted[list[Post]]:
    """岗位列表

    With how many sessions of the desk each has open.
    """
    return post_cards.listed(caller)
