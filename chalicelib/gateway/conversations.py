"""Conversations as their participants make, find, join and leave them."""

from chalicelib import errors
from chalicelib.errors import Refused
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
from chalicelib.messaging.membership import CLIENT

TYPES = range(16)


def create(caller: Caller, wanted: ConversationWanted, key: str | None) -> ConversationNamed:
    """Make a conversation that others may join by its id; the caller is in it."""
    kind = checked_type(wanted)
    made = membership.create(caller.tenant_id, CLIENT, kind, caller.principal, [caller.principal], key)
    return ConversationNamed(ConversationId=made)


def join(caller: Caller, asked: Conversation) -> ConversationNamed:
    membership.join(caller.tenant_id, asked.conversation_id, caller.principal)
    return ConversationNamed(ConversationId=asked.conversation_id)


def leave(caller: Caller, asked: Conversation) -> ConversationNamed:
    membership.leave(caller.tenant_id, asked.conversation_id, caller.principal)
    return ConversationNamed(ConversationId=asked.conversation_id)


def check_joined(caller: Caller, asked: Conversation) -> Joined:
    """Tell a stranger nothing else than one who asks for what is not there."""
    return Joined(Joined=membership.detail(caller.tenant_id, asked.conversation_id, caller.principal) is not None)


def joined(caller: Caller, asked: OwnSession) -> Conversations:
    """Refused 403 for anybody else's conversations."""
    if asked.session_id not in ("", caller.principal, session_names.shown(caller.principal)):
        raise Refused(errors.NOT_ALLOWED, "只能查询本人加入的会话")
    return Conversations(Conversations=membership.joined(caller.tenant_id, caller.principal))


def detail(caller: Caller, asked: Conversation) -> ConversationDetail:
    found = membership.detail(caller.tenant_id, asked.conversation_id, caller.principal)
    if found is None:
        raise Refused(errors.NOT_FOUND, "会话不存在")
    last_id, sender, sent_at = found.last or ("", "", None)
    return ConversationDetail(
        ConversationID=asked.conversation_id,
        LastMsgID=last_id,
        LastSendTime=sent_at,
        IsDelete=found.hidden,
        ConversationType=found.type,
        LastSendSession=session_names.shown(sender),
        IsArchive=found.archived,
    )


def checked_type(wanted: ConversationWanted) -> int:
    if wanted.conversation_type not in TYPES:
        raise Refused(errors.CONVERSATION_TYPE)
    return wanted.conversation_type
