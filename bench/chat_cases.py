"""What is measured: each row is a request that a client makes over and over."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.consultations import Consultation, Participants
from bench.lambda_events import MESSAGE_TEXT, build_get, build_post
from chalicelib.adapters import mysql
from chalicelib.adapters import redis as cache
from chalicelib.messaging import recent_cache

PAGE_SIZE = 20  # messages
Event = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One kind of request. `events` makes one for each place it is asked at, in turn."""

    name: str
    build_events: Callable[[Participants], list[Event]]
    consultation_count: int = 20  # of the cast's consultations
    entry_count: int = 0  # entries of each answer
    writes: bool = False  # each request wants an idempotency key of its own
    shared: bool = False  # all processes ask in one conversation
    prepare: Callable[[Participants, list[Consultation]], None] | None = (
        None  # makes things so before each turn, outside the measurement
    )
    max_ratio: float = 0.0  # to the floor's p50, alone: at most
    min_rate: int = 0  # a second, with 8 processes: at least


def _build_patient_sends(cast: Participants) -> list[Event]:
    return [_build_patient_send(cast, room) for room in cast.consultations]


def _build_patient_send(cast: Participants, room: Consultation) -> Event:
    fields = {"member_id": room.member_id, "doctor_id": cast.doctor.user_id, "session_no": room.session_no}
    return build_post("/msg_service/msg/patient/send_text_msg", cast.patient.token, "", message=MESSAGE_TEXT, **fields)


def _build_doctor_sends(cast: Participants) -> list[Event]:
    path, token = "/msg_service/msg/doctor/send_text_msg", cast.doctor.token
    return [
        build_post(path, token, "", message=MESSAGE_TEXT, session_no=room.session_no) for room in cast.consultations
    ]


def _build_patient_reads(cast: Participants) -> list[Event]:
    path, token = "/msg_service/msg/patient/msg_list", cast.patient.token
    return [
        build_get(path, token, session_no=room.session_no, member_id=room.member_id, page_size=PAGE_SIZE)
        for room in cast.consultations
    ]


def _build_doctor_lists(cast: Participants) -> list[Event]:
    path = "/msg_service/msg/doctor/session_list"
    return [build_get(path, cast.doctor.token, page_size=len(cast.consultations))]


def _mark_one_unread(cast: Participants, rooms: list[Consultation]) -> None:
    """Put the patient's read positions back by one message, in MySQL and in Redis."""
    mysql.autocommit.execute(
        """
            UPDATE participants p JOIN conversations c ON c.conversation_id = p.conversation_id
            SET p.read_seq = c.last_seq - 1, p.own_after_read = 0
            WHERE p.conversation_id IN %(rooms)s AND p.principal = %(principal)s
            """,
        rooms=[room.conversation_id for room in rooms],
        principal=cast.patient.principal.encode(),
    )
    pipe = cache.get_client().pipeline(transaction=False)
    for room in rooms:
        pipe.hincrby(
            f"log:{recent_cache.SCHEMA_VERSION}:{{{room.session_no}}}:state", f"read:{cast.patient.principal}", -1
        )
    pipe.execute()


def build_cases(sessions: int) -> list[Case]:
    listed = f"session_list ({sessions})"
    return [
        Case("send, patient", _build_patient_sends, writes=True, max_ratio=1.5, min_rate=1500),
        Case("send, doctor", _build_doctor_sends, writes=True, max_ratio=1.5, min_rate=1500),
        Case("newest page", _build_patient_reads, entry_count=PAGE_SIZE, max_ratio=1.8, min_rate=7000),
        Case("newest page, moves", _build_patient_reads, entry_count=PAGE_SIZE, prepare=_mark_one_unread),
        Case(listed, _build_doctor_lists, consultation_count=sessions, entry_count=sessions),
        Case("send, one hot", _build_doctor_sends, consultation_count=1, writes=True, shared=True),
        Case("newest page, one hot", _build_patient_reads, consultation_count=1, entry_count=PAGE_SIZE, shared=True),
    ]


def check_response(row: Case, response: dict[str, Any]) -> None:
    """Raises ValueError for an answer that a client would not be content with."""
    if response["statusCode"] != 200:
        raise ValueError(f"{row.name}: {response['statusCode']} {response['body']}")
    if row.entry_count and len(json.loads(response["body"])["data"]) != row.entry_count:
        raise ValueError(f"{row.name}: not {row.entry_count} entries")
