"""Session lists: what a patient's and a doctor's start page show."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.consult import session_cache, store
from chalicelib.consult.models import DoctorSessions, PatientSessions, SessionForDoctor, SessionForPatient
from chalicelib.consult.store import Card
from chalicelib.files import links
from chalicelib.identity.callers import Caller
from chalicelib.messaging import ids, reading
from chalicelib.messaging.models import IMAGE, Message
from chalicelib.people import formatting

Listed = tuple[Card, Message, int]  # a session, its last message, and how many the caller has not read


def for_patient(caller: Caller, asked: PatientSessions) -> list[SessionForPatient]:
    """Return the caller's sessions that have messages, the latest first."""
    listed = _listed(caller, None, session_cache.FEW)
    return [_for_patient(one) for one in listed if (asked.doctor_name or "") in one[0].doctor_name]


def newest_for_patient(caller: Caller) -> SessionForPatient | None:
    listed = _listed(caller, None, 1)
    return _for_patient(listed[0]) if listed else None


def for_doctor(caller: Caller, asked: DoctorSessions) -> list[SessionForDoctor]:
    """Return a page of the doctor's sessions whose last message is older than msg_id, the latest first."""
    return [_for_doctor(one) for one in _listed(caller, asked.msg_id, asked.page_size)]


def newest_for_doctor(caller: Caller) -> SessionForDoctor | None:
    listed = _listed(caller, None, 1)
    return _for_doctor(listed[0]) if listed else None


def _listed(caller: Caller, before: str | None, limit: int) -> list[Listed]:
    """A session is listed from its first message on; hidden, from the next one."""
    known = session_cache.of_caller(caller)
    if known is None:  # too many to look at each
        below = ids.decode(before) if before else (ids.END, 0)
        known = mysql.autocommit(lambda tx: store.recent_cards(tx, caller.user_id, below, limit))
    heads = reading.heads([card.session_no for card in known], caller.principal)
    found = [
        (card, page.messages[0], page.seat.unread(page.last_seq))
        for card in known
        if (page := heads.get(card.session_no)) and page.seat and page.last_seq > page.seat.hidden_seq
    ]
    earlier = [one for one in found if before is None or one[1].id < before]
    return sorted(earlier, key=lambda one: one[1].id, reverse=True)[:limit]


def _for_patient(listed: Listed) -> SessionForPatient:
    card, newest, unread = listed
    return SessionForPatient(
        session_id=card.session_no,
        session_no=card.session_no,
        doctor_id=str(card.doctor_id),
        doctor_name=card.doctor_name,
        doctor_photo_url=_photo(card.doctor_photo_key),
        member_id=str(card.member_id),
        member_name=card.member_name,
        duty_code=card.duty_code,
        last_message=newest.content,
        last_message_type=_type(newest),
        last_message_date=clock.wire(newest.sent_at),
        last_msg_id=newest.id,
        last_message_id=newest.id,
        unread=unread,
    )


def _for_doctor(listed: Listed) -> SessionForDoctor:
    card, newest, unread = listed
    return SessionForDoctor(
        session_id=card.session_no,
        session_no=card.session_no,
        member_id=str(card.member_id),
        member_name=card.member_name,
        member_photo_url=_photo(card.member_photo_key),
        gender=card.gender,
        age=formatting.age(card.birthday, clock.today()),
        phone=formatting.masked(card.phone),
        last_message=newest.content,
        last_message_type=_type(newest),
        last_msg_date=clock.wire(newest.sent_at),
        last_msg_id=newest.id,
        unread=unread,
    )


def _type(message: Message) -> int:
    return IMAGE if message.object_key else 0


def _photo(key: str) -> str:
    return links.signed(key) if key else ""
