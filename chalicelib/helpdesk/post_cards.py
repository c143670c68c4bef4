"""What is shown of somebody by the post they hold, and what an admin sets about posts."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.errors import Refused
from chalicelib.files import links
from chalicelib.helpdesk import assignment, chats, queue_store, store
from chalicelib.helpdesk.assignment import Seats
from chalicelib.helpdesk.models import Card, Pair, PeerPost, PostAsked
from chalicelib.helpdesk.post_models import Duty, Post, PostKept, PostSaved
from chalicelib.http.routing import Counted
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, posts


def of_post(caller: Caller, asked: PostAsked) -> Card:
    """Refused 404 where the tenant has no such post, or its holder was locked out."""
    return _card(_post(caller, asked.positionId))


def conversation(caller: Caller, asked: PeerPost) -> Pair:
    """Return the chat between the caller and who holds a post, made if there is none, with both cards."""
    yours = _post(caller, asked.youPositionId)
    if yours["user_id"] == caller.user_id:
        raise Refused(errors.CONFLICT, "youPositionId：不能与本人会话")
    pair = chats.direct(caller.user_id, yours["user_id"])
    session_id = chats.opened(caller.tenant_id, chats.DIRECT, [pair])[pair]
    own = mysql.autocommit(lambda tx: posts.card(tx, caller.tenant_id, caller.post_id)) if caller.post_id else None
    mine = _card(own) if own else _of_nobody_in_particular(caller.tenant_id, caller.user_id)
    return {"sessionId": session_id, "mine": mine, "yours": _card(yours)}


def of_staff(tenant_id: int, user_id: int) -> Card:
    """The card of a member of staff, by the post they hold if they do."""
    row = mysql.autocommit(lambda tx: posts.card_of(tx, tenant_id, user_id))
    return _card(row) if row else _of_nobody_in_particular(tenant_id, user_id)


def save(caller: Caller, saved: PostSaved) -> PostKept:
    """Make a post for a member of staff, or change one. Refused 404 for a post, person or department that is not there,
    409 where they hold another one. Who waits is let in where there is room now."""
    tenant_id = caller.tenant_id
    about = posts.About(title=saved.title, dept_id=saved.deptId, skill=saved.skill, cap=saved.cap)

    def work(tx: Tx, _: int, seats: Seats) -> int:
        if saved.deptId and not departments.exists(tx, tenant_id, saved.deptId):
            raise Refused(errors.NOT_FOUND, "科室不存在")
        post_id = _changed(tx, caller, saved, about) if saved.positionId else _created(tx, caller, saved, about)
        assignment.let_in(tx, tenant_id, seats)
        return post_id

    try:
        return PostKept(positionId=str(assignment.at_the_desk(tenant_id, work)))
    except mysql.Duplicate:
        raise Refused(errors.CONFLICT, "userId：已有岗位") from None


def set_duty(caller: Caller, asked: Duty) -> None:
    """Who is on duty is given patients; sessions that are open stay with who goes off duty."""

    def work(tx: Tx, _: int, seats: Seats) -> None:
        if not posts.set_duty(tx, caller.tenant_id, asked.positionId, asked.onDuty, caller.user_id):
            raise _missing()
        assignment.let_in(tx, caller.tenant_id, seats)

    assignment.at_the_desk(caller.tenant_id, work)


def listed(caller: Caller) -> Counted[list[Post]]:
    """All posts, with how many sessions of the desk each has open."""
    rows = mysql.autocommit(lambda tx: posts.list_all(tx, caller.tenant_id))
    agents = {one["post_id"]: one for one in mysql.autocommit(lambda tx: queue_store.agents(tx, caller.tenant_id))}
    found: list[Post] = [
        {
            **_card(row),
            "deptId": str(row["dept_id"] or ""),
            "skill": row["skill"],
            "cap": row["cap"],
            "open": agents[row["post_id"]]["serving"] if row["post_id"] in agents else 0,
        }
        for row in rows
    ]
    return Counted(data=found, count=len(found))


def _created(tx: Tx, caller: Caller, saved: PostSaved, about: posts.About) -> int:
    people = store.persons(tx, caller.tenant_id, [saved.userId]) if saved.userId else {}
    person = people.get(saved.userId or 0)
    if person is None or person["kind"] != "staff" or person["disabled"]:
        raise Refused(errors.NOT_FOUND, "userId：员工不存在")
    return posts.create(tx, caller.tenant_id, person["user_id"], about, caller.user_id)


def _changed(tx: Tx, caller: Caller, saved: PostSaved, about: posts.About) -> int:
    post_id = saved.positionId or 0
    if saved.userId not in (None, posts.holder(tx, caller.tenant_id, post_id)):
        raise Refused(errors.NOT_FOUND, "userId：不是该岗位的员工")
    if not posts.change(tx, caller.tenant_id, post_id, about, caller.user_id):
        raise _missing()
    return post_id


def _post(caller: Caller, post_id: int) -> Row:
    row = mysql.autocommit(lambda tx: posts.card(tx, caller.tenant_id, post_id))
    if row is None:
        raise _missing()
    return row


def _missing() -> Refused:
    return Refused(errors.NOT_FOUND, "岗位不存在")


def _card(row: Row) -> Card:
    return {
        "positionId": str(row["post_id"]),
        "userId": str(row["user_id"]),
        "title": row["title"],
        "name": row["name"],
        "photo": links.signed(row["photo_key"].decode()) if row["photo_key"] else "",
        "department": row["department"],
        "onDuty": bool(row["on_duty"]),
    }


def _of_nobody_in_particular(tenant_id: int, user_id: int) -> Card:
    person = mysql.autocommit(lambda tx: store.persons(tx, tenant_id, [user_id])).get(user_id, {})
    return {
        "positionId": "0",
        "userId": str(user_id),
        "title": "",
        "name": person.get("name") or "",
        "photo": "",
        "department": "",
        "onDuty": False,
    }
