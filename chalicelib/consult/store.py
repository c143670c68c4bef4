"""Consultations in MySQL. Nothing is decided here."""

from chalicelib.adapters.mysql import Row, Tx


def find_pair(tx: Tx, tenant_id: int, user_id: int, member_id: int, doctor_id: int) -> str | None:
    """Return the session_no of a member and a doctor, "" if they have none yet.

    None unless the member is the account's own and the doctor works for the tenant.
    """
    row = tx.one(
        """
        SELECT s.session_no
        FROM members m
        JOIN staff d ON d.user_id = %(doctor_id)s AND d.tenant_id = m.tenant_id
                    AND d.role = 'doctor' AND d.disabled_at IS NULL
        LEFT JOIN consult_sessions s ON s.member_id = m.member_id AND s.doctor_id = d.user_id
        WHERE m.member_id = %(member_id)s AND m.user_id = %(user_id)s AND m.tenant_id = %(tenant_id)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        member_id=member_id,
        doctor_id=doctor_id,
    )
    if row is None:
        return None
    return row["session_no"].decode() if row["session_no"] else ""


def insert(
    tx: Tx, tenant_id: int, session_no: str, conversation_id: int, member_id: int, doctor_id: int, now: int
) -> None:
    """Raises mysql.Duplicate("pair") where the two have a session already."""
    tx.run(
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


def find_card(tx: Tx, session_no: str) -> Row | None:
    """Return the fields of a Card, whoever asks."""
    row = tx.one(
        """
        SELECT s.tenant_id, s.member_id, m.user_id, s.doctor_id, d.name AS doctor_name,
               COALESCE(p.photo_key, '') AS photo_key
        FROM consult_sessions s
        JOIN members m ON m.member_id = s.member_id
        JOIN staff d ON d.user_id = s.doctor_id
        LEFT JOIN doctors p ON p.user_id = s.doctor_id
        WHERE s.session_no = %(session_no)s
        """,
        session_no=session_no.encode(),
    )
    return {**row, "photo_key": bytes(row["photo_key"]).decode()} if row else None
