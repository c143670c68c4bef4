"""Session cards: what every answer of a consultation needs of it, kept in Redis for a minute."""

import json
from dataclasses import astuple

from chalicelib import errors
from chalicelib.adapters import cache, mysql
from chalicelib.adapters.redis import Call
from chalicelib.consult import store
from chalicelib.consult.store import Card
from chalicelib.errors import Refused
from chalicelib.identity.callers import PATIENT, Caller

SHAPE = 1  # of a Card; a deployment that changes it must not read what the one before has copied
MANY = "many"
LIST_LIFE = 10  # seconds, as a writer without Redis cannot say that a session was added
FEW = 300  # sessions of one person that are kept as a list


def reading(session_no: str) -> Call:
    """Return the script whose answer `card` reads, to be run with others."""
    return cache.reading(_key(session_no))


def card(session_no: str, copy: str | None) -> Card | None:
    """Make a card of what Redis answered, or of what MySQL has; None for no such session."""
    if copy:
        return Card(*json.loads(copy))
    found = stored(session_no)
    if found:
        cache.write(_key(session_no), json.dumps(astuple(found), ensure_ascii=False))
    return found


def stored(session_no: str) -> Card | None:
    return mysql.autocommit(lambda tx: store.find_card(tx, session_no))


def checked(found: Card | None, caller: Caller, member_id: int | None = None) -> Card:
    """Return the card if the caller sits in that session (as that member's account), else Refused 404."""
    if found is None or found.tenant_id != caller.tenant_id or caller.user_id != _seat(found, caller):
        raise Refused(errors.NOT_FOUND, "会话不存在")
    if member_id not in (None, found.member_id):
        raise Refused(errors.NOT_FOUND, "会话不存在")
    return found


def of_caller(caller: Caller) -> list[Card] | None:
    """Return the cards of all the caller's sessions, in no order; None for a doctor who has more than FEW."""
    key = _list_key(caller.principal)
    copy = cache.read(key)
    if copy == MANY:
        return None
    if copy and copy != cache.TOMBSTONE:
        return [Card(*fields) for fields in json.loads(copy)]
    find = store.cards_of_patient if caller.kind == PATIENT else store.cards_of_doctor
    found = mysql.autocommit(lambda tx: find(tx, caller.user_id, FEW + 1))
    many = len(found) > FEW and caller.kind != PATIENT
    text = MANY if many else json.dumps([astuple(card) for card in found], ensure_ascii=False)
    cache.write(key, text, LIST_LIFE)
    return None if many else found


def added(principals: list[str]) -> None:
    """These have a new session."""
    for principal in principals:
        cache.outdate(_list_key(principal))


def _seat(found: Card, caller: Caller) -> int:
    return found.user_id if caller.kind == PATIENT else found.doctor_id


def _key(session_no: str) -> str:
    return f"consult:{SHAPE}:{{{session_no}}}"


def _list_key(principal: str) -> str:
    return f"consults:{SHAPE}:{{{principal}}}"
