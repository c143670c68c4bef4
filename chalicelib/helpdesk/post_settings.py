"""Posts of the help desk as administrators set them: holder, skill, cap and duty."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.helpdesk import assignment, queue_store
from chalicelib.helpdesk.assignment import ChangedParticipants
from chalicelib.helpdesk.person_cards import build_card, build_post_not_found_error
from chalicelib.helpdesk.post_models import Post, SavedPost, SavePostRequest, SetDutyRequest
from chalicelib.http.routing import CountedResult
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, persons, posts
from chalicelib.people.posts import PostSettings
from chalicelib.people.roles import PersonKind


def save_post(caller: Caller, request: SavePostRequest) -> SavedPost:
    """Create a post for a member of staff, or change one, then assign waiting patients. A double click creates one.

    Raises:
        ApiError: 404 for an unknown post, holder or department; 409 if the holder has another post.
    """
    tenant_id = caller.tenant_id
    settings = PostSettings(title=request.title, dept_id=request.deptId, skill=request.skill, cap=request.cap)

    def save(tx: Tx, _: int, changed: ChangedParticipants) -> int:
        if request.deptId and not departments.exists(tx, tenant_id, request.deptId):
            raise ApiError(errors.NOT_FOUND, "科室不存在")
        write_post = _update_post if request.positionId else _create_post
        post_id = write_post(tx, caller, request, settings)
        assignment.assign_waiting(tx, tenant_id, changed)
        return post_id

    try:
        post_id = assignment.run_under_desk_lock(tenant_id, save)
    except mysql.DuplicateKeyError:
        holder = (tenant_id, request.userId or 0)
        earlier = posts.find_double_submission(mysql.autocommit, *holder, settings, caller.user_id)
        if earlier is None:
            raise ApiError(errors.CONFLICT, "userId：已有岗位") from None
        post_id = earlier
    return SavedPost(positionId=str(post_id))


def set_duty(caller: Caller, request: SetDutyRequest) -> None:
    """Start or end the duty of a post's holder, then assign waiting patients. Open sessions keep their agent.

    Raises:
        ApiError: 404 for an unknown post.
    """

    def set_on_duty(tx: Tx, _: int, changed: ChangedParticipants) -> None:
        if not posts.set_on_duty(tx, caller.tenant_id, request.positionId, request.onDuty, caller.user_id):
            raise build_post_not_found_error()
        assignment.assign_waiting(tx, caller.tenant_id, changed)

    assignment.run_under_desk_lock(caller.tenant_id, set_on_duty)


def list_posts(caller: Caller) -> CountedResult[list[Post]]:
    """Return all posts with the number of open sessions of each."""
    cards = posts.list_all(mysql.autocommit, caller.tenant_id)
    agents = {agent.post_id: agent for agent in queue_store.list_agents(mysql.autocommit, caller.tenant_id)}
    found: list[Post] = [
        {
            **build_card(card),
            "deptId": str(card.dept_id or ""),
            "skill": card.skill,
            "cap": card.cap,
            "open": agents[card.post_id].serving if card.post_id in agents else 0,
        }
        for card in cards
    ]
    return CountedResult(data=found, count=len(found))


def _create_post(tx: Tx, caller: Caller, request: SavePostRequest, settings: PostSettings) -> int:
    people = persons.get_people(tx, caller.tenant_id, [request.userId]) if request.userId else {}
    person = people.get(request.userId or 0)
    if person is None or person.kind != PersonKind.STAFF or person.disabled:
        raise ApiError(errors.NOT_FOUND, "userId：员工不存在")
    return posts.create(tx, caller.tenant_id, request.userId or 0, settings, caller.user_id)


def _update_post(tx: Tx, caller: Caller, request: SavePostRequest, settings: PostSettings) -> int:
    post_id = request.positionId or 0
    if request.userId not in (None, posts.find_holder_id(tx, caller.tenant_id, post_id)):
        raise ApiError(errors.NOT_FOUND, "userId：不是该岗位的员工")
    if not posts.update(tx, caller.tenant_id, post_id, settings, caller.user_id):
        raise build_post_not_found_error()
    return post_id
