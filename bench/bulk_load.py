"""Fill an empty database with a year of consultations: the server generates the messages, in the order of its keys."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from bench.consultations import COMMON_CHARACTERS
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.messaging import ids
from chalicelib.messaging.models import ConversationKind
from chalicelib.people.roles import Role
from tests.support import factories
from tests.support.factories import Person

MIN_MESSAGES, MEAN_EXTRA_MESSAGES = 50, 50  # messages per conversation: the minimum, and the mean of what exceeds it
MAX_MESSAGES = 1_000  # per conversation
BATCH_CONVERSATIONS = 1_000  # of one insert
YEAR = 365 * clock.DAY
MESSAGE_INTERVAL = 10 * 60 * clock.SECOND  # mean time between two messages of a conversation
STATEMENT_TIMEOUT_SECONDS = 1_800  # an index of the largest table takes minutes

# Not there while the table is filled: sorting the entries of an index once is faster than inserting them at random.
SECONDARY_KEYS = {
    "message_id": "(tick, tag)",
    "idempotency_key": "(tenant_id, sender, endpoint, idempotency_key)",
}

INSERT_CONVERSATION = """
    INSERT INTO conversations (conversation_id, tenant_id, public_id, kind, last_seq, tag, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
INSERT_PARTICIPANT = """
    INSERT INTO participants (conversation_id, principal, tenant_id, read_seq, joined_at) VALUES (%s, %s, %s, %s, %s)
"""
INSERT_SESSION = """
    INSERT INTO consult_sessions (tenant_id, session_no, conversation_id, member_id, doctor_id, created_at)
    VALUES (%s, %s, %s, %s, %s, %s)
"""
INSERT_MEMBER = """
    INSERT INTO members (member_id, tenant_id, user_id, name, cont_relation, created_at)
    VALUES (%s, %s, %s, %s, %s, %s)
"""
# The messages of the conversations from one number to another, in the order of the primary key. CRC32 is the source of
# randomness; a member has the number of its conversation.
INSERT_MESSAGES = f"""
    INSERT INTO messages (
        conversation_id, seq, tenant_id, tick, tag, sender, endpoint, idempotency_key, type, content, sent_at
    )
    SELECT conversation_id, seq, tenant_id, sent_at DIV 1000 * 4096, tag,
           CONCAT('user:', IF(MOD(hash, 2), user_id, doctor_id)),
           IF(MOD(hash, 2), 'patient/send_text_msg', 'doctor/send_text_msg'),
           LEFT(MD5(CONCAT(conversation_id, '-', seq)), 16),
           0, SUBSTRING(%(characters)s, 1 + MOD(hash DIV 2, 900), 5 + MOD(hash DIV 2000, 56)), sent_at
    FROM (
        SELECT c.conversation_id, n.seq, c.tenant_id, c.tag, m.user_id, s.doctor_id,
               CRC32(CONCAT(c.conversation_id, '-', n.seq)) AS hash,
               (c.created_at + n.seq * {MESSAGE_INTERVAL}
                + MOD(CRC32(CONCAT(n.seq, '-', c.conversation_id)), {MESSAGE_INTERVAL})) DIV 1000 * 1000 AS sent_at
        FROM conversations c
        STRAIGHT_JOIN members m ON m.member_id = c.conversation_id
        STRAIGHT_JOIN consult_sessions s ON s.member_id = c.conversation_id
        STRAIGHT_JOIN message_numbers n ON n.seq <= c.last_seq
        WHERE c.conversation_id BETWEEN %(first)s AND %(last)s
    ) generated
    ORDER BY conversation_id, seq
"""
SET_TICKS = """
    UPDATE conversations c
    JOIN messages newest ON newest.conversation_id = c.conversation_id AND newest.seq = c.last_seq
    JOIN messages previous ON previous.conversation_id = c.conversation_id AND previous.seq = c.last_seq - 1
    SET c.last_tick = newest.tick, c.prev_tick = previous.tick
    WHERE c.conversation_id BETWEEN %(first)s AND %(last)s
"""

SET_COPIES = """
    UPDATE conversations c JOIN participants p ON p.conversation_id = c.conversation_id
    SET p.newest_seq = c.last_seq, p.active_tick = c.last_tick
    WHERE c.conversation_id BETWEEN %(first)s AND %(last)s
"""


@dataclass(frozen=True)
class Consultation:
    """A conversation of one member and one doctor."""

    session_no: str
    member_id: int
    patient: Person
    doctor: Person


class Hospital:
    """A tenant with a year of consultations. It chooses its ids itself: no other process writes to this database.

    Args:
        first_number: of its conversations and members.
    """

    def __init__(self, first_number: int) -> None:
        home = factories.create_hospital()
        self.tenant_id = home.tenant_id
        self.patients = [home.lin, home.wang, *(self._create_patient(number) for number in range(198))]
        self.doctors = [home.chen, home.zhou, *(self._create_doctor(number) for number in range(48))]
        self.consultations: list[Consultation] = []
        self.messages = 0
        self._numbers = count(first_number)

    def fill(self, total: int) -> None:
        """Insert conversations until there are at least `total` messages, and build the keys of messages."""
        characters = "".join(random.choices(COMMON_CHARACTERS, k=1_000))
        with _open_cursor() as cursor:
            _create_message_numbers(cursor)
            cursor.execute(f"ALTER TABLE messages {', '.join(f'DROP KEY {name}' for name in SECONDARY_KEYS)}")
            while self.messages < total:
                first, last = self._insert_conversations(cursor, total - self.messages)
                cursor.execute(INSERT_MESSAGES, {"first": first, "last": last, "characters": characters})
                cursor.execute(SET_TICKS, {"first": first, "last": last})
                cursor.execute(SET_COPIES, {"first": first, "last": last})
            keys = ", ".join(f"ADD UNIQUE KEY {name} {columns}" for name, columns in SECONDARY_KEYS.items())
            cursor.execute(f"ALTER TABLE messages {keys}")
            cursor.execute("ANALYZE TABLE messages, conversations, participants, consult_sessions, members")

    def _insert_conversations(self, cursor: Any, min_messages: int) -> tuple[int, int]:
        """Insert up to a batch of conversations with their participants; return the first and the last number."""
        related_rows: dict[str, list[tuple[Any, ...]]] = {
            one: [] for one in (INSERT_MEMBER, INSERT_CONVERSATION, INSERT_PARTICIPANT, INSERT_SESSION)
        }
        inserted = 0
        while inserted < min_messages and len(related_rows[INSERT_CONVERSATION]) < BATCH_CONVERSATIONS:
            inserted += self._add_conversation(next(self._numbers), related_rows)
        cursor.execute("START TRANSACTION")
        for statement, rows in related_rows.items():
            cursor.executemany(statement, rows)
        cursor.execute("COMMIT")
        self.messages += inserted
        conversations = related_rows[INSERT_CONVERSATION]
        return conversations[0][0], conversations[-1][0]

    def _add_conversation(self, number: int, related_rows: dict[str, list[tuple[Any, ...]]]) -> int:
        """Add the rows of a conversation, by statement, and return how many messages it has."""
        patient, doctor = random.choice(self.patients), random.choice(self.doctors)
        consultation = Consultation(ids.generate_public_id(), number, patient, doctor)
        created_at = clock.now() - random.randrange(10 * clock.DAY, YEAR)
        messages = min(MIN_MESSAGES + int(random.expovariate(1 / MEAN_EXTRA_MESSAGES)), MAX_MESSAGES)
        public_id, tenant_id = consultation.session_no.encode(), self.tenant_id
        tag, kind = ids.compute_tag(consultation.session_no, 0), ConversationKind.CONSULT
        name = "".join(random.choices(COMMON_CHARACTERS, k=3))
        related_rows[INSERT_MEMBER].append((number, tenant_id, patient.user_id, name, 9, created_at))
        related_rows[INSERT_CONVERSATION].append((number, tenant_id, public_id, kind, messages, tag, created_at))
        related_rows[INSERT_PARTICIPANT] += [
            (number, one.principal.encode(), tenant_id, messages, created_at) for one in (patient, doctor)
        ]
        related_rows[INSERT_SESSION].append((tenant_id, public_id, number, number, doctor.user_id, created_at))
        self.consultations.append(consultation)
        return messages

    def _create_patient(self, number: int) -> Person:
        return factories.create_patient(
            self.tenant_id, f"137{number:08d}", "".join(random.choices(COMMON_CHARACTERS, k=3))
        )

    def _create_doctor(self, number: int) -> Person:
        return factories.create_staff(
            self.tenant_id, f"136{number:08d}", "".join(random.choices(COMMON_CHARACTERS, k=3)), Role.DOCTOR
        )


@contextmanager
def _open_cursor() -> Iterator[Any]:
    connection = mysql._connect(STATEMENT_TIMEOUT_SECONDS)  # with the settings of the app's own connections
    with connection, connection.cursor() as cursor:
        yield cursor


def _create_message_numbers(cursor: Any) -> None:
    """Create a table with the numbers from 1 to MAX_MESSAGES."""
    cursor.execute("CREATE TEMPORARY TABLE message_numbers (seq INT PRIMARY KEY)")
    cursor.executemany("INSERT INTO message_numbers VALUES (%s)", [(seq,) for seq in range(1, MAX_MESSAGES + 1)])
