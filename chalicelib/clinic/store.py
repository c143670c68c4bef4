"""The staff's side in MySQL. Nothing is decided here."""

from chalicelib.adapters.mysql import Tx


def patient_of_member(tx: Tx, tenant_id: int, member_id: int, user_id: int | None) -> int | None:
    """Return a member's pati_id; None where there is none, or where a user_id is given and the member is another's."""
    found: int | None = tx.value(
        """
        SELECT pati_id FROM members
        WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s
          AND (%(user_id)s IS NULL OR user_id = %(user_id)s)
        """,
        tenant_id=tenant_id,
        member_id=member_id,
        user_id=user_id,
    )
    return found
