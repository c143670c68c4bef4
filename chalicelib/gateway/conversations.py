"""Conversations as their participants make, find, join and leave them."""

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.gateway.models import (
    Conversation,
    ConversationDetail,
    ConversationNamed,
    Conversations,
    ConversationWanted,
    Joined,
    OwnSession,
)
from chalicelib.identity import session_names
from chalicelib.identity.callers import Caller
from chalicelib.messaging import membership
from chalicelib.messaging.models import ConversationKind

CONVERSATION_TYPES = range(16)


def create(caller: Caller, wanted: ConversationWanted, key: str | None) -> ConversationNamed:
    """Make a conversation that others may join by its id; the caller is in it."""
    kind = require_type(wanted)
    made = membership.create(caller.tenant_id, ConversationKind.CLIENT, kind, caller.principal, [caller.principal], key)
    return ConversationNamed(ConversationId=made)


def join(caller: Caller, asked: Conversation) -> ConversationNamed:
    membership.join(caller.tenant_id, asked.conversation_id, caller.principal)
    return ConversationNamed(ConversationId=asked.conversation_id)


def leave(caller: Caller, asked: Conversation) -> ConversationNamed:
    membership.leave(caller.tenant_id, asked.conversation_id, caller.principal)
    return ConversationNamed(ConversationId=asked.conversation_id)


def check_joined(caller: Caller, asked: Conversation) -> Joined:
    """Tell a stranger nothing else than one who asks for what is not there."""
    return Joined(Joined=membership.find_summary(caller.tenant_id, asked.conversation_id, caller.principal) is not None)


def list_joined(caller: Caller, asked: OwnSession) -> Conversations:
    """ApiError 403 for anybody else's conversations."""
    if asked.session_id not in ("", caller.principal, session_names.format_principal(caller.principal)):
        raise ApiError(errors.NOT_ALLOWED, "只能查询本人加入的会话")
    return Conversations(Conversations=membership.list_joined(caller.tenant_id, caller.principal))


def get_detail(caller: Caller, asked: Conversation) -> ConversationDetail:
    found = membership.find_summary(caller.tenant_id, asked.conversation_id, caller.principal)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "会话不存在")
    last_id, sender, sent_at = found.last_message or ("", "", None)
    return ConversationDetail(
        ConversationID=asked.conversation_id,
        LastMsgID=last_id,
        LastSendTime=sent_at,
        IsDelete=found.hidden,
        ConversationType=found.type,
        LastSendSession=session_names.format_principal(sender),
        IsArchive=found.archived,
    )


def require_type(wanted: ConversationWanted) -> int:
    if wanted.conversation_type not in CONVERSATION_TYPES:
        raise ApiError(errors.CONVERSATION_TYPE)
    return wanted.conversation_type
