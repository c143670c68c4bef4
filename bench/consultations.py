"""The participants of a benchmark: a doctor and a patient whose members each have a consultation."""

import random
from dataclasses import dataclass
from functools import partial

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.consult import store
from chalicelib.messaging import ids
from chalicelib.messaging import store as messaging
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import members, tenants
from chalicelib.people.roles import Role
from tests.support import factories
from tests.support.factories import Person

INITIAL_MESSAGES = 30  # of each consultation
# Texts are random common characters, so that a message has the size of Chinese text in UTF-8.
COMMON_CHARACTERS = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
)
MESSAGE_COLUMNS = (
    *("conversation_id", "seq", "tenant_id", "tick", "tag", "sender"),
    *("endpoint", "idempotency_key", "type", "content", "sent_at"),
)
INSERT_MESSAGE = (
    f"INSERT INTO messages ({', '.join(MESSAGE_COLUMNS)}) VALUES ({', '.join(['%s'] * len(MESSAGE_COLUMNS))})"
)


@dataclass(frozen=True)
class Consultation:
    """A consultation between the patient, for one member, and the doctor."""

    session_no: str
    conversation_id: int
    member_id: int


@dataclass(frozen=True)
class Participants:
    """A patient and a doctor of one tenant, and their consultations."""

    tenant_id: int
    patient: Person
    doctor: Person
    consultations: list[Consultation]


def create_participants(count: int) -> Participants:
    """Create a tenant with `count` consultations, each with INITIAL_MESSAGES messages."""
    tenant_id = mysql.run_transaction(lambda tx: tenants.create(tx, "仁和医院"))
    patient = factories.create_patient(tenant_id, "13800000001", "林小雨")
    doctor = factories.create_staff(tenant_id, "13900000001", "陈医生", Role.DOCTOR)
    participants = Participants(
        *(tenant_id, patient, doctor),
        [
            mysql.run_transaction(partial(_create_consultation, patient=patient, doctor=doctor, number=n))
            for n in range(count)
        ],
    )
    for consultation in participants.consultations:
        insert_messages(participants, consultation)
    return participants


def insert_messages(participants: Participants, consultation: Consultation) -> None:
    """Insert INITIAL_MESSAGES messages by both participants at random, all of them read."""
    now, tag = clock.now(), ids.compute_tag(consultation.session_no, 0)
    principals = (participants.patient.principal.encode(), participants.doctor.principal.encode())
    rows = [
        build_message_row(
            consultation.conversation_id,
            seq,
            participants.tenant_id,
            ids.compute_first_tick(now) - INITIAL_MESSAGES + seq,
            tag,
            principals,
        )
        for seq in range(1, INITIAL_MESSAGES + 1)
    ]
    connection = mysql._connect()  # with the settings of the app's own connections
    with connection, connection.cursor() as cursor:
        cursor.executemany(INSERT_MESSAGE, rows)
        cursor.execute(
            "UPDATE conversations SET last_seq = %s, last_tick = %s, prev_tick = %s WHERE conversation_id = %s",
            (INITIAL_MESSAGES, rows[-1][3], rows[-2][3], consultation.conversation_id),
        )
        cursor.execute(
            "UPDATE participants SET read_seq = %s WHERE conversation_id = %s",
            (INITIAL_MESSAGES, consultation.conversation_id),
        )


def build_message_row(
    conversation_id: int, seq: int, tenant_id: int, tick: int, tag: int, principals: tuple[bytes, bytes]
) -> tuple[object, ...]:
    """Return a row for INSERT_MESSAGE: a text of 5 to 60 characters by one of the principals, with a key."""
    side = random.getrandbits(1)
    return (
        *(conversation_id, seq, tenant_id, tick, tag, principals[side]),
        ("patient/send_text_msg", "doctor/send_text_msg")[side],
        f"{conversation_id}-{seq}".encode(),
        0,
        "".join(random.choices(COMMON_CHARACTERS, k=random.randint(5, 60))),
        (tick >> 12) * 1000,
    )


def _create_consultation(tx: Tx, patient: Person, doctor: Person, number: int) -> Consultation:
    now, session_no = clock.now(), ids.generate_public_id()
    member_id = members.add(tx, patient.tenant_id, patient.user_id, f"家人{number}", cont_relation=9)
    principals = [patient.principal, doctor.principal]
    conversation_id = messaging.create_conversation(
        tx, patient.tenant_id, session_no, ConversationKind.CONSULT, principals, now
    )
    store.insert(tx, patient.tenant_id, session_no, conversation_id, member_id, doctor.user_id, now)
    return Consultation(session_no, conversation_id, member_id)
