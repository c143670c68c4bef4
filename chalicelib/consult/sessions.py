"""A consultation: one for each member and doctor, and the conversation it is held in."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.consult import session_cache, store
from chalicelib.consult.models import Pair, SessionNo
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.messaging import ids, reading
from chalicelib.messaging import store as messaging
from chalicelib.messaging.models import ConversationKind


def get_or_create(caller: Caller, pair: Pair) -> SessionNo:
    """Return the session of a member and a doctor, made if there is none. Asking twice finds the same one."""
    return SessionNo(session_no=get_or_create_session_no(caller, pair))


def get_or_create_session_no(caller: Caller, pair: Pair) -> str:
    """Return session_no. ApiError 404 for a member that is not the caller's, or a doctor the tenant does not have."""
    found = store.find_session_no(mysql.autocommit, caller.tenant_id, caller.user_id, pair.member_id, pair.doctor_id)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "就诊人或医生不存在")
    if found:
        return found
    try:
        session_no = mysql.run_transaction(lambda tx: _create(tx, caller, pair))
    except mysql.DuplicateKeyError:  # the same request arrived twice at once, and the other made it
        return get_or_create_session_no(caller, pair)
    session_cache.invalidate_lists([caller.principal, f"user:{pair.doctor_id}"])
    return session_no


def require_session(caller: Caller, session_no: str, pair: Pair) -> None:
    """ApiError 404 unless this is the caller's own session of that member and that doctor."""
    card = session_cache.require_access(session_cache.find_session(session_no), caller, pair.member_id)
    if card.doctor_id != pair.doctor_id:
        raise ApiError(errors.NOT_FOUND, "会话不存在")


def hide(caller: Caller, session_no: str) -> None:
    """Take the session off the caller's list until its next message; the other side sees no change."""
    session_cache.require_access(session_cache.find_session(session_no), caller)
    reading.hide(session_no, caller.principal)


def _create(tx: Tx, caller: Caller, pair: Pair) -> str:
    session_no, now = ids.generate_public_id(), clock.now()
    principals = [caller.principal, f"user:{pair.doctor_id}"]
    conversation_id = messaging.create_conversation(
        tx, caller.tenant_id, session_no, ConversationKind.CONSULT, principals, now
    )
    store.insert(tx, caller.tenant_id, session_no, conversation_id, pair.member_id, pair.doctor_id, now)
    return session_no
