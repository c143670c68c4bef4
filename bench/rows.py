"""What is measured: each row is a request that a client makes over and over."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.cast import Cast, Room
from bench.events import SAID, get, post
from chalicelib.adapters import mysql
from chalicelib.adapters import redis as cache
from chalicelib.messaging import recent_cache

PAGE = 20  # messages
Event = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One kind of request. `events` makes one for each place it is asked at, in turn."""

    name: str
    events: Callable[[Cast], list[Event]]
    rooms: int = 20  # of the cast's consultations
    holds: int = 0  # entries of each answer
    writes: bool = False  # each request wants a retry key of its own
    shared: bool = False  # all processes ask in one conversation
    before: Callable[[Cast, list[Room]], None] | None = (
        None  # makes things so before each turn, outside the measurement
    )
    ratio: float = 0.0  # to the floor's p50, alone: at most
    rate: int = 0  # a second, with 8 processes: at least


def _patient_sends(cast: Cast) -> list[Event]:
    return [_patient_text(cast, room) for room in cast.rooms]


def _patient_text(cast: Cast, room: Room) -> Event:
    fields = {"member_id": room.member_id, "doctor_id": cast.doctor.user_id, "session_no": room.session_no}
    return post("/msg_service/msg/patient/send_text_msg", cast.patient.token, "", message=SAID, **fields)


def _doctor_sends(cast: Cast) -> list[Event]:
    path, token = "/msg_service/msg/doctor/send_text_msg", cast.doctor.token
    return [post(path, token, "", message=SAID, session_no=room.session_no) for room in cast.rooms]


def _patient_reads(cast: Cast) -> list[Event]:
    path, token = "/msg_service/msg/patient/msg_list", cast.patient.token
    return [
        get(path, token, session_no=room.session_no, member_id=room.member_id, page_size=PAGE) for room in cast.rooms
    ]


def _doctor_lists(cast: Cast) -> list[Event]:
    path = "/msg_service/msg/doctor/session_list"
    return [get(path, cast.doctor.token, page_size=len(cast.rooms))]


def _one_unread(cast: Cast, rooms: list[Room]) -> None:
    """Put the patient's read positions back by one message, in MySQL and in Redis."""
    mysql.run_autocommit(
        lambda tx: tx.execute(
            """
            UPDATE participants p JOIN conversations c ON c.conversation_id = p.conversation_id
            SET p.read_seq = c.last_seq - 1, p.own_since = 0
            WHERE p.conversation_id IN %(rooms)s AND p.principal = %(principal)s
            """,
            rooms=[room.conversation_id for room in rooms],
            principal=cast.patient.principal.encode(),
        )
    )
    pipe = cache.get_client().pipeline(transaction=False)
    for room in rooms:
        pipe.hincrby(
            f"log:{recent_cache.SCHEMA_VERSION}:{{{room.session_no}}}:state", f"read:{cast.patient.principal}", -1
        )
    pipe.execute()


def rows(sessions: int) -> list[Row]:
    listed = f"session_list ({sessions})"
    return [
        Row("send, patient", _patient_sends, writes=True, ratio=1.5, rate=1500),
        Row("send, doctor", _doctor_sends, writes=True, ratio=1.5, rate=1500),
        Row("newest page", _patient_reads, holds=PAGE, ratio=1.8, rate=7000),
        Row("newest page, moves", _patient_reads, holds=PAGE, before=_one_unread),
        Row(listed, _doctor_lists, rooms=sessions, holds=sessions),
        Row("send, one hot", _doctor_sends, rooms=1, writes=True, shared=True),
        Row("newest page, one hot", _patient_reads, rooms=1, holds=PAGE, shared=True),
    ]


def check(row: Row, response: dict[str, Any]) -> None:
    """Raises ValueError for an answer that a client would not be content with."""
    if response["statusCode"] != 200:
        raise ValueError(f"{row.name}: {response['statusCode']} {response['body']}")
    if row.holds and len(json.loads(response["body"])["data"]) != row.holds:
        raise ValueError(f"{row.name}: not {row.holds} entries")
