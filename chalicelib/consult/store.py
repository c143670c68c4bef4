"""SQL of consultation sessions."""

from dataclasses import dataclass
from datetime import date

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.identity.callers import Role
from chalicelib.messaging import ids
from chalicelib.messaging.listings import ListState
from chalicelib.people import consents
from chalicelib.people.consents import ConsentStatus
from chalicelib.people.members import Relation


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session with what its lists and messages show of the member and the doctor."""

    session_no: str
    tenant_id: int
    member_id: int
    user_id: int  # the account that the member belongs to, 0 if it was removed
    member_name: str
    gender: int
    birthday: str  # yyyy-MM-dd, "" if unknown
    phone_sealed: str  # encrypted, in hexadecimal, "" for none; so also the guardian's
    member_photo_key: str
    pati_id: int  # 0 without a patient file
    patient_status: str  # a PatientStatus, "" without a patient file
    guardian_name: str  # "" for none
    guardian_phone_sealed: str
    doctor_id: int
    doctor_name: str
    duty_code: str
    doctor_photo_key: str
    created_at: int  # microseconds

    @property
    def creation_position(self) -> str:
        """Return the position in session lists while it has no messages, in the form of a message id."""
        return ids.encode(ids.compute_first_tick(self.created_at), ids.compute_tag(self.session_no, 0))


@dataclass(frozen=True, slots=True)
class MemberDoctorPair:
    """A member of an account and a doctor."""

    session_no: str  # of their session, "" if they have none yet
    birthday: date | None
    consents: ConsentStatus  # of the account


@dataclass(frozen=True, slots=True)
class UnreadReply:
    """Replies of a doctor that the patient has not read."""

    user_id: int  # the patient's account
    member_name: str
    doctor_name: str
    dept_name: str  # "" if the doctor has none
    sent_at: int  # of the last of them, in microseconds


_SESSION_COLUMNS = """
           s.session_no, s.tenant_id, s.member_id, IF(m.live = 1, m.user_id, 0) AS user_id, m.name AS member_name,
           m.gender, COALESCE(DATE_FORMAT(m.birthday, '%%Y-%%m-%%d'), '') AS birthday,
           COALESCE(HEX(m.phone_sealed), '') AS phone_sealed,
           IF(m.cont_relation = %(relation_self)s, a.photo_key, '') AS member_photo_key,
           COALESCE(m.pati_id, 0) AS pati_id, COALESCE(f.status, '') AS patient_status,
           COALESCE(g.name, '') AS guardian_name, COALESCE(HEX(g.phone_sealed), '') AS guardian_phone_sealed,
           s.doctor_id, d.name AS doctor_name, COALESCE(p.duty_code, '') AS duty_code,
           COALESCE(p.photo_key, '') AS doctor_photo_key, s.created_at
"""
_SESSION_JOINS = """
    JOIN members m ON m.member_id = s.member_id
    JOIN accounts a ON a.user_id = m.user_id
    JOIN staff d ON d.user_id = s.doctor_id
    LEFT JOIN doctors p ON p.user_id = s.doctor_id
    LEFT JOIN patients f ON f.pati_id = m.pati_id
    LEFT JOIN guardians g ON g.pati_id = m.pati_id
"""
SELECT_SESSION = f"SELECT {_SESSION_COLUMNS} FROM consult_sessions s {_SESSION_JOINS}"

MAX_EQUAL_TICKS = 10  # sessions of one doctor that may have been active at the same tick
# A doctor's visible sessions before a position: the first ones of each part of the list (messaging/listings.py), in the
# order of the index, merged. Those with the same tick are ordered by tag, which the index does not have, so that some
# more are read than a page has.
_FIRST_SESSIONS_SQL = " UNION ALL ".join(
    f"""
    (SELECT own.active_tick, c.tag, c.public_id
     FROM participants own FORCE INDEX (by_activity)
     STRAIGHT_JOIN conversations c ON c.conversation_id = own.conversation_id
     STRAIGHT_JOIN consult_sessions s ON s.session_no = c.public_id
     WHERE own.tenant_id = %(tenant_id)s AND own.principal = %(principal)s AND own.list_state = {int(state)}
       AND own.newest_seq > own.hidden_seq
       AND own.active_tick <= %(tick)s AND (own.active_tick < %(tick)s OR c.tag < %(tag)s)
     ORDER BY own.active_tick DESC LIMIT %(first)s)
    """
    for state in ListState
)
RECENT_SESSIONS_SQL = f"""
    SELECT {_SESSION_COLUMNS}
    FROM (
        SELECT merged.* FROM ({_FIRST_SESSIONS_SQL}) AS merged
        ORDER BY merged.active_tick DESC, merged.tag DESC LIMIT %(limit)s
    ) AS found
    STRAIGHT_JOIN consult_sessions s ON s.session_no = found.public_id
    {_SESSION_JOINS}
    ORDER BY found.active_tick DESC, found.tag DESC
"""

# For NewMessage.condition_sql: the conversation is the session of this member and this doctor.
SESSION_OF_PAIR = """
    AND EXISTS (SELECT 1 FROM consult_sessions s WHERE s.session_no = %(public_id)s
                AND s.member_id = %(member_id)s AND s.doctor_id = %(doctor_id)s)
"""


def find_pair(tx: Tx, tenant_id: int, user_id: int, member_id: int, doctor_id: int) -> MemberDoctorPair | None:
    """Return the session of a member and a doctor, and what decides whether they may have one.

    Returns:
        None if the account has no such live member or the tenant has no such doctor. A disabled doctor is found only if
        there is a session already.
    """
    row = tx.fetch_one(
        f"""
        SELECT s.session_no, m.birthday, {consents.CONSENT_COLUMNS}
        FROM members m
        JOIN staff d ON d.user_id = %(doctor_id)s AND d.tenant_id = m.tenant_id AND d.role = %(doctor)s
        LEFT JOIN consult_sessions s ON s.member_id = m.member_id AND s.doctor_id = d.user_id
        WHERE m.member_id = %(member_id)s AND m.user_id = %(user_id)s AND m.tenant_id = %(tenant_id)s AND m.live = 1
          AND (d.disabled_at IS NULL OR s.session_no IS NOT NULL)
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        member_id=member_id,
        doctor_id=doctor_id,
        doctor=Role.DOCTOR,
    )
    if row is None:
        return None
    session_no = row["session_no"].decode() if row["session_no"] else ""
    return MemberDoctorPair(session_no, row["birthday"], consents.parse_status(row))


def lock_member(tx: Tx, tenant_id: int, member_id: int) -> bool:
    """Prevent until the commit that a member is removed; return False if it has been."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM members
        WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s AND live = 1 LOCK IN SHARE MODE
        """,
        member_id=member_id,
        tenant_id=tenant_id,
    )
    return found is not None


def insert(
    tx: Tx, tenant_id: int, session_no: str, conversation_id: int, member_id: int, doctor_id: int, now: int
) -> None:
    """Insert a session.

    Raises:
        mysql.DuplicateKeyError: "member_and_doctor" if the two have one already.
    """
    tx.execute(
        """
        INSERT INTO consult_sessions (tenant_id, session_no, conversation_id, member_id, doctor_id, created_at)
        VALUES (%(tenant_id)s, %(session_no)s, %(conversation_id)s, %(member_id)s, %(doctor_id)s, %(now)s)
        """,
        tenant_id=tenant_id,
        session_no=session_no.encode(),
        conversation_id=conversation_id,
        member_id=member_id,
        doctor_id=doctor_id,
        now=now,
    )


def find_session(tx: Tx, session_no: str) -> SessionRecord | None:
    """Return a session of any tenant."""
    row = tx.fetch_one(
        f"{SELECT_SESSION} WHERE s.session_no = %(session_no)s",
        session_no=session_no.encode(),
        relation_self=Relation.SELF,
    )
    return _parse_session(row) if row else None


def find_unread_reply(
    tx: Tx, tenant_id: int, *, session_no: str, reader: str, sender: str, read_seq: int, own_after_read: int
) -> UnreadReply | None:
    """Return the sender's messages that the reader has not read.

    Args:
        read_seq, own_after_read: the reader's position when the first of them was sent.

    Returns:
        None if the reader has read or written since, or if all of them have been withdrawn.
    """
    row = tx.fetch_one(
        """
        SELECT m.user_id, m.name AS member_name, d.name AS doctor_name,
               COALESCE((SELECT t.name FROM doctors o JOIN departments t ON t.dept_id = o.dept_id
                         WHERE o.user_id = s.doctor_id), '') AS dept_name,
               (SELECT MAX(x.sent_at) FROM messages x
                WHERE x.conversation_id = s.conversation_id AND x.seq > p.read_seq AND x.sender = %(sender)s
                  AND x.withdrawn_at IS NULL) AS sent_at
        FROM consult_sessions s
        JOIN members m ON m.member_id = s.member_id
        JOIN staff d ON d.user_id = s.doctor_id
        JOIN participants p ON p.conversation_id = s.conversation_id AND p.principal = %(reader)s
        WHERE s.session_no = %(session_no)s AND s.tenant_id = %(tenant_id)s AND p.read_seq = %(read_seq)s
          AND p.own_after_read = %(own_after_read)s
        HAVING sent_at IS NOT NULL
        """,
        tenant_id=tenant_id,
        session_no=session_no.encode(),
        reader=reader.encode(),
        sender=sender.encode(),
        read_seq=read_seq,
        own_after_read=own_after_read,
    )
    return UnreadReply(**row) if row else None


def list_by_patient(tx: Tx, user_id: int, limit: int) -> list[SessionRecord]:
    """Return up to `limit` sessions of an account, unordered."""
    rows = tx.fetch_all(
        f"{SELECT_SESSION} WHERE m.user_id = %(user_id)s AND m.live = 1 LIMIT %(limit)s",
        user_id=user_id,
        limit=limit,
        relation_self=Relation.SELF,
    )
    return [_parse_session(row) for row in rows]


def list_by_doctor(tx: Tx, doctor_id: int, limit: int) -> list[SessionRecord]:
    """Return up to `limit` sessions of a doctor, unordered."""
    rows = tx.fetch_all(
        f"{SELECT_SESSION} WHERE s.doctor_id = %(doctor_id)s LIMIT %(limit)s",
        doctor_id=doctor_id,
        limit=limit,
        relation_self=Relation.SELF,
    )
    return [_parse_session(row) for row in rows]


def list_recent_by_doctor(
    tx: Tx, tenant_id: int, doctor_id: int, before: tuple[int, int], limit: int
) -> list[SessionRecord]:
    """Return a doctor's visible sessions by newest message, or creation for one without messages, latest first.

    Args:
        before: (tick, tag) of a message id; only sessions whose newest message or creation is older.
    """
    rows = tx.fetch_all(
        RECENT_SESSIONS_SQL,
        tenant_id=tenant_id,
        doctor_id=doctor_id,
        principal=f"user:{doctor_id}".encode(),
        tick=before[0],
        tag=before[1],
        limit=limit,
        first=limit + MAX_EQUAL_TICKS,
        relation_self=Relation.SELF,
    )
    return [_parse_session(row) for row in rows]


def _parse_session(row: Row) -> SessionRecord:
    fields: Row = {name: value.decode() if isinstance(value, bytes) else value for name, value in row.items()}
    return SessionRecord(**fields)
