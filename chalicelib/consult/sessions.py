"""Consultation sessions: one for each member and doctor, held in a conversation of the log."""

import uuid

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.consult import session_cache, store
from chalicelib.consult.models import MemberAndDoctor, SessionNo
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.messaging import reading
from chalicelib.messaging import store as messaging_store
from chalicelib.messaging.models import ConversationKind


def get_or_create(caller: Caller, pair: MemberAndDoctor) -> SessionNo:
    """Return the session of a member and a doctor, creating it if there is none; see `get_or_create_session_no`."""
    return SessionNo(session_no=get_or_create_session_no(caller, pair))


def get_or_create_session_no(caller: Caller, pair: MemberAndDoctor) -> str:
    """Return the session_no of a member and a doctor, creating the session if there is none.

    Raises:
        ApiError: 404 if the member is not the caller's or the tenant has no such doctor; 403 if there is no session yet
            and the account has not given the consents that the hospital requires.
    """
    found = store.find_pair(mysql.autocommit, caller.tenant_id, caller.user_id, pair.member_id, pair.doctor_id)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "就诊人或医生不存在")
    if found.session_no:
        return found.session_no
    found.consents.require(found.birthday)
    session_no = compute_session_no(caller.tenant_id, pair)
    try:
        mysql.run_transaction(lambda tx: _create(tx, caller, pair, session_no))
    except mysql.DuplicateKeyError:  # a concurrent request has created it
        return get_or_create_session_no(caller, pair)
    session_cache.invalidate_lists([caller.principal, f"user:{pair.doctor_id}"])
    return session_no


def compute_session_no(tenant_id: int, pair: MemberAndDoctor) -> str:
    """Return the session_no under which the session of a member and a doctor is created.

    It cannot be guessed: it is a keyed hash of both ids. So a request that names only the two can address the session
    without reading it first. Sessions created before session numbers were computed have random ones.

    Raises:
        ApiError: UNAVAILABLE if KMS cannot be reached.
    """
    digest = field_encryption.compute_blind_index(tenant_id, "session_no", f"{pair.member_id}:{pair.doctor_id}")
    return str(uuid.UUID(bytes=digest[:16], version=4))


def require_session(caller: Caller, session_no: str, pair: MemberAndDoctor) -> None:
    """Raise ApiError(NOT_FOUND) unless this is the caller's own session of that member and doctor."""
    session = session_cache.require_access(session_cache.find_session(session_no), caller, pair.member_id)
    if session.doctor_id != pair.doctor_id:
        raise ApiError(errors.NOT_FOUND, "会话不存在")


def hide(caller: Caller, session_no: str) -> None:
    """Remove a session from the caller's list until its next message. The other participant sees no change.

    Raises:
        ApiError: 404 if the session is not the caller's.
    """
    session_cache.require_access(session_cache.find_session(session_no), caller)
    reading.hide(session_no, caller.principal)


def _create(tx: Tx, caller: Caller, pair: MemberAndDoctor, session_no: str) -> None:
    if not store.lock_member(tx, caller.tenant_id, pair.member_id):
        raise ApiError(errors.NOT_FOUND, "就诊人或医生不存在")
    now = clock.now()
    principals = [caller.principal, f"user:{pair.doctor_id}"]
    conversation_id = messaging_store.create_conversation(
        tx, caller.tenant_id, session_no, ConversationKind.CONSULT, principals, now, hidden_seq=-1
    )
    store.insert(tx, caller.tenant_id, session_no, conversation_id, pair.member_id, pair.doctor_id, now)
