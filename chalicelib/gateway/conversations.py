"""Conversations from the point of view of their participants: create, join, leave, list."""

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.gateway.models import (
    ConversationDetail,
    ConversationReference,
    ConversationRequest,
    Conversations,
    CreateConversationRequest,
    JoinedConversationsRequest,
    JoinedResponse,
)
from chalicelib.identity import session_names
from chalicelib.identity.callers import Caller
from chalicelib.messaging import membership
from chalicelib.messaging.models import ConversationKind

CONVERSATION_TYPES = range(16)


def create(caller: Caller, request: CreateConversationRequest, idempotency_key: str | None) -> ConversationReference:
    """Create a conversation that others may join by its id; the caller takes part.

    Raises:
        ApiError: 400 for an unknown type, 409 if the key was used for another request.
    """
    public_id = membership.create(
        caller.tenant_id,
        ConversationKind.CLIENT,
        require_type(request),
        caller.principal,
        [caller.principal],
        idempotency_key,
    )
    return ConversationReference(ConversationId=public_id)


def join(caller: Caller, request: ConversationRequest) -> ConversationReference:
    """Join a conversation by its id. See `membership.join` for errors."""
    membership.join(caller.tenant_id, request.conversation_id, caller.principal)
    return ConversationReference(ConversationId=request.conversation_id)


def leave(caller: Caller, request: ConversationRequest) -> ConversationReference:
    """Leave a conversation. See `membership.leave` for errors."""
    membership.leave(caller.tenant_id, request.conversation_id, caller.principal)
    return ConversationReference(ConversationId=request.conversation_id)


def check_joined(caller: Caller, request: ConversationRequest) -> JoinedResponse:
    """Return whether the caller takes part. The response is the same for a conversation that does not exist."""
    summary = membership.find_summary(caller.tenant_id, request.conversation_id, caller.principal)
    return JoinedResponse(Joined=summary is not None)


def list_joined(caller: Caller, request: JoinedConversationsRequest) -> Conversations:
    """Return a page of the caller's conversations, the newest first.

    Raises:
        ApiError: 403 for another user's conversations; 404 if the page is to begin after one that is not the caller's.
    """
    if request.session_id not in ("", caller.principal, session_names.format_principal(caller.principal)):
        raise ApiError(errors.NOT_ALLOWED, "只能查询本人加入的会话")
    found = membership.list_joined(caller.tenant_id, caller.principal, request.after or "", request.limit)
    return Conversations(Conversations=found)


def get_detail(caller: Caller, request: ConversationRequest) -> ConversationDetail:
    """Return what a participant may know of a conversation.

    Raises:
        ApiError: 404 if the caller does not take part.
    """
    summary = membership.find_summary(caller.tenant_id, request.conversation_id, caller.principal)
    if summary is None:
        raise ApiError(errors.NOT_FOUND, "会话不存在")
    last_id, sender, sent_at = summary.last_message or ("", "", None)
    return ConversationDetail(
        ConversationID=request.conversation_id,
        LastMsgID=last_id,
        LastSendTime=sent_at,
        IsDelete=summary.hidden,
        ConversationType=summary.type,
        LastSendSession=session_names.format_principal(sender),
        IsArchive=summary.archived,
    )


def require_type(request: CreateConversationRequest) -> int:
    """Return the conversation type.

    Raises:
        ApiError: 400 for a type outside 0-15.
    """
    if request.conversation_type not in CONVERSATION_TYPES:
        raise ApiError(errors.INVALID_CONVERSATION_TYPE)
    return request.conversation_type
