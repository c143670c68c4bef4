"""Sending and reading in a consultation, from both sides."""

from typing import Any

from chalicelib import clock
from chalicelib.consult import cards, sessions
from chalicelib.consult.cards import Card
from chalicelib.consult.models import (
    DoctorPage,
    DoctorText,
    MessageForDoctor,
    MessageForPatient,
    PatientPage,
    PatientText,
    Sent,
    SentByPatient,
)
from chalicelib.identity.callers import Caller
from chalicelib.messaging import log
from chalicelib.messaging.models import Draft, Message


def send_as_patient(caller: Caller, text: PatientText, key: str | None) -> SentByPatient:
    """Say something to a doctor; without session_no in the session of the two, made if there is none."""
    session_no = text.session_no or sessions.opened(caller, text)
    if text.session_no:
        sessions.check(caller, text.session_no, text)
    draft = Draft(text.message, "patient/send_text_msg", key or text.client_msg_id)
    message = log.append(caller.tenant_id, sessions.KIND, session_no, caller.principal, draft)
    return SentByPatient(msg_id=message.id, msg_date=clock.wire(message.sent_at), session_no=session_no)


def send_as_doctor(caller: Caller, text: DoctorText, key: str | None) -> Sent:
    draft = Draft(text.message, "doctor/send_text_msg", key or text.client_msg_id)
    message = log.append(caller.tenant_id, sessions.KIND, text.session_no, caller.principal, draft)
    return Sent(msg_id=message.id, msg_date=clock.wire(message.sent_at))


def list_for_patient(caller: Caller, page: PatientPage) -> list[MessageForPatient]:
    """Return a page of the caller's own session, newest first."""
    card, messages = _page(caller, page, page.member_id)
    return [
        MessageForPatient(
            **_shown(message, caller),
            doctor_id=str(card.doctor_id),
            doctor_name=card.doctor_name,
            doctor_photo_url="",
        )
        for message in messages
    ]


def list_for_doctor(caller: Caller, page: DoctorPage) -> list[MessageForDoctor]:
    """Return a page of one of the doctor's sessions, newest first."""
    _, messages = _page(caller, page, None)
    return [MessageForDoctor(**_shown(message, caller)) for message in messages]


def _page(caller: Caller, page: DoctorPage, member_id: int | None) -> tuple[Card, list[Message]]:
    if page.msg_id:
        card = cards.checked(cards.stored(page.session_no), caller, member_id)
        return card, log.older(page.session_no, page.msg_id, page.page_size)
    messages, [copy] = log.newest(page.session_no, page.page_size, beside=[cards.reading(page.session_no)])
    return cards.checked(cards.card(page.session_no, copy), caller, member_id), messages


def _shown(message: Message, caller: Caller) -> dict[str, Any]:
    return {
        "msg_id": message.id,
        "msg_type": message.type,
        "from_to": 0 if message.sender == caller.principal else 1,
        "message": message.content,
        "res_url": "",
        "msg_date": clock.wire(message.sent_at),
    }
