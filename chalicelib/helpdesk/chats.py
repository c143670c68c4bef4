"""Find the caller's conversations, and create chats, at most one for each pair."""

from collections.abc import Collection, Mapping

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.helpdesk import store
from chalicelib.helpdesk.store import Conversation
from chalicelib.http.fields import ID_LIMIT
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import ids, membership_store
from chalicelib.messaging import store as messaging_store
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import doctor_patients, persons
from chalicelib.people.persons import Person
from chalicelib.people.roles import PersonKind

GROUP_KINDS = (
    ConversationKind.CLIENT,
    ConversationKind.SERVICE,
)  # document 002 calls the gateway's conversations groups
HOSPITAL_PRINCIPAL = "user:0"  # the sender of announcements; no person has the id 0

UserPair = tuple[int, int]  # user_id and peer_id of a chat; peer_id is 0 for the help desk and announcements


def build_direct_pair(user_id: int, other_id: int) -> UserPair:
    """Return the key of a direct chat: the lower user id first."""
    return min(user_id, other_id), max(user_id, other_id)


def parse_user_id(party: str) -> int | None:
    """Return the user id that a recipient or sender is named by; None for a session's id."""
    return int(party) if party.isascii() and party.isdigit() and 0 < int(party) < ID_LIMIT else None


def get_conversation(caller: Caller, name: str, kinds: Collection[ConversationKind]) -> Conversation:
    """Return one of the caller's conversations; see `get_conversations`."""
    return get_conversations(caller, [name], kinds)[0]


def get_conversations(
    caller: Caller, names: Collection[str], kinds: Collection[ConversationKind]
) -> list[Conversation]:
    """Return conversations of these kinds in which the caller takes part, in the order of their names.

    Args:
        names: public ids, or conversation ids as text.

    Raises:
        ApiError: 404 if one is not found.
    """
    found = store.list_conversations(mysql.autocommit, caller.tenant_id, caller.principal, names) if names else []
    by_name = {
        name: conversation
        for conversation in found
        if conversation.kind in kinds
        for name in (conversation.public_id, str(conversation.conversation_id))
    }
    if any(name not in by_name for name in names):
        raise build_not_found_error()
    return [by_name[name] for name in names]


def get_chat(caller: Caller, kind: ConversationKind, pair: UserPair) -> Conversation:
    """Return the chat of a pair if the caller takes part in it.

    Raises:
        ApiError: 404 otherwise.
    """
    found = store.find_chat(mysql.autocommit, caller.tenant_id, caller.principal, kind, *pair)
    if found is None:
        raise build_not_found_error()
    return found


def build_not_found_error() -> ApiError:
    """Return the error for a conversation that does not exist or in which the caller takes no part."""
    return ApiError(errors.NOT_FOUND, "会话不存在")


def get_or_create(tenant_id: int, kind: ConversationKind, pairs: Collection[UserPair]) -> dict[UserPair, str]:
    """Return the session_ids of these chats by pair, creating those that do not exist."""
    if not pairs:
        return {}
    found = store.get_session_ids(mysql.autocommit, tenant_id, kind, pairs)
    return {pair: found.get(pair) or _create_chat(tenant_id, kind, pair) for pair in pairs}


def find_direct(caller: Caller, people: Mapping[int, Person]) -> dict[int, str]:
    """Return the session_ids of the caller's direct chats with persons, by user_id, if the caller may begin the others.

    Args:
        people: to whom the caller may write, from `require_contacts`.

    Raises:
        ApiError: 404 as `require_may_begin` raises it.
    """
    if not people:
        return {}
    pairs = {user_id: build_direct_pair(caller.user_id, user_id) for user_id in people}
    found = store.get_session_ids(mysql.autocommit, caller.tenant_id, ConversationKind.DIRECT, list(pairs.values()))
    require_may_begin(caller, {user_id: people[user_id] for user_id, pair in pairs.items() if pair not in found})
    return {user_id: found[pair] for user_id, pair in pairs.items() if pair in found}


def begin_direct(caller: Caller, user_ids: Collection[int]) -> dict[int, str]:
    """Create direct chats of the caller with persons with whom `find_direct` has found none; return the session_ids."""
    pairs = {user_id: build_direct_pair(caller.user_id, user_id) for user_id in user_ids}
    return {user_id: _create_chat(caller.tenant_id, ConversationKind.DIRECT, pair) for user_id, pair in pairs.items()}


def require_may_begin(caller: Caller, people: Mapping[int, Person]) -> None:
    """Require that the caller may begin or reopen chats with these persons.

    A doctor may with own patients only (people/doctor_patients.py), and answers whoever has written in an open chat.

    Raises:
        ApiError: 404, which names the patients who are not the doctor's own.
    """
    patients = [user_id for user_id, person in people.items() if person.kind == PersonKind.PATIENT]
    if caller.role != Role.DOCTOR or not patients:
        return
    own = doctor_patients.list_own_account_ids(mysql.autocommit, caller.tenant_id, caller.user_id, patients)
    if others := set(patients) - own:
        raise _build_unknown_error(caller, others)


def reopen(caller: Caller, conversation: Conversation) -> None:
    """Open a direct chat to new messages again, which the caller may: see `require_may_begin`."""
    public_ids, kinds = [conversation.public_id], (ConversationKind.DIRECT,)
    mysql.run_transaction(lambda tx: membership_store.set_archived(tx, caller.tenant_id, public_ids, kinds, None))


def require_contacts(caller: Caller, user_ids: Collection[int]) -> dict[int, Person]:
    """Return the persons with these user ids, to whom the caller must be allowed to write.

    A patient may write to staff only, and does not learn whether another patient exists.

    Raises:
        ApiError: 404, which names all user ids that the caller may not write to.
    """
    if not user_ids:
        return {}
    people = persons.get_people(mysql.autocommit, caller.tenant_id, user_ids)
    unknown = {user_id for user_id in user_ids if user_id not in people or user_id == caller.user_id}
    if caller.role == Role.PATIENT:
        unknown |= {user_id for user_id, person in people.items() if person.kind == PersonKind.PATIENT}
    if unknown:
        raise _build_unknown_error(caller, unknown)
    return people


def _build_unknown_error(caller: Caller, user_ids: Collection[int]) -> ApiError:
    """Return the error for persons to whom the caller may not write; a doctor does not learn whether they exist."""
    problem = "用户不存在，或不是您的患者" if caller.role == Role.DOCTOR else "用户不存在"
    return ApiError(errors.NOT_FOUND, f"{problem}：{'、'.join(map(str, sorted(user_ids)))}")


def _create_chat(tenant_id: int, kind: ConversationKind, pair: UserPair) -> str:
    def create(tx: Tx) -> str:
        session_id, now = ids.generate_public_id(), clock.now()
        user_ids = pair[:1] if kind == ConversationKind.DESK else pair
        principals = [f"user:{user_id}" for user_id in user_ids]
        conversation_id = messaging_store.create_conversation(tx, tenant_id, session_id, kind, principals, now)
        store.insert_chat(tx, tenant_id, conversation_id, session_id, kind, pair, now)
        return session_id

    try:
        return mysql.run_transaction(create)
    except mysql.DuplicateKeyError:  # a concurrent request has created it
        return store.get_session_ids(mysql.autocommit, tenant_id, kind, [pair])[pair]
