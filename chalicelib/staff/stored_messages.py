"""Consultations of closed accounts, which staff read for a logged reason only.

Closing an account archives its consultations and hides them from their doctors. They are medical records all the same.
"""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.errors import ApiError
from chalicelib.files import links
from chalicelib.identity.callers import Caller
from chalicelib.messaging import reading_store
from chalicelib.messaging.models import Message, MessageType
from chalicelib.messaging.reading_store import RangeBounds
from chalicelib.staff import stored_store
from chalicelib.staff.stored_models import StoredMessage, StoredMessages, StoredMessagesQuery, StoredSession
from chalicelib.staff.stored_store import StoredSessionRecord

SEQ_LIMIT = 2**62


def list_page(caller: Caller, query: StoredMessagesQuery) -> StoredMessages:
    """Return the consultations of a closed account and a page of one, after entering the access into the audit log.

    Raises:
        ApiError: 400 without pati_id and session_no, or if msg_id is not of the consultation; 404 if the tenant has no
            such consultation, or its account is not closed.
    """
    if not (query.pati_id or query.session_no):
        raise ApiError(errors.BAD_PARAMETER, "pati_id：与 session_no 必填其一")
    sessions, chosen, messages = mysql.run_transaction(lambda tx: _read_and_log_access(tx, caller, query))
    doctor = f"user:{chosen.doctor_id}"
    return StoredMessages(
        session_no=chosen.session_no,
        sessions=[_build_session(session) for session in sessions],
        list=[_build_message(message, doctor) for message in messages],
    )


def _read_and_log_access(
    tx: Tx, caller: Caller, query: StoredMessagesQuery
) -> tuple[list[StoredSessionRecord], StoredSessionRecord, list[Message]]:
    sessions = stored_store.list_sessions(tx, caller.tenant_id, query.pati_id, query.session_no or "")
    chosen = next((one for one in sessions if query.session_no in (None, one.session_no)), None)
    if chosen is None:
        raise ApiError(errors.NOT_FOUND, "没有已注销账号的这次问诊")
    audit_log.insert_entry(
        tx,
        caller.tenant_id,
        caller.principal,
        AuditAction.READ_STORED_MESSAGES,
        f"patient:{chosen.pati_id}" if chosen.pati_id else f"member:{chosen.member_id}",
        reason=query.reason,
        key_id=caller.key_id or None,
        session_no=chosen.session_no,
    )
    return sessions, chosen, _list_messages(tx, chosen, query)


def _list_messages(tx: Tx, session: StoredSessionRecord, query: StoredMessagesQuery) -> list[Message]:
    if query.msg_id is None:
        bounds = RangeBounds(session.conversation_id, 1, SEQ_LIMIT)
        return reading_store.list_range(tx, bounds, query.page_size, newest_first=True)
    found = reading_store.list_older(tx, session.session_no, query.msg_id, query.page_size)
    if found is None:
        raise ApiError(errors.BAD_PARAMETER, "msg_id：不是该会话的消息")
    return found


def _build_session(session: StoredSessionRecord) -> StoredSession:
    return StoredSession(
        session_no=session.session_no,
        member_id=str(session.member_id),
        member_name=session.member_name,
        doctor_id=str(session.doctor_id),
        doctor_name=session.doctor_name,
        created_date=clock.format_wire_time(session.created_at),
        closed_date=clock.format_wire_time(session.closed_at),
    )


def _build_message(message: Message, doctor: str) -> StoredMessage:
    return StoredMessage(
        msg_id=message.id,
        msg_type=MessageType.IMAGE if message.object_key else MessageType.TEXT,
        from_doctor=message.sender == doctor,
        message=message.content,
        res_url=links.sign(message.object_key) if message.object_key else "",
        msg_date=clock.format_wire_time(message.sent_at),
        withdrawn=message.withdrawn,
    )
