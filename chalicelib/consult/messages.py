"""Sending and reading in a consultation, from both sides."""

from collections.abc import Sequence

from chalicelib import clock
from chalicelib.consult import session_cache, sessions
from chalicelib.consult.models import (
    DoctorFile,
    DoctorNewest,
    DoctorPage,
    DoctorText,
    MessageForDoctor,
    MessageForPatient,
    Pair,
    PatientFile,
    PatientNewest,
    PatientPage,
    PatientText,
    Sent,
    SentByPatient,
    SentFile,
    SentFileByPatient,
)
from chalicelib.consult.store import Card
from chalicelib.files import confirmation, links
from chalicelib.identity.callers import DOCTOR, Caller
from chalicelib.messaging import log, reading
from chalicelib.messaging.models import IMAGE, Draft, Message


def send_as_patient(caller: Caller, text: PatientText, key: str | None) -> SentByPatient:
    """Say something to a doctor; without session_no in the session of the two, made if there is none."""
    session_no = _patients_session(caller, text, text.session_no)
    draft = Draft(text.message, "patient/send_text_msg", key or text.client_msg_id)
    message = log.append(caller.tenant_id, sessions.KIND, session_no, caller.principal, draft)
    return SentByPatient(msg_id=message.id, msg_date=clock.wire(message.sent_at), session_no=session_no)


def send_as_doctor(caller: Caller, text: DoctorText, key: str | None) -> Sent:
    draft = Draft(text.message, "doctor/send_text_msg", key or text.client_msg_id, answers=True)
    message = log.append(caller.tenant_id, sessions.KIND, text.session_no, caller.principal, draft)
    return Sent(msg_id=message.id, msg_date=clock.wire(message.sent_at))


def send_file_as_patient(caller: Caller, sent: PatientFile, key: str | None) -> SentFileByPatient:
    """Show a doctor an uploaded file. Refused 409 where it is not there, or not what it was announced to be."""
    session_no = _patients_session(caller, sent, sent.session_no)
    message = _send_file(caller, session_no, sent.file_id, "patient/send_res_msg", key or sent.client_msg_id)
    return SentFileByPatient(
        msg_id=message.id,
        file_url=_link(message),
        msg_date=clock.wire(message.sent_at),
        session_no=session_no,
    )


def send_file_as_doctor(caller: Caller, sent: DoctorFile, key: str | None) -> SentFile:
    message = _send_file(caller, sent.session_no, sent.file_id, "doctor/send_res_msg", key or sent.client_msg_id)
    return SentFile(msg_id=message.id, res_url=_link(message), msg_date=clock.wire(message.sent_at))


def list_for_patient(caller: Caller, page: PatientPage) -> list[MessageForPatient]:
    """Return a page of the caller's own session, newest first. The newest page counts as read."""
    card, messages = _page(caller, page, page.member_id)
    return _for_patient(messages, card, caller)


def list_for_doctor(caller: Caller, page: DoctorPage) -> list[MessageForDoctor]:
    """Return a page of one of the doctor's sessions, newest first. The newest page counts as read."""
    _, messages = _page(caller, page, None)
    return [_for_doctor(message, caller) for message in messages]


def newest_for_patient(caller: Caller, asked: PatientNewest) -> MessageForPatient | None:
    card, found = _newest(caller, asked.session_no, asked.member_id, 1)
    return next(iter(_for_patient(found.messages, card, caller)), None)


def newest_for_doctor(caller: Caller, asked: DoctorNewest) -> MessageForDoctor | None:
    _, found = _newest(caller, asked.session_no, None, 1)
    return _for_doctor(found.messages[0], caller) if found.messages else None


def _patients_session(caller: Caller, pair: Pair, session_no: str | None) -> str:
    if not session_no:
        return sessions.opened(caller, pair)
    sessions.check(caller, session_no, pair)
    return session_no


def _send_file(caller: Caller, session_no: str, file_id: int, endpoint: str, key: str | None) -> Message:
    file = confirmation.ready_for_message(caller.tenant_id, caller.principal, session_no, file_id)
    draft = Draft("", endpoint, key, IMAGE, file.object_key, answers=caller.kind == DOCTOR)
    return log.append(caller.tenant_id, sessions.KIND, session_no, caller.principal, draft)


def _page(caller: Caller, page: DoctorPage, member_id: int | None) -> tuple[Card, Sequence[Message]]:
    if page.msg_id:
        card = session_cache.checked(session_cache.stored(page.session_no), caller, member_id)
        return card, reading.older(page.session_no, page.msg_id, page.page_size)
    card, found = _newest(caller, page.session_no, member_id, page.page_size)
    reading.read_up_to(page.session_no, found)
    return card, found.messages


def _newest(caller: Caller, session_no: str, member_id: int | None, limit: int) -> tuple[Card, reading.Page]:
    found, [copy] = reading.newest(session_no, caller.principal, limit, beside=[session_cache.reading(session_no)])
    return session_cache.checked(session_cache.card(session_no, copy), caller, member_id), found


def _for_patient(messages: Sequence[Message], card: Card, caller: Caller) -> list[MessageForPatient]:
    doctor_id = str(card.doctor_id)
    photo_url = links.signed(card.doctor_photo_key) if card.doctor_photo_key else ""
    return [
        {
            **_for_doctor(message, caller),
            "doctor_id": doctor_id,
            "doctor_name": card.doctor_name,
            "doctor_photo_url": photo_url,
        }
        for message in messages
    ]


def _for_doctor(message: Message, caller: Caller) -> MessageForDoctor:
    return {
        "msg_id": message.id,
        "msg_type": IMAGE if message.object_key else 0,
        "from_to": 0 if message.sender == caller.principal else 1,
        "message": message.content,
        "res_url": _link(message),
        "msg_date": clock.wire(message.sent_at),
        "withdrawn": message.withdrawn,
    }


def _link(message: Message) -> str:
    return links.signed(message.object_key) if message.object_key else ""
