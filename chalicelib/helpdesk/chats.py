"""Chats that the messagecenter makes, each once, and finding the one that is meant."""

from collections.abc import Collection

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.errors import ApiError
from chalicelib.helpdesk import store
from chalicelib.helpdesk.store import Conversation
from chalicelib.http.fields import ID_LIMIT
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import ids, membership_store
from chalicelib.messaging import store as messaging
from chalicelib.messaging.models import ConversationKind

GROUP_KINDS = (ConversationKind.CLIENT, ConversationKind.SERVICE)  # the gateway's conversations are the groups here
HOSPITAL_PRINCIPAL = "user:0"  # who speaks in notices: nobody has that id

UserPair = tuple[int, int]


def build_direct_pair(one: int, other: int) -> UserPair:
    """The two persons of a direct chat, as it is kept."""
    return min(one, other), max(one, other)


def parse_user_id(party: str) -> int | None:
    """Return the user id that a receiver or sender is named by; None for a session's id."""
    return int(party) if party.isascii() and party.isdigit() and 0 < int(party) < ID_LIMIT else None


def get_conversation(caller: Caller, named: str, kinds: Collection[str]) -> Conversation:
    """Return a conversation of these kinds in which the caller sits, or ApiError 404."""
    return get_conversations(caller, [named], kinds)[0]


def get_conversations(caller: Caller, named: Collection[str], kinds: Collection[str]) -> list[Conversation]:
    """Return several of them, in the order they are named in; all, or ApiError 404."""
    found = store.list_conversations(mysql.autocommit, caller.tenant_id, caller.principal, named) if named else []
    known = {name: one for one in found if one.kind in kinds for name in (one.public_id, str(one.conversation_id))}
    if any(one not in known for one in named):
        raise build_not_found_error()
    return [known[one] for one in named]


def get_chat(caller: Caller, kind: str, pair: UserPair) -> Conversation:
    """Return a chat in which the caller sits, or ApiError 404."""
    found = store.find_chat(mysql.autocommit, caller.tenant_id, caller.principal, kind, *pair)
    if found is None:
        raise build_not_found_error()
    return found


def build_not_found_error() -> ApiError:
    return ApiError(errors.NOT_FOUND, "会话不存在")


def get_or_create(tenant_id: int, kind: str, pairs: Collection[UserPair]) -> dict[UserPair, str]:
    """Return the public ids of chats, which are made where there are none yet."""
    if not pairs:
        return {}
    found = store.get_session_ids(mysql.autocommit, tenant_id, kind, pairs)
    return {pair: found.get(pair) or _create_chat(tenant_id, kind, pair) for pair in pairs}


def _create_chat(tenant_id: int, kind: str, pair: UserPair) -> str:
    def make(tx: Tx) -> str:
        session_id, now = ids.generate_public_id(), clock.now()
        principals = [f"user:{pair[0]}", *([] if kind == ConversationKind.DESK else [f"user:{pair[1]}"])]
        conversation_id = messaging.create_conversation(tx, tenant_id, session_id, kind, principals, now)
        store.insert_chat(tx, tenant_id, conversation_id, session_id, kind, pair, now)
        return session_id

    try:
        return mysql.run_transaction(make)
    except mysql.DuplicateKeyError:  # somebody was faster
        return store.get_session_ids(mysql.autocommit, tenant_id, kind, [pair])[pair]


def reopen(caller: Caller, closed: Conversation) -> None:
    """Let a direct chat be written to again."""
    mysql.run_transaction(
        lambda tx: membership_store.set_archived(
            tx, caller.tenant_id, [closed.public_id], (ConversationKind.DIRECT,), None
        )
    )


def require_contacts(caller: Caller, user_ids: Collection[int]) -> dict[int, Row]:
    """Return persons whom the caller may write to; ApiError 404, and all of the missing named, where one is not there.

    A patient talks with staff alone: whether another patient exists is not theirs to know.
    """
    if not user_ids:
        return {}
    people = store.get_people(mysql.autocommit, caller.tenant_id, user_ids)
    strangers = {one for one in user_ids if one not in people or one == caller.user_id}
    if caller.role == Role.PATIENT:
        strangers |= {one for one in people if people[one]["kind"] == "patient"}
    if strangers:
        raise ApiError(errors.NOT_FOUND, f"用户不存在：{'、'.join(map(str, sorted(strangers)))}")
    return people
