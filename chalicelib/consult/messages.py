"""Sending and reading in a consultation, from both sides."""

from collections.abc import Sequence

from chalicelib import clock
from chalicelib.consult import session_cache, sessions
from chalicelib.consult.models import (
    DoctorFile,
    DoctorMessagesQuery,
    DoctorNewestQuery,
    DoctorText,
    MessageForDoctor,
    MessageForPatient,
    Pair,
    PatientFile,
    PatientMessagesQuery,
    PatientNewestQuery,
    PatientText,
    Sent,
    SentByPatient,
    SentFile,
    SentFileByPatient,
)
from chalicelib.consult.store import SessionRecord
from chalicelib.files import confirmation, links
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import log, reading
from chalicelib.messaging.models import ConversationKind, Message, MessageType, NewMessage
from chalicelib.wechat_account.unread_replies import ENQUEUE_UNREAD_REPLY


def send_as_patient(caller: Caller, text: PatientText, key: str | None) -> SentByPatient:
    """Say something to a doctor; without session_no in the session of the two, made if there is none."""
    session_no = _resolve_session_no(caller, text, text.session_no)
    draft = NewMessage(text.message, "patient/send_text_msg", key or text.client_msg_id)
    message = log.append(caller.tenant_id, ConversationKind.CONSULT, session_no, caller.principal, draft)
    return SentByPatient(msg_id=message.id, msg_date=clock.format_wire_time(message.sent_at), session_no=session_no)


def send_as_doctor(caller: Caller, text: DoctorText, key: str | None) -> Sent:
    draft = NewMessage(
        text.message, "doctor/send_text_msg", key or text.client_msg_id, enqueue_sql=ENQUEUE_UNREAD_REPLY
    )
    message = log.append(caller.tenant_id, ConversationKind.CONSULT, text.session_no, caller.principal, draft)
    return Sent(msg_id=message.id, msg_date=clock.format_wire_time(message.sent_at))


def send_file_as_patient(caller: Caller, sent: PatientFile, key: str | None) -> SentFileByPatient:
    """Show a doctor an uploaded file. ApiError 409 where it is not there, or not what it was announced to be."""
    session_no = _resolve_session_no(caller, sent, sent.session_no)
    message = _send_file(caller, session_no, sent.file_id, "patient/send_res_msg", key or sent.client_msg_id)
    return SentFileByPatient(
        msg_id=message.id,
        file_url=_sign_file_url(message),
        msg_date=clock.format_wire_time(message.sent_at),
        session_no=session_no,
    )


def send_file_as_doctor(caller: Caller, sent: DoctorFile, key: str | None) -> SentFile:
    message = _send_file(caller, sent.session_no, sent.file_id, "doctor/send_res_msg", key or sent.client_msg_id)
    return SentFile(
        msg_id=message.id, res_url=_sign_file_url(message), msg_date=clock.format_wire_time(message.sent_at)
    )


def list_for_patient(caller: Caller, page: PatientMessagesQuery) -> list[MessageForPatient]:
    """Return a page of the caller's own session, newest first. The newest page counts as read."""
    card, messages = _fetch_page(caller, page, page.member_id)
    return _format_for_patient(messages, card, caller)


def list_for_doctor(caller: Caller, page: DoctorMessagesQuery) -> list[MessageForDoctor]:
    """Return a page of one of the doctor's sessions, newest first. The newest page counts as read."""
    _, messages = _fetch_page(caller, page, None)
    return [_format_for_doctor(message, caller) for message in messages]


def find_newest_for_patient(caller: Caller, asked: PatientNewestQuery) -> MessageForPatient | None:
    card, found = _fetch_newest_page(caller, asked.session_no, asked.member_id, 1)
    return next(iter(_format_for_patient(found.messages, card, caller)), None)


def find_newest_for_doctor(caller: Caller, asked: DoctorNewestQuery) -> MessageForDoctor | None:
    _, found = _fetch_newest_page(caller, asked.session_no, None, 1)
    return _format_for_doctor(found.messages[0], caller) if found.messages else None


def _resolve_session_no(caller: Caller, pair: Pair, session_no: str | None) -> str:
    if not session_no:
        return sessions.get_or_create_session_no(caller, pair)
    sessions.require_session(caller, session_no, pair)
    return session_no


def _send_file(caller: Caller, session_no: str, file_id: int, endpoint: str, key: str | None) -> Message:
    file = confirmation.confirm_upload_for_place(caller.tenant_id, caller.principal, session_no, file_id)
    draft = NewMessage(
        "",
        endpoint,
        key,
        MessageType.IMAGE,
        file.object_key,
        enqueue_sql=ENQUEUE_UNREAD_REPLY if caller.role == Role.DOCTOR else "",
    )
    return log.append(caller.tenant_id, ConversationKind.CONSULT, session_no, caller.principal, draft)


def _fetch_page(
    caller: Caller, page: DoctorMessagesQuery, member_id: int | None
) -> tuple[SessionRecord, Sequence[Message]]:
    if page.msg_id:
        card = session_cache.require_access(session_cache.find_session(page.session_no), caller, member_id)
        return card, reading.list_older(page.session_no, page.msg_id, page.page_size)
    card, found = _fetch_newest_page(caller, page.session_no, member_id, page.page_size)
    reading.mark_read(page.session_no, found)
    return card, found.messages


def _fetch_newest_page(
    caller: Caller, session_no: str, member_id: int | None, limit: int
) -> tuple[SessionRecord, reading.Page]:
    found, [copy] = reading.fetch_newest_page(
        session_no, caller.principal, limit, beside=[session_cache.build_read_call(session_no)]
    )
    return session_cache.require_access(
        session_cache.decode_or_find_session(session_no, copy), caller, member_id
    ), found


def _format_for_patient(messages: Sequence[Message], card: SessionRecord, caller: Caller) -> list[MessageForPatient]:
    doctor_id = str(card.doctor_id)
    photo_url = links.sign(card.doctor_photo_key) if card.doctor_photo_key else ""
    return [
        {
            **_format_for_doctor(message, caller),
            "doctor_id": doctor_id,
            "doctor_name": card.doctor_name,
            "doctor_photo_url": photo_url,
        }
        for message in messages
    ]


def _format_for_doctor(message: Message, caller: Caller) -> MessageForDoctor:
    return {
        "msg_id": message.id,
        "msg_type": MessageType.IMAGE if message.object_key else 0,
        "from_to": 0 if message.sender == caller.principal else 1,
        "message": message.content,
        "res_url": _sign_file_url(message),
        "msg_date": clock.format_wire_time(message.sent_at),
        "withdrawn": message.withdrawn,
    }


def _sign_file_url(message: Message) -> str:
    return links.sign(message.object_key) if message.object_key else ""
