"""The cases of bin/bench chat: requests that a client makes repeatedly."""

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
SEND_TARGETS: dict[str, Any] = {"max_ratio": 1.4, "max_cpu": 900, "max_p50_with_latency": 5.5}
Event = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One kind of request; `build_events` builds one for each conversation it is made in, or one for the list."""

    name: str
    build_events: Callable[[Participants], list[Event]]
    consultation_count: int = 20  # how many of the consultations are used
    entry_count: int = 0  # expected in each response; 0 is not checked
    writes: bool = False  # each request has its own idempotency key
    shared: bool = False  # all processes use the same conversation
    # Called before each pass over the events, outside the measurement.
    prepare: Callable[[Participants, list[Consultation]], None] | None = None
    # Targets; 0 for none.
    max_ratio: float = 0.0  # with one process: its p50 over the floor's
    min_rate: int = 0  # with 8 processes: requests per second
    max_cpu: int = 0  # with 8 processes: CPU of app and servers for a request, microseconds
    max_p50_with_latency: float = 0.0  # with one process and 1 ms added to each round trip, milliseconds


def _build_patient_sends(participants: Participants) -> list[Event]:
    return [_build_patient_send(participants, consultation) for consultation in participants.consultations]


def _build_patient_send(participants: Participants, consultation: Consultation) -> Event:
    fields = {
        "member_id": consultation.member_id,
        "doctor_id": participants.doctor.user_id,
        "session_no": consultation.session_no,
    }
    return build_post(
        "/msg_service/msg/patient/send_text_msg", participants.patient.token, "", message=MESSAGE_TEXT, **fields
    )


def _build_doctor_sends(participants: Participants) -> list[Event]:
    path, token = "/msg_service/msg/doctor/send_text_msg", participants.doctor.token
    return [
        build_post(path, token, "", message=MESSAGE_TEXT, session_no=consultation.session_no)
        for consultation in participants.consultations
    ]


def _build_patient_reads(participants: Participants) -> list[Event]:
    path, token = "/msg_service/msg/patient/msg_list", participants.patient.token
    return [
        build_get(
            path, token, session_no=consultation.session_no, member_id=consultation.member_id, page_size=PAGE_SIZE
        )
        for consultation in participants.consultations
    ]


def _build_doctor_lists(participants: Participants) -> list[Event]:
    path = "/msg_service/msg/doctor/session_list"
    return [build_get(path, participants.doctor.token, page_size=len(participants.consultations))]


def _set_one_unread(participants: Participants, consultations: list[Consultation]) -> None:
    """Move the patient's read positions back by one message, in MySQL and in Redis."""
    mysql.autocommit.execute(
        """
        UPDATE participants p JOIN conversations c ON c.conversation_id = p.conversation_id
        SET p.read_seq = c.last_seq - 1, p.own_after_read = 0, p.withdrawn_after_read = 0
        WHERE p.conversation_id IN %(conversation_ids)s AND p.principal = %(principal)s
        """,
        conversation_ids=[consultation.conversation_id for consultation in consultations],
        principal=participants.patient.principal.encode(),
    )
    pipe = cache.get_client().pipeline(transaction=False)
    for consultation in consultations:
        state_key, *_ = recent_cache.build_keys(consultation.session_no)
        pipe.hincrby(state_key, f"read_seq:{participants.patient.principal}", -1)
    pipe.execute()


def build_cases(sessions: int) -> list[Case]:
    """Return all cases; `sessions` is how many the list of sessions contains."""
    return [
        Case("send, patient", _build_patient_sends, writes=True, **SEND_TARGETS),
        Case("send, doctor", _build_doctor_sends, writes=True, **SEND_TARGETS),
        Case(
            *("newest page", _build_patient_reads),
            entry_count=PAGE_SIZE,
            max_ratio=1.8,
            min_rate=6000,
            max_p50_with_latency=2.0,
        ),
        Case("newest page, moves", _build_patient_reads, entry_count=PAGE_SIZE, prepare=_set_one_unread),
        Case(
            *(f"session_list ({sessions})", _build_doctor_lists),
            consultation_count=sessions,
            entry_count=sessions,
        ),
        Case("send, one hot", _build_doctor_sends, consultation_count=1, writes=True, shared=True),
        Case("newest page, one hot", _build_patient_reads, consultation_count=1, entry_count=PAGE_SIZE, shared=True),
    ]


def check_response(case: Case, response: dict[str, Any]) -> None:
    """Check the status of a response and the number of its entries.

    Raises:
        ValueError: the request failed, or the response has another number of entries.
    """
    if response["statusCode"] != 200:
        raise ValueError(f"{case.name}: {response['statusCode']} {response['body']}")
    if case.entry_count and len(json.loads(response["body"])["data"]) != case.entry_count:
        raise ValueError(f"{case.name}: not {case.entry_count} entries")
