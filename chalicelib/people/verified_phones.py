"""The phones of verified files, to which codes are sent (patient_status.py)."""

from chalicelib.adapters.mysql import Tx
from chalicelib.people import patient_documents, patients, phones


def find_for_member(tx: Tx, tenant_id: int, member_id: int) -> str:
    """Return the phone of the verified file whose identity and name a member's self-declared file claims, "" for none.

    Left out are phones abroad, to which no SMS can be sent, and those that prove nothing: unconfirmed ones, and those
    of limited accounts.
    """
    row = tx.fetch_one(
        f"""
        SELECT verified.pati_id, verified.phone_sealed
        FROM members m
        JOIN patients own ON own.pati_id = m.pati_id AND own.tenant_id = m.tenant_id
        JOIN patient_documents claimed ON claimed.pati_id = m.pati_id AND claimed.tenant_id = m.tenant_id
        JOIN patient_identities identity ON {patient_documents.build_same_identity_sql("claimed", "identity")}
        JOIN patients verified
          ON verified.pati_id = identity.pati_id AND verified.tenant_id = identity.tenant_id
        WHERE m.member_id = %(member_id)s AND m.tenant_id = %(tenant_id)s AND m.live = 1
          AND verified.pati_id <> m.pati_id AND verified.name_key = own.name_key
          AND verified.phone_unconfirmed_since IS NULL
          AND NOT EXISTS (
            SELECT 1 FROM accounts limited
            WHERE limited.tenant_id = verified.tenant_id AND limited.phone_blind = verified.phone_blind
              AND limited.identity_locked_at IS NOT NULL
          )
        ORDER BY claimed.document_id, identity.country = claimed.country DESC, verified.pati_id LIMIT 1
        """,
        member_id=member_id,
        tenant_id=tenant_id,
    )
    if row is None:
        return ""
    phone = phones.unseal(tenant_id, patients.TABLE_NAME, row["pati_id"], row["phone_sealed"])
    return "" if phone.startswith("+") else phone
