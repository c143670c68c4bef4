"""Fill the tables with a year of consultations, by multi-row inserts."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from bench.consultations import COMMON_CHARACTERS, INSERT_MESSAGE, build_message_row
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.messaging import ids
from chalicelib.messaging.models import ConversationKind
from chalicelib.people.roles import Role
from tests.support import factories
from tests.support.factories import Person

MIN_MESSAGES, MEAN_EXTRA_MESSAGES = 50, 50  # messages per conversation: the minimum, and the mean of what exceeds it
BATCH_MESSAGES = 2_000  # messages of one insert
YEAR = 365 * clock.DAY
MINUTE = 60 * clock.SECOND

INSERT_CONVERSATION = """
    INSERT INTO conversations
        (conversation_id, tenant_id, public_id, kind, last_seq, last_tick, prev_tick, tag, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
INSERT_PARTICIPANT = """
    INSERT INTO participants (conversation_id, principal, tenant_id, read_seq, joined_at) VALUES (%s, %s, %s, %s, %s)
"""
INSERT_SESSION = """
    INSERT INTO consult_sessions (tenant_id, session_no, conversation_id, member_id, doctor_id, created_at)
    VALUES (%s, %s, %s, %s, %s, %s)
"""
INSERT_MEMBER = """
    INSERT INTO members (member_id, tenant_id, user_id, name, phone, cont_relation, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True)
class Consultation:
    """A conversation of one member and one doctor."""

    session_no: str
    member_id: int
    patient: Person
    doctor: Person


class Hospital:
    """A tenant whose conversations grow. It chooses its ids itself: no other process writes to this database."""

    def __init__(self) -> None:
        home = factories.create_hospital()
        self.tenant_id = home.tenant_id
        self.patients = [home.lin, home.wang, *(self._create_patient(number) for number in range(198))]
        self.doctors = [home.chen, home.zhou, *(self._create_doctor(number) for number in range(48))]
        self.consultations: list[Consultation] = []
        self.messages = 0
        self._numbers = count(1_000_000)

    def grow(self, total: int) -> None:
        """Insert conversations until there are at least `total` messages."""
        connection = mysql._connect()  # with the settings of the app's own connections
        with connection, connection.cursor() as cursor:
            while self.messages < total:
                rows, related_rows = self._build_rows(min(BATCH_MESSAGES, total - self.messages))
                connection.begin()
                cursor.executemany(INSERT_MESSAGE, rows)
                for statement, related in related_rows.items():
                    cursor.executemany(statement, related)
                connection.commit()
                self.messages += len(rows)

    def _build_rows(self, min_count: int) -> tuple[list[tuple[Any, ...]], dict[str, list[tuple[Any, ...]]]]:
        """Return message rows, and the rows of their conversations, members, participants and sessions by statement."""
        rows: list[tuple[Any, ...]] = []
        related_rows: dict[str, list[tuple[Any, ...]]] = {
            one: [] for one in (INSERT_MEMBER, INSERT_CONVERSATION, INSERT_PARTICIPANT, INSERT_SESSION)
        }
        while len(rows) < min_count:
            rows += self._build_conversation(next(self._numbers), related_rows)
        return rows, related_rows

    def _build_conversation(self, number: int, related_rows: dict[str, list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
        patient, doctor = random.choice(self.patients), random.choice(self.doctors)
        consultation = Consultation(ids.generate_public_id(), number, patient, doctor)
        created_at = clock.now() - random.randrange(10 * clock.DAY, YEAR)
        tag = ids.compute_tag(consultation.session_no, 0)
        principals = (patient.principal.encode(), doctor.principal.encode())
        ticks = list(islice(_iter_ticks(created_at), MIN_MESSAGES + int(random.expovariate(1 / MEAN_EXTRA_MESSAGES))))
        public_id, tenant_id = consultation.session_no.encode(), self.tenant_id
        name = "".join(random.choices(COMMON_CHARACTERS, k=3))
        related_rows[INSERT_MEMBER].append((number, tenant_id, patient.user_id, name, patient.phone, 9, created_at))
        related_rows[INSERT_CONVERSATION].append(
            (number, tenant_id, public_id, ConversationKind.CONSULT, len(ticks), ticks[-1], ticks[-2], tag, created_at)
        )
        related_rows[INSERT_PARTICIPANT] += [(number, side, tenant_id, len(ticks), created_at) for side in principals]
        related_rows[INSERT_SESSION].append((tenant_id, public_id, number, number, doctor.user_id, created_at))
        self.consultations.append(consultation)
        return [build_message_row(number, seq, tenant_id, tick, tag, principals) for seq, tick in enumerate(ticks, 1)]

    def _create_patient(self, number: int) -> Person:
        return factories.create_patient(
            self.tenant_id, f"137{number:08d}", "".join(random.choices(COMMON_CHARACTERS, k=3))
        )

    def _create_doctor(self, number: int) -> Person:
        return factories.create_staff(
            self.tenant_id, f"136{number:08d}", "".join(random.choices(COMMON_CHARACTERS, k=3)), Role.DOCTOR
        )


def _iter_ticks(now: int) -> Iterable[int]:
    """Yield the ticks of messages that are up to 20 minutes apart."""
    while True:
        now += random.randrange(clock.SECOND, 20 * MINUTE)
        yield ids.compute_first_tick(now)
