"""SQL of consultations of closed accounts."""

from dataclasses import dataclass

from chalicelib.adapters.mysql import Row, Tx

MAX_SESSIONS = 300  # of one patient file


@dataclass(frozen=True, slots=True)
class StoredSessionRecord:
    """A consultation of a member whose account is closed. Times are in microseconds."""

    session_no: str
    conversation_id: int
    member_id: int
    pati_id: int | None
    member_name: str
    doctor_id: int
    doctor_name: str
    created_at: int
    closed_at: int


def list_sessions(tx: Tx, tenant_id: int, pati_id: int | None, session_no: str) -> list[StoredSessionRecord]:
    """Return the consultations of closed accounts, the last created first.

    Args:
        pati_id: the patient file that they are about; None for the one with this session_no.
    """
    rows = tx.fetch_all(
        f"""
        SELECT s.session_no, s.conversation_id, s.member_id, m.pati_id, m.name AS member_name, s.doctor_id,
               d.name AS doctor_name, s.created_at, a.closed_at
        FROM members m
        JOIN accounts a ON a.user_id = m.user_id AND a.closed_at IS NOT NULL
        JOIN consult_sessions s ON s.member_id = m.member_id
        JOIN staff d ON d.user_id = s.doctor_id
        WHERE s.tenant_id = %(tenant_id)s AND m.tenant_id = %(tenant_id)s
          AND {"m.pati_id = %(pati_id)s" if pati_id else "s.session_no = %(session_no)s"}
        ORDER BY s.session_id DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        pati_id=pati_id,
        session_no=session_no.encode(),
        limit=MAX_SESSIONS,
    )
    return [_build_session(row) for row in rows]


def _build_session(row: Row) -> StoredSessionRecord:
    return StoredSessionRecord(**{**row, "session_no": row["session_no"].decode()})
