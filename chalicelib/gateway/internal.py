"""What a hospital's own systems may ask of the gateway, by internal key."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import Refused
from chalicelib.gateway import conversations
from chalicelib.gateway.models import Archiving, ConversationNamed, ConversationOfMembers, Members, TokenRequest
from chalicelib.identity import session_names, tokens
from chalicelib.identity.callers import SESSION, Caller
from chalicelib.messaging import membership
from chalicelib.messaging.membership import SERVICE
from chalicelib.people import persons


def get_token(caller: Caller, wanted: TokenRequest) -> str:
    """Return a token. Refused 404 for a person that the key's tenant does not have."""
    user_id = session_names.person(wanted.session)
    if user_id is None:
        return tokens.issue(caller.tenant_id, session_names.principal(wanted.session), SESSION, wanted.platform)
    kind = mysql.autocommit(lambda tx: persons.caller_kind(tx, caller.tenant_id, user_id))
    if kind is None:
        raise Refused(errors.NOT_FOUND, "用户不存在")
    return tokens.issue(caller.tenant_id, f"user:{user_id}", kind, wanted.platform)


def create(caller: Caller, wanted: ConversationOfMembers, key: str | None) -> ConversationNamed:
    """Make a conversation that only the hospital's own system lets people into."""
    kind, members = conversations.checked_type(wanted), _known(caller, wanted.sessions)
    return ConversationNamed(ConversationId=membership.create(caller.tenant_id, SERVICE, kind, "", members, key))


def join(caller: Caller, asked: Members) -> ConversationNamed:
    membership.seat(caller.tenant_id, asked.conversation_id, _known(caller, asked.sessions))
    return ConversationNamed(ConversationId=asked.conversation_id)


def kick_out(caller: Caller, asked: Members) -> ConversationNamed:
    membership.put_out(caller.tenant_id, asked.conversation_id, _named(asked.sessions))
    return ConversationNamed(ConversationId=asked.conversation_id)


def archive(caller: Caller, asked: Archiving) -> None:
    membership.archive(caller.tenant_id, asked.conversation_ids, asked.is_archive)


def _named(named: list[str]) -> list[str]:
    """The principals that are meant, each once."""
    if not named:
        raise Refused(errors.NO_MEMBERS)
    return sorted({session_names.principal(session) for session in named})


def _known(caller: Caller, named: list[str]) -> list[str]:
    """Refused 404 where a number is that of nobody here: a slip must not seat a person who does not exist."""
    principals = _named(named)
    user_ids = {user_id for session in named if (user_id := session_names.person(session)) is not None}
    if user_ids and mysql.autocommit(lambda tx: persons.known(tx, caller.tenant_id, user_ids)) != user_ids:
        raise Refused(errors.NOT_FOUND, "用户不存在")
    return principals
