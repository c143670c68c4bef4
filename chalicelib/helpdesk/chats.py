"""Chats that the messagecenter makes, each once, and finding the one that is meant."""

from collections.abc import Collection

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.errors import Refused
from chalicelib.helpdesk import store
from chalicelib.helpdesk.store import Room
from chalicelib.http.fields import ID_LIMIT
from chalicelib.identity.callers import PATIENT, Caller
from chalicelib.messaging import ids, membership_store
from chalicelib.messaging import store as messaging

DIRECT, DESK, NOTICE = "direct", "desk", "notice"
CONSULT = "consult"  # made by document 000; here it is read and written to by its session's id
GROUPS = ("client", "service")  # kinds of the gateway's conversations, which are the messagecenter's groups
HOSPITAL = "user:0"  # who speaks in notices: nobody has that id

Pair = tuple[int, int]


def direct(one: int, other: int) -> Pair:
    """The two persons of a direct chat, as it is kept."""
    return min(one, other), max(one, other)


def person(party: str) -> int | None:
    """Return the user id that a receiver or sender is named by; None for a session's id."""
    return int(party) if party.isascii() and party.isdigit() and 0 < int(party) < ID_LIMIT else None


def room(caller: Caller, named: str, kinds: Collection[str]) -> Room:
    """Return a conversation of these kinds in which the caller sits, or Refused 404."""
    return rooms(caller, [named], kinds)[0]


def rooms(caller: Caller, named: Collection[str], kinds: Collection[str]) -> list[Room]:
    """Return several of them, in the order they are named in; all, or Refused 404."""
    found = mysql.autocommit(lambda tx: store.rooms(tx, caller.tenant_id, caller.principal, named)) if named else []
    known = {name: one for one in found if one.kind in kinds for name in (one.public_id, str(one.conversation_id))}
    if any(one not in known for one in named):
        raise missing()
    return [known[one] for one in named]


def chat(caller: Caller, kind: str, pair: Pair) -> Room:
    """Return a chat in which the caller sits, or Refused 404."""
    found = mysql.autocommit(lambda tx: store.chat(tx, caller.tenant_id, caller.principal, kind, *pair))
    if found is None:
        raise missing()
    return found


def missing() -> Refused:
    return Refused(errors.NOT_FOUND, "会话不存在")


def opened(tenant_id: int, kind: str, pairs: Collection[Pair]) -> dict[Pair, str]:
    """Return the public ids of chats, which are made where there are none yet."""
    if not pairs:
        return {}
    found = mysql.autocommit(lambda tx: store.chats(tx, tenant_id, kind, pairs))
    return {pair: found.get(pair) or _made(tenant_id, kind, pair) for pair in pairs}


def _made(tenant_id: int, kind: str, pair: Pair) -> str:
    def make(tx: Tx) -> str:
        session_id, now = ids.new_conversation(), clock.now()
        principals = [f"user:{pair[0]}", *([] if kind == DESK else [f"user:{pair[1]}"])]
        conversation_id = messaging.create(tx, tenant_id, session_id, kind, principals, now)
        store.insert_chat(tx, tenant_id, conversation_id, session_id, kind, pair, now)
        return session_id

    try:
        return mysql.transact(make)
    except mysql.Duplicate:  # somebody was faster
        return mysql.autocommit(lambda tx: store.chats(tx, tenant_id, kind, [pair]))[pair]


def reopen(caller: Caller, closed: Room) -> None:
    """Let a direct chat be written to again."""
    mysql.transact(lambda tx: membership_store.archive(tx, caller.tenant_id, [closed.public_id], (DIRECT,), None))


def known(caller: Caller, user_ids: Collection[int]) -> dict[int, Row]:
    """Return persons whom the caller may write to; Refused 404, and all of the missing named, where one is not there.

    A patient talks with staff alone: whether another patient exists is not theirs to know.
    """
    if not user_ids:
        return {}
    people = mysql.autocommit(lambda tx: store.persons(tx, caller.tenant_id, user_ids))
    strangers = {one for one in user_ids if one not in people or one == caller.user_id}
    if caller.kind == PATIENT:
        strangers |= {one for one in people if people[one]["kind"] == "patient"}
    if strangers:
        raise Refused(errors.NOT_FOUND, f"用户不存在：{'、'.join(map(str, sorted(strangers)))}")
    return people
