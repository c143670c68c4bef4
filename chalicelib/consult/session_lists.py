"""Session lists: what a patient's and a doctor's start page show."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.consult import session_cache, store
from chalicelib.consult.models import DoctorSessionsQuery, PatientSessionsQuery, SessionForDoctor, SessionForPatient
from chalicelib.consult.store import SessionRecord
from chalicelib.files import links
from chalicelib.identity.callers import Caller
from chalicelib.messaging import ids, reading
from chalicelib.messaging.models import Message, MessageType
from chalicelib.people import formatting

SessionEntry = tuple[SessionRecord, Message, int]  # a session, its last message, and how many the caller has not read


def list_for_patient(caller: Caller, asked: PatientSessionsQuery) -> list[SessionForPatient]:
    """Return the caller's sessions that have messages, the latest first."""
    listed = _list_sessions(caller, None, session_cache.MAX_CACHED_SESSIONS)
    return [_format_for_patient(one) for one in listed if (asked.doctor_name or "") in one[0].doctor_name]


def find_newest_for_patient(caller: Caller) -> SessionForPatient | None:
    listed = _list_sessions(caller, None, 1)
    return _format_for_patient(listed[0]) if listed else None


def list_for_doctor(caller: Caller, asked: DoctorSessionsQuery) -> list[SessionForDoctor]:
    """Return a page of the doctor's sessions whose last message is older than msg_id, the latest first."""
    return [_format_for_doctor(one) for one in _list_sessions(caller, asked.msg_id, asked.page_size)]


def find_newest_for_doctor(caller: Caller) -> SessionForDoctor | None:
    listed = _list_sessions(caller, None, 1)
    return _format_for_doctor(listed[0]) if listed else None


def _list_sessions(caller: Caller, before: str | None, limit: int) -> list[SessionEntry]:
    """A session is listed from its first message on; hidden, from the next one."""
    known = session_cache.list_for_caller(caller)
    if known is None:  # too many to look at each
        below = ids.decode(before) if before else (ids.TICK_LIMIT, 0)
        known = store.list_recent_by_doctor(mysql.autocommit, caller.user_id, below, limit)
    heads = reading.fetch_newest_pages([card.session_no for card in known], caller.principal)
    found = [
        (card, page.messages[0], page.participant.count_unread(page.last_seq))
        for card in known
        if (page := heads.get(card.session_no)) and page.participant and page.last_seq > page.participant.hidden_seq
    ]
    earlier = [one for one in found if before is None or one[1].id < before]
    return sorted(earlier, key=lambda one: one[1].id, reverse=True)[:limit]


def _format_for_patient(listed: SessionEntry) -> SessionForPatient:
    card, newest, unread = listed
    return SessionForPatient(
        session_id=card.session_no,
        session_no=card.session_no,
        doctor_id=str(card.doctor_id),
        doctor_name=card.doctor_name,
        doctor_photo_url=_sign_photo_url(card.doctor_photo_key),
        member_id=str(card.member_id),
        member_name=card.member_name,
        duty_code=card.duty_code,
        last_message=newest.content,
        last_message_type=_get_message_type(newest),
        last_message_date=clock.format_wire_time(newest.sent_at),
        last_msg_id=newest.id,
        last_message_id=newest.id,
        unread=unread,
    )


def _format_for_doctor(listed: SessionEntry) -> SessionForDoctor:
    card, newest, unread = listed
    return SessionForDoctor(
        session_id=card.session_no,
        session_no=card.session_no,
        member_id=str(card.member_id),
        member_name=card.member_name,
        member_photo_url=_sign_photo_url(card.member_photo_key),
        gender=card.gender,
        age=formatting.format_age(card.birthday, clock.today()),
        phone=formatting.mask_phone(card.phone),
        last_message=newest.content,
        last_message_type=_get_message_type(newest),
        last_msg_date=clock.format_wire_time(newest.sent_at),
        last_msg_id=newest.id,
        unread=unread,
    )


def _get_message_type(message: Message) -> int:
    return MessageType.IMAGE if message.object_key else 0


def _sign_photo_url(key: str) -> str:
    return links.sign(key) if key else ""
