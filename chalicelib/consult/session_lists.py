"""Session lists of the patient's and the doctor's start pages."""

from datetime import date
from typing import Any, NamedTuple

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.redis import ScriptBatch
from chalicelib.consult import session_cache, store
from chalicelib.consult.models import DoctorSessionsQuery, PatientSessionsQuery, SessionForDoctor, SessionForPatient
from chalicelib.consult.store import SessionRecord
from chalicelib.files import links
from chalicelib.identity.callers import Caller
from chalicelib.identity.tokens import Owner
from chalicelib.messaging import ids, reading
from chalicelib.messaging.models import Message, MessageType
from chalicelib.people import formatting, guardians, members, phones
from chalicelib.people.patient_status import PatientStatus


class SessionEntry(NamedTuple):
    """A session as its list shows it to one participant."""

    session: SessionRecord
    newest: Message | None  # None for a session without messages
    unread: int

    @property
    def position(self) -> str:
        """Return what orders the list: the id of the newest message, or the position of the session's creation."""
        return self.newest.id if self.newest else self.session.creation_position

    @property
    def active_at(self) -> int:
        """Return when the newest message was sent, or the session created, in microseconds."""
        return self.newest.sent_at if self.newest else self.session.created_at


def prepare(owner: Owner, _: Any) -> ScriptBatch:
    """Return the scripts with which each of the lists begins."""
    return session_cache.prepare_list(owner)


def list_for_patient(caller: Caller, query: PatientSessionsQuery, batch: ScriptBatch | None) -> list[SessionForPatient]:
    """Return the caller's sessions by newest message, or creation for one without messages, latest first.

    Args:
        batch: the result of `prepare`; so also in the following functions.
    """
    entries = _list_entries(caller, None, session_cache.MAX_CACHED_SESSIONS, batch)
    return [_format_for_patient(entry) for entry in entries if (query.doctor_name or "") in entry.session.doctor_name]


def find_newest_for_patient(caller: Caller, batch: ScriptBatch | None) -> SessionForPatient | None:
    """Return the first session of `list_for_patient`."""
    entries = _list_entries(caller, None, 1, batch)
    return _format_for_patient(entries[0]) if entries else None


def list_for_doctor(caller: Caller, query: DoctorSessionsQuery, batch: ScriptBatch | None) -> list[SessionForDoctor]:
    """Return a page of the doctor's sessions by newest message or creation, if that is older than msg_id."""
    return [_format_for_doctor(entry) for entry in _list_entries(caller, query.msg_id, query.page_size, batch)]


def find_newest_for_doctor(caller: Caller, batch: ScriptBatch | None) -> SessionForDoctor | None:
    """Return the first session of `list_for_doctor`."""
    entries = _list_entries(caller, None, 1, batch)
    return _format_for_doctor(entries[0]) if entries else None


def _list_entries(caller: Caller, before: str | None, limit: int, batch: ScriptBatch | None) -> list[SessionEntry]:
    """Return the caller's visible sessions. A hidden one is listed from its next message.

    Args:
        before: the position of an entry; sessions that do not follow it are left out.
    """
    sessions = session_cache.list_for_caller(caller, batch)
    if sessions is None:  # too many to fetch the newest page of each
        below = ids.decode(before) if before else (ids.TICK_LIMIT, 0)
        sessions = store.list_recent_by_doctor(mysql.autocommit, caller.tenant_id, caller.user_id, below, limit)
    pages = reading.fetch_newest_pages([session.session_no for session in sessions], caller.principal)
    entries = [
        SessionEntry(session, page.messages[0] if page.messages else None, page.participant.count_unread(page.last_seq))
        for session in sessions
        if (page := pages.get(session.session_no)) and page.participant and page.last_seq > page.participant.hidden_seq
    ]
    older = [entry for entry in entries if before is None or entry.position < before]
    return sorted(older, key=lambda entry: entry.position, reverse=True)[:limit]


def _format_for_patient(entry: SessionEntry) -> SessionForPatient:
    session, newest, unread = entry
    return SessionForPatient(
        session_id=session.session_no,
        session_no=session.session_no,
        doctor_id=str(session.doctor_id),
        doctor_name=session.doctor_name,
        doctor_photo_url=_sign_photo_url(session.doctor_photo_key),
        member_id=str(session.member_id),
        member_name=session.member_name,
        duty_code=session.duty_code,
        last_message=newest.content if newest else "",
        last_message_type=_get_message_type(newest),
        last_message_date=clock.format_wire_time(entry.active_at),
        last_msg_id=newest.id if newest else "",
        last_message_id=newest.id if newest else "",
        unread=unread,
    )


def _format_for_doctor(entry: SessionEntry) -> SessionForDoctor:
    session, newest, unread = entry
    shows_guardian = bool(session.guardian_name) and _is_small_child(session)
    return SessionForDoctor(
        session_id=session.session_no,
        session_no=session.session_no,
        member_id=str(session.member_id),
        member_name=session.member_name,
        member_photo_url=_sign_photo_url(session.member_photo_key),
        gender=session.gender,
        age=formatting.format_age(session.birthday, clock.today()),
        phone=formatting.mask_phone(_decrypt_phone(session)),
        member_verified=session.patient_status == PatientStatus.VERIFIED,
        guardian_name=session.guardian_name if shows_guardian else "",
        guardian_phone=formatting.mask_phone(_decrypt_guardian_phone(session)) if shows_guardian else "",
        last_message=newest.content if newest else "",
        last_message_type=_get_message_type(newest),
        last_msg_date=clock.format_wire_time(entry.active_at),
        last_msg_id=entry.position,
        unread=unread,
    )


def _is_small_child(session: SessionRecord) -> bool:
    if not session.birthday:
        return False
    years = formatting.compute_years(date.fromisoformat(session.birthday), clock.today())
    return years < guardians.SHOWN_TO_DOCTORS_BELOW_YEARS


def _decrypt_phone(session: SessionRecord) -> str:
    sealed = bytes.fromhex(session.phone_sealed)
    return phones.unseal(session.tenant_id, members.TABLE_NAME, session.member_id, sealed)


def _decrypt_guardian_phone(session: SessionRecord) -> str:
    return guardians.decrypt_phone(session.tenant_id, session.pati_id, bytes.fromhex(session.guardian_phone_sealed))


def _get_message_type(message: Message | None) -> int:
    return MessageType.IMAGE if message and message.object_key else MessageType.TEXT


def _sign_photo_url(key: str) -> str:
    return links.sign(key) if key else ""
