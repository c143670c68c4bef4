"""Session cards: what every answer of a consultation needs of it, kept in Redis for a minute."""

import json
from dataclasses import astuple

from chalicelib import errors
from chalicelib.adapters import cache, mysql
from chalicelib.adapters.redis import ScriptCall
from chalicelib.consult import store
from chalicelib.consult.store import SessionRecord
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller, Role

SCHEMA_VERSION = 1  # of a Card; a deployment that changes it must not read what the one before has copied
TOO_MANY_MARKER = "many"
LIST_TTL_SECONDS = 10  # seconds, as a writer without Redis cannot say that a session was added
MAX_CACHED_SESSIONS = 300  # sessions of one person that are kept as a list


def build_read_call(session_no: str) -> ScriptCall:
    """Return the script whose answer `card` reads, to be run with others."""
    return cache.build_read_call(_build_key(session_no))


def decode_or_find_session(session_no: str, copy: str | None) -> SessionRecord | None:
    """Make a card of what Redis answered, or of what MySQL has; None for no such session."""
    if copy:
        return SessionRecord(*json.loads(copy))
    found = find_session(session_no)
    if found:
        cache.write(_build_key(session_no), json.dumps(astuple(found), ensure_ascii=False))
    return found


def find_session(session_no: str) -> SessionRecord | None:
    return store.find_session(mysql.autocommit, session_no)


def require_access(found: SessionRecord | None, caller: Caller, member_id: int | None = None) -> SessionRecord:
    """Return the card if the caller sits in that session (as that member's account), else ApiError 404."""
    if (
        found is None
        or found.tenant_id != caller.tenant_id
        or caller.user_id != _get_participant_user_id(found, caller)
    ):
        raise ApiError(errors.NOT_FOUND, "会话不存在")
    if member_id not in (None, found.member_id):
        raise ApiError(errors.NOT_FOUND, "会话不存在")
    return found


def list_for_caller(caller: Caller) -> list[SessionRecord] | None:
    """Return the cards of all the caller's sessions, in no order; None for a doctor who has more than FEW."""
    key = _build_list_key(caller.principal)
    copy = cache.read(key)
    if copy == TOO_MANY_MARKER:
        return None
    if copy and copy != cache.TOMBSTONE:
        return [SessionRecord(*fields) for fields in json.loads(copy)]
    find = store.list_by_patient if caller.role == Role.PATIENT else store.list_by_doctor
    found = mysql.run_autocommit(lambda tx: find(tx, caller.user_id, MAX_CACHED_SESSIONS + 1))
    many = len(found) > MAX_CACHED_SESSIONS and caller.role != Role.PATIENT
    text = TOO_MANY_MARKER if many else json.dumps([astuple(card) for card in found], ensure_ascii=False)
    cache.write(key, text, LIST_TTL_SECONDS)
    return None if many else found


def invalidate_lists(principals: list[str]) -> None:
    """These have a new session."""
    for principal in principals:
        cache.invalidate(_build_list_key(principal))


def _get_participant_user_id(found: SessionRecord, caller: Caller) -> int:
    return found.user_id if caller.role == Role.PATIENT else found.doctor_id


def _build_key(session_no: str) -> str:
    return f"consult:{SCHEMA_VERSION}:{{{session_no}}}"


def _build_list_key(principal: str) -> str:
    return f"consults:{SCHEMA_VERSION}:{{{principal}}}"
