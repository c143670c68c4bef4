"""What a hospital's own systems may ask of the gateway, by internal key."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.gateway import conversations
from chalicelib.gateway.models import Archiving, ConversationNamed, ConversationOfMembers, Members, TokenRequest
from chalicelib.identity import session_names, tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import membership
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import persons


def issue_token(caller: Caller, wanted: TokenRequest) -> str:
    """Return a token. ApiError 404 for a person that the key's tenant does not have."""
    user_id = session_names.parse_user_id(wanted.session)
    if user_id is None:
        return tokens.issue(
            caller.tenant_id, session_names.parse_principal(wanted.session), Role.SESSION, wanted.platform
        )
    kind = persons.find_role(mysql.autocommit, caller.tenant_id, user_id)
    if kind is None:
        raise ApiError(errors.NOT_FOUND, "用户不存在")
    return tokens.issue(caller.tenant_id, f"user:{user_id}", kind, wanted.platform)


def create(caller: Caller, wanted: ConversationOfMembers, key: str | None) -> ConversationNamed:
    """Make a conversation that only the hospital's own system lets people into."""
    kind, members = conversations.require_type(wanted), _require_principals(caller, wanted.sessions)
    return ConversationNamed(
        ConversationId=membership.create(caller.tenant_id, ConversationKind.SERVICE, kind, "", members, key)
    )


def add_members(caller: Caller, asked: Members) -> ConversationNamed:
    membership.add_participants(caller.tenant_id, asked.conversation_id, _require_principals(caller, asked.sessions))
    return ConversationNamed(ConversationId=asked.conversation_id)


def remove_members(caller: Caller, asked: Members) -> ConversationNamed:
    membership.remove_participants(caller.tenant_id, asked.conversation_id, _list_principals(asked.sessions))
    return ConversationNamed(ConversationId=asked.conversation_id)


def set_archived(caller: Caller, asked: Archiving) -> None:
    membership.set_archived(caller.tenant_id, asked.conversation_ids, asked.is_archive)


def _list_principals(named: list[str]) -> list[str]:
    """The principals that are meant, each once."""
    if not named:
        raise ApiError(errors.NO_MEMBERS)
    return sorted({session_names.parse_principal(session) for session in named})


def _require_principals(caller: Caller, named: list[str]) -> list[str]:
    """ApiError 404 where a number is that of nobody here: a slip must not seat a person who does not exist."""
    principals = _list_principals(named)
    user_ids = {user_id for session in named if (user_id := session_names.parse_user_id(session)) is not None}
    if user_ids and persons.list_existing_ids(mysql.autocommit, caller.tenant_id, user_ids) != user_ids:
        raise ApiError(errors.NOT_FOUND, "用户不存在")
    return principals
