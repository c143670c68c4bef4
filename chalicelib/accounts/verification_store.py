"""SQL of the claim that a member's self-declared file makes to a verified one."""

from dataclasses import dataclass

from chalicelib.adapters.mysql import Tx
from chalicelib.people import patient_documents
from chalicelib.people.patient_status import PROVES_OWNER_SQL, PatientStatus


@dataclass(frozen=True, slots=True)
class Claim:
    """A self-declared file and the verified file of the same identity and name."""

    declared_id: int
    verified_id: int
    verified_phone_blind: bytes | None  # the phone of the verified file
    has_confirmed_phone: bool  # whether a code to the verified file's phone proves anything
    has_phone_of_account: bool  # whether the verified file's phone proves that the account may have it


def find_claim(tx: Tx, tenant_id: int, member_id: int) -> Claim | None:
    """Return the claim of a live member, None if there is no verified file of this identity and name."""
    row = tx.fetch_one(
        f"""
        SELECT own.pati_id AS declared_id, p.pati_id AS verified_id, p.phone_blind,
               p.phone_unconfirmed_since IS NULL AS has_confirmed_phone, {PROVES_OWNER_SQL} AS has_phone_of_account
        FROM members m
        JOIN accounts a ON a.user_id = m.user_id
        JOIN patients own ON own.pati_id = m.pati_id AND own.status = %(declared)s
        JOIN patient_documents d ON d.pati_id = own.pati_id
        JOIN patient_identities i ON {patient_documents.build_same_identity_sql("d", "i")}
        JOIN patients p ON p.pati_id = i.pati_id AND p.name_key = own.name_key AND p.status = %(verified)s
        WHERE m.member_id = %(member_id)s AND m.tenant_id = %(tenant_id)s AND m.live = 1
        ORDER BY d.document_id, i.country = d.country DESC, p.pati_id LIMIT 1
        """,
        declared=PatientStatus.DECLARED,
        verified=PatientStatus.VERIFIED,
        member_id=member_id,
        tenant_id=tenant_id,
    )
    if row is None:
        return None
    proofs = bool(row["has_confirmed_phone"]), bool(row["has_phone_of_account"])
    return Claim(row["declared_id"], row["verified_id"], row["phone_blind"], *proofs)
