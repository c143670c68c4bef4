"""What is shown of somebody by the post they hold, and what an admin sets about posts."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.files import links
from chalicelib.helpdesk import assignment, chats, queue_store, store
from chalicelib.helpdesk.assignment import ChangedParticipants
from chalicelib.helpdesk.models import Card, Pair, PeerPost, PostAsked
from chalicelib.helpdesk.post_models import Duty, Post, PostKept, PostSaved
from chalicelib.http.routing import CountedResult
from chalicelib.identity.callers import Caller
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import departments, posts
from chalicelib.people.posts import PostCard


def get_for_post(caller: Caller, asked: PostAsked) -> Card:
    """ApiError 404 where the tenant has no such post, or its holder was locked out."""
    return _build_card(_get_post(caller, asked.positionId))


def open_conversation(caller: Caller, asked: PeerPost) -> Pair:
    """Return the chat between the caller and who holds a post, made if there is none, with both cards."""
    yours = _get_post(caller, asked.youPositionId)
    if yours.user_id == caller.user_id:
        raise ApiError(errors.CONFLICT, "youPositionId：不能与本人会话")
    pair = chats.build_direct_pair(caller.user_id, yours.user_id)
    session_id = chats.get_or_create(caller.tenant_id, ConversationKind.DIRECT, [pair])[pair]
    own = posts.find_card(mysql.autocommit, caller.tenant_id, caller.post_id) if caller.post_id else None
    mine = _build_card(own) if own else _build_card_without_post(caller.tenant_id, caller.user_id)
    return {"sessionId": session_id, "mine": mine, "yours": _build_card(yours)}


def get_for_staff(tenant_id: int, user_id: int) -> Card:
    """The card of a member of staff, by the post they hold if they do."""
    row = posts.find_card_by_user(mysql.autocommit, tenant_id, user_id)
    return _build_card(row) if row else _build_card_without_post(tenant_id, user_id)


def save_post(caller: Caller, saved: PostSaved) -> PostKept:
    """Make a post for a member of staff, or change one. ApiError 404 for a post, person or department that is not
    there,
    409 where they hold another one. Who waits is let in where there is room now."""
    tenant_id = caller.tenant_id
    about = posts.PostSettings(title=saved.title, dept_id=saved.deptId, skill=saved.skill, cap=saved.cap)

    def work(tx: Tx, _: int, seats: ChangedParticipants) -> int:
        if saved.deptId and not departments.exists(tx, tenant_id, saved.deptId):
            raise ApiError(errors.NOT_FOUND, "科室不存在")
        post_id = _update_post(tx, caller, saved, about) if saved.positionId else _create_post(tx, caller, saved, about)
        assignment.assign_waiting(tx, tenant_id, seats)
        return post_id

    try:
        return PostKept(positionId=str(assignment.run_under_desk_lock(tenant_id, work)))
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "userId：已有岗位") from None


def set_duty(caller: Caller, asked: Duty) -> None:
    """Who is on duty is given patients; sessions that are open stay with who goes off duty."""

    def work(tx: Tx, _: int, seats: ChangedParticipants) -> None:
        if not posts.set_on_duty(tx, caller.tenant_id, asked.positionId, asked.onDuty, caller.user_id):
            raise _build_not_found_error()
        assignment.assign_waiting(tx, caller.tenant_id, seats)

    assignment.run_under_desk_lock(caller.tenant_id, work)


def list_posts(caller: Caller) -> CountedResult[list[Post]]:
    """All posts, with how many sessions of the desk each has open."""
    rows = posts.list_all(mysql.autocommit, caller.tenant_id)
    agents = {one["post_id"]: one for one in queue_store.list_agents(mysql.autocommit, caller.tenant_id)}
    found: list[Post] = [
        {
            **_build_card(row),
            "deptId": str(row.dept_id or ""),
            "skill": row.skill,
            "cap": row.cap,
            "open": agents[row.post_id]["serving"] if row.post_id in agents else 0,
        }
        for row in rows
    ]
    return CountedResult(data=found, count=len(found))


def _create_post(tx: Tx, caller: Caller, saved: PostSaved, about: posts.PostSettings) -> int:
    people = store.get_people(tx, caller.tenant_id, [saved.userId]) if saved.userId else {}
    person = people.get(saved.userId or 0)
    if person is None or person["kind"] != "staff" or person["disabled"]:
        raise ApiError(errors.NOT_FOUND, "userId：员工不存在")
    return posts.create(tx, caller.tenant_id, person["user_id"], about, caller.user_id)


def _update_post(tx: Tx, caller: Caller, saved: PostSaved, about: posts.PostSettings) -> int:
    post_id = saved.positionId or 0
    if saved.userId not in (None, posts.find_holder_id(tx, caller.tenant_id, post_id)):
        raise ApiError(errors.NOT_FOUND, "userId：不是该岗位的员工")
    if not posts.update(tx, caller.tenant_id, post_id, about, caller.user_id):
        raise _build_not_found_error()
    return post_id


def _get_post(caller: Caller, post_id: int) -> PostCard:
    row = posts.find_card(mysql.autocommit, caller.tenant_id, post_id)
    if row is None:
        raise _build_not_found_error()
    return row


def _build_not_found_error() -> ApiError:
    return ApiError(errors.NOT_FOUND, "岗位不存在")


def _build_card(card: PostCard) -> Card:
    return {
        "positionId": str(card.post_id),
        "userId": str(card.user_id),
        "title": card.title,
        "name": card.name,
        "photo": links.sign(card.photo_key) if card.photo_key else "",
        "department": card.department,
        "onDuty": card.on_duty,
    }


def _build_card_without_post(tenant_id: int, user_id: int) -> Card:
    person = store.get_people(mysql.autocommit, tenant_id, [user_id]).get(user_id, {})
    return {
        "positionId": "0",
        "userId": str(user_id),
        "title": "",
        "name": person.get("name") or "",
        "photo": "",
        "department": "",
        "onDuty": False,
    }
