"""A consultation: one for each member and doctor, and the conversation it is held in."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.consult import session_cache, store
from chalicelib.consult.models import Pair, SessionNo
from chalicelib.errors import Refused
from chalicelib.identity.callers import Caller
from chalicelib.messaging import ids, reading
from chalicelib.messaging import store as messaging

KIND = "consult"


def open(caller: Caller, pair: Pair) -> SessionNo:
    """Return the session of a member and a doctor, made if there is none. Asking twice finds the same one."""
    return SessionNo(session_no=opened(caller, pair))


def opened(caller: Caller, pair: Pair) -> str:
    """Return session_no. Refused 404 for a member that is not the caller's, or a doctor the tenant does not have."""
    found = mysql.autocommit(
        lambda tx: store.find_pair(tx, caller.tenant_id, caller.user_id, pair.member_id, pair.doctor_id)
    )
    if found is None:
        raise Refused(errors.NOT_FOUND, "就诊人或医生不存在")
    if found:
        return found
    try:
        session_no = mysql.transact(lambda tx: _create(tx, caller, pair))
    except mysql.Duplicate:  # the same request arrived twice at once, and the other made it
        return opened(caller, pair)
    session_cache.added([caller.principal, f"user:{pair.doctor_id}"])
    return session_no


def check(caller: Caller, session_no: str, pair: Pair) -> None:
    """Refused 404 unless this is the caller's own session of that member and that doctor."""
    card = session_cache.checked(session_cache.stored(session_no), caller, pair.member_id)
    if card.doctor_id != pair.doctor_id:
        raise Refused(errors.NOT_FOUND, "会话不存在")


def leave(caller: Caller, session_no: str) -> None:
    """Take the session off the caller's list until its next message; the other side sees no change."""
    session_cache.checked(session_cache.stored(session_no), caller)
    reading.hide(session_no, caller.principal)


def _create(tx: Tx, caller: Caller, pair: Pair) -> str:
    session_no, now = ids.new_conversation(), clock.now()
    principals = [caller.principal, f"user:{pair.doctor_id}"]
    conversation_id = messaging.create(tx, caller.tenant_id, session_no, KIND, principals, now)
    store.insert(tx, caller.tenant_id, session_no, conversation_id, pair.member_id, pair.doctor_id, now)
    return session_no
