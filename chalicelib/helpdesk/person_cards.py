"""Cards that show a person by the post that they hold."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.files import links
from chalicelib.helpdesk import chats
from chalicelib.helpdesk.models import PeerConversation, PeerConversationRequest, PersonCard, PostCardRequest
from chalicelib.identity.callers import Caller
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import persons, posts
from chalicelib.people.posts import PostCard


def get_for_post(caller: Caller, request: PostCardRequest) -> PersonCard:
    """Return the card of a post's holder.

    Raises:
        ApiError: 404 if the tenant has no such post or its holder is disabled.
    """
    return build_card(_get_post(caller, request.positionId))


def open_conversation(caller: Caller, request: PeerConversationRequest) -> PeerConversation:
    """Return the direct chat of the caller and a post's holder, creating it if there is none, with both cards.

    Raises:
        ApiError: 404 if the tenant has no such post or its holder is disabled; 409 if the caller holds it.
    """
    peer = _get_post(caller, request.youPositionId)
    if peer.user_id == caller.user_id:
        raise ApiError(errors.CONFLICT, "youPositionId：不能与本人会话")
    pair = chats.build_direct_pair(caller.user_id, peer.user_id)
    session_id = chats.get_or_create(caller.tenant_id, ConversationKind.DIRECT, [pair])[pair]
    own = posts.find_card(mysql.autocommit, caller.tenant_id, caller.post_id) if caller.post_id else None
    own_card = build_card(own) if own else _build_card_without_post(caller.tenant_id, caller.user_id)
    return {"sessionId": session_id, "mine": own_card, "yours": build_card(peer)}


def get_for_staff(tenant_id: int, user_id: int) -> PersonCard:
    """Return the card of a member of staff, by their post if they hold one."""
    post = posts.find_card_by_user(mysql.autocommit, tenant_id, user_id)
    return build_card(post) if post else _build_card_without_post(tenant_id, user_id)


def build_card(post: PostCard) -> PersonCard:
    """Return the card of a post's holder as clients see it."""
    return {
        "positionId": str(post.post_id),
        "userId": str(post.user_id),
        "title": post.title,
        "name": post.name,
        "photo": links.sign(post.photo_key) if post.photo_key else "",
        "department": post.department,
        "onDuty": post.on_duty,
    }


def build_post_not_found_error() -> ApiError:
    """Return the error for an unknown post."""
    return ApiError(errors.NOT_FOUND, "岗位不存在")


def _get_post(caller: Caller, post_id: int) -> PostCard:
    post = posts.find_card(mysql.autocommit, caller.tenant_id, post_id)
    if post is None:
        raise build_post_not_found_error()
    return post


def _build_card_without_post(tenant_id: int, user_id: int) -> PersonCard:
    person = persons.get_people(mysql.autocommit, tenant_id, [user_id]).get(user_id)
    return {
        "positionId": "0",
        "userId": str(user_id),
        "title": "",
        "name": person.name if person else "",
        "photo": "",
        "department": "",
        "onDuty": False,
    }
