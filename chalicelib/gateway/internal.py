"""Endpoints for a hospital's own systems, which authenticate with an internal key."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.errors import ApiError
from chalicelib.gateway import conversations
from chalicelib.gateway.models import (
    ConversationReference,
    CreateServiceConversationRequest,
    ParticipantsRequest,
    SetArchivedRequest,
    TokenRequest,
)
from chalicelib.identity import internal_keys, session_names, tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import membership
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import account_states, persons
from chalicelib.people.roles import STAFF_ROLES


def issue_token(caller: Caller, request: TokenRequest) -> str:
    """Return a token for an account or a user of the hospital's own system.

    The token of an account whose owner has to be confirmed is limited, as after a sign-in.

    Raises:
        ApiError: 403 for staff for whom keys do not act, 404 for an account that the key's tenant does not have.
    """
    user_id = session_names.parse_user_id(request.session)
    role = Role.SESSION if user_id is None else persons.find_role(mysql.autocommit, caller.tenant_id, user_id)
    if role is None:
        raise ApiError(errors.NOT_FOUND, "用户不存在")
    role = Role.PATIENT if role == Role.LIMITED else role
    internal_keys.require_may_act_for(caller.tenant_id, role)
    principal = session_names.parse_principal(request.session)

    def issue(tx: Tx) -> str:
        is_limited = False
        if role == Role.PATIENT:
            is_limited = account_states.require_open(tx, caller.tenant_id, user_id or 0).is_limited
        audit_log.insert_entry(
            tx, caller.tenant_id, "", AuditAction.ISSUE_TOKEN, principal, key_id=caller.key_id, role=role
        )
        return tokens.issue_in_transaction(
            *(tx, caller.tenant_id, principal, role, request.platform),
            key_id=caller.key_id,
            address=caller.address,
            is_limited=is_limited,
            lifetime=internal_keys.STAFF_TOKEN_LIFETIME if role in STAFF_ROLES else None,
        )

    return mysql.run_transaction(issue)


def create(
    caller: Caller, request: CreateServiceConversationRequest, idempotency_key: str | None
) -> ConversationReference:
    """Create a conversation to which only the hospital's own system adds participants.

    Raises:
        ApiError: 400 for an unknown type or no participants, 404 for an account that does not exist, 409 if the key was
            used for another request.
    """
    conversation_type = conversations.require_type(request)
    principals = _require_principals(caller, request.sessions)
    public_id = membership.create(
        caller.tenant_id, ConversationKind.SERVICE, conversation_type, "", principals, idempotency_key
    )
    return ConversationReference(ConversationId=public_id)


def add_participants(caller: Caller, request: ParticipantsRequest) -> ConversationReference:
    """Add participants. See `membership.add_participants` for errors; 404 also for an account that does not exist."""
    membership.add_participants(
        caller.tenant_id, request.conversation_id, _require_principals(caller, request.sessions)
    )
    return ConversationReference(ConversationId=request.conversation_id)


def remove_participants(caller: Caller, request: ParticipantsRequest) -> ConversationReference:
    """Remove participants. See `membership.remove_participants` for errors."""
    membership.remove_participants(caller.tenant_id, request.conversation_id, _list_principals(request.sessions))
    return ConversationReference(ConversationId=request.conversation_id)


def set_archived(caller: Caller, request: SetArchivedRequest) -> None:
    """Archive or reopen conversations. See `membership.set_archived` for errors."""
    membership.set_archived(caller.tenant_id, request.conversation_ids, request.is_archive)


def _list_principals(sessions: list[str]) -> list[str]:
    """Return the sessions' principals, each once."""
    if not sessions:
        raise ApiError(errors.NO_PARTICIPANTS)
    return sorted({session_names.parse_principal(session) for session in sessions})


def _require_principals(caller: Caller, sessions: list[str]) -> list[str]:
    """Return the sessions' principals; raise ApiError 404 if one is the id of an account that does not exist."""
    principals = _list_principals(sessions)
    user_ids = {user_id for session in sessions if (user_id := session_names.parse_user_id(session)) is not None}
    if user_ids and persons.list_existing_ids(mysql.autocommit, caller.tenant_id, user_ids) != user_ids:
        raise ApiError(errors.NOT_FOUND, "用户不存在")
    return principals
