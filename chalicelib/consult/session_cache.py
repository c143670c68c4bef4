"""Cache of consultation sessions in Redis, and access checks on them.

Each response of a consultation needs its session's record. Records and each person's list of them are cached by
adapters/cache.py. A record expires after a minute, a list after LIST_TTL_SECONDS.
"""

import json
from dataclasses import astuple

from chalicelib import errors
from chalicelib.adapters import cache, mysql
from chalicelib.adapters.redis import ScriptBatch, ScriptCall
from chalicelib.consult import store
from chalicelib.consult.store import SessionRecord
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller, Role
from chalicelib.identity.tokens import Owner

SCHEMA_VERSION = 4  # of SessionRecord: a release that changes it must not read what the previous one has cached
TOO_MANY_MARKER = "many"  # cached instead of a list that is longer than MAX_CACHED_SESSIONS
LIST_TTL_SECONDS = 10  # short, because a writer that cannot reach Redis cannot invalidate the list
MAX_CACHED_SESSIONS = 300  # sessions of one person that are cached as a list


def build_read_call(session_no: str) -> ScriptCall:
    """Return the script call whose result `decode_or_find_session` takes, to be run together with others."""
    return cache.build_read_call(_build_key(session_no))


def decode_or_find_session(session_no: str, cached: str | None) -> SessionRecord | None:
    """Return a session from its cached text, or from MySQL if there is none; None for an unknown session."""
    if cached:
        return SessionRecord(*json.loads(cached))
    found = find_session(session_no)
    if found:
        cache.write(_build_key(session_no), json.dumps(astuple(found), ensure_ascii=False))
    return found


def find_session(session_no: str) -> SessionRecord | None:
    """Return a session from MySQL. The caller must check access to it."""
    return store.find_session(mysql.autocommit, session_no)


def require_access(session: SessionRecord | None, caller: Caller, member_id: int | None = None) -> SessionRecord:
    """Return the session if the caller is its patient or doctor.

    Args:
        member_id: the member that the session must belong to, None for any.

    Raises:
        ApiError: 404 otherwise.
    """
    if (
        session is None
        or session.tenant_id != caller.tenant_id
        or caller.user_id != _get_participant_user_id(session, caller)
    ):
        raise ApiError(errors.NOT_FOUND, "会话不存在")
    if member_id not in (None, session.member_id):
        raise ApiError(errors.NOT_FOUND, "会话不存在")
    return session


def prepare_list(owner: Owner) -> ScriptBatch:
    """Return the script with which `list_for_caller` begins."""
    return ScriptBatch([cache.build_read_call(_build_list_key(owner.principal))])


def list_for_caller(caller: Caller, batch: ScriptBatch | None = None) -> list[SessionRecord] | None:
    """Return the caller's sessions, unordered.

    Args:
        batch: the result of `prepare_list`.

    Returns:
        At most MAX_CACHED_SESSIONS + 1 sessions of a patient; None for a doctor with more than MAX_CACHED_SESSIONS.
    """
    key = _build_list_key(caller.principal)
    cached = batch.replies[0] if batch and batch.replies else cache.read(key)
    if cached == TOO_MANY_MARKER:
        return None
    if cached and cached != cache.TOMBSTONE:
        return [SessionRecord(*fields) for fields in json.loads(cached)]
    list_sessions = store.list_by_patient if caller.role == Role.PATIENT else store.list_by_doctor
    found = list_sessions(mysql.autocommit, caller.user_id, MAX_CACHED_SESSIONS + 1)
    too_many = len(found) > MAX_CACHED_SESSIONS and caller.role != Role.PATIENT
    text = TOO_MANY_MARKER if too_many else json.dumps([astuple(session) for session in found], ensure_ascii=False)
    cache.write(key, text, LIST_TTL_SECONDS)
    return None if too_many else found


def invalidate_lists(principals: list[str]) -> None:
    """Invalidate the cached lists of principals that have a new session."""
    for principal in principals:
        cache.invalidate(_build_list_key(principal))


def _get_participant_user_id(session: SessionRecord, caller: Caller) -> int:
    return session.user_id if caller.role == Role.PATIENT else session.doctor_id


def _build_key(session_no: str) -> str:
    return f"consult:{SCHEMA_VERSION}:{{{session_no}}}"


def _build_list_key(principal: str) -> str:
    return f"consults:{SCHEMA_VERSION}:{{{principal}}}"
