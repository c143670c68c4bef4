"""Session cards: what every answer of a consultation needs of it, kept in Redis for a minute."""

import json
from dataclasses import astuple, dataclass

from chalicelib import errors
from chalicelib.adapters import copies, mysql
from chalicelib.adapters.redis import Call
from chalicelib.consult import store
from chalicelib.errors import Refused
from chalicelib.identity.callers import PATIENT, Caller


@dataclass(frozen=True, slots=True)
class Card:
    tenant_id: int
    member_id: int
    user_id: int  # the account that the member belongs to
    doctor_id: int
    doctor_name: str
    photo_key: str


def reading(session_no: str) -> Call:
    """Return the script whose answer `card` reads, to be run with others."""
    return copies.reading(_key(session_no))


def card(session_no: str, copy: str | None) -> Card | None:
    """Make a card of what Redis answered, or of what MySQL has; None for no such session."""
    if copy:
        return Card(*json.loads(copy))
    found = stored(session_no)
    if found:
        copies.write(_key(session_no), json.dumps(astuple(found), ensure_ascii=False))
    return found


def stored(session_no: str) -> Card | None:
    row = mysql.autocommit(lambda tx: store.find_card(tx, session_no))
    return Card(**row) if row else None


def checked(found: Card | None, caller: Caller, member_id: int | None = None) -> Card:
    """Return the card if the caller sits in that session (as that member's account), else Refused 404."""
    if found is None or found.tenant_id != caller.tenant_id or caller.user_id != _seat(found, caller):
        raise Refused(errors.NOT_FOUND, "会话不存在")
    if member_id not in (None, found.member_id):
        raise Refused(errors.NOT_FOUND, "会话不存在")
    return found


def _seat(found: Card, caller: Caller) -> int:
    return found.user_id if caller.kind == PATIENT else found.doctor_id


def _key(session_no: str) -> str:
    return f"consult:{{{session_no}}}"
