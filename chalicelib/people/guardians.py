"""Guardians of children, stored with the child's file. A guardian needs no patient file."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.crypto import field_encryption
from chalicelib.people import phones
from chalicelib.people.documents import IdType

TABLE_NAME = "guardians"
SHOWN_TO_DOCTORS_BELOW_YEARS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardian:
    """Who consented for a child."""

    name: str
    id_type: IdType
    number: str  # as documents.normalize_number returns it
    phone: str  # as phone_numbers.normalize returns it
    cont_relation: int  # a members.Relation: what the guardian is to the child


def save(tx: Tx, tenant_id: int, pati_id: int, guardian: Guardian, changed_by: int | None) -> None:
    """Set the guardian of a child's file, who consents to the present privacy notice. Load the keys before."""
    tx.execute(
        """
        INSERT INTO guardians
            (tenant_id, pati_id, name, id_type, number_sealed, phone_sealed, cont_relation, consent_version,
             consented_at, changed_by, changed_at)
        SELECT %(tenant_id)s, %(pati_id)s, %(name)s, %(id_type)s, %(number_sealed)s, %(phone_sealed)s,
               %(cont_relation)s, COALESCE(MAX(n.version), 0), %(now)s, %(changed_by)s, %(now)s
        FROM privacy_notices n WHERE n.tenant_id = %(tenant_id)s
        ON DUPLICATE KEY UPDATE name = VALUES(name), id_type = VALUES(id_type), number_sealed = VALUES(number_sealed),
            phone_sealed = VALUES(phone_sealed), cont_relation = VALUES(cont_relation),
            consent_version = VALUES(consent_version), consented_at = VALUES(consented_at),
            changed_by = VALUES(changed_by), changed_at = VALUES(changed_at)
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
        name=guardian.name,
        id_type=guardian.id_type,
        number_sealed=field_encryption.encrypt(tenant_id, TABLE_NAME, pati_id, guardian.number),
        phone_sealed=phones.seal(tenant_id, TABLE_NAME, pati_id, guardian.phone),
        cont_relation=guardian.cont_relation,
        changed_by=changed_by,
        now=clock.now(),
    )


def find(tx: Tx, tenant_id: int, pati_id: int, entered_by: int | None = None) -> Guardian | None:
    """Return the guardian of a child's file, or None. Load the keys before a transaction.

    Args:
        entered_by: user_id; only a guardian whom this person has entered is returned.
    """
    row = tx.fetch_one(
        """
        SELECT name, id_type, number_sealed, phone_sealed, cont_relation FROM guardians
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s
          AND (%(entered_by)s IS NULL OR changed_by = %(entered_by)s)
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
        entered_by=entered_by,
    )
    return _parse(tenant_id, pati_id, row) if row else None


def move(tx: Tx, tenant_id: int, source: int, target: int) -> bool:
    """Move the guardian of one file to another that has none; return False if there is nothing to move.

    The ciphertexts are bound to the file, so they are made anew; the consent stays as it was given.
    """
    guardian = find(tx, tenant_id, source)
    if guardian is None or find(tx, tenant_id, target):
        return False
    tx.execute(
        """
        UPDATE guardians
        SET pati_id = %(target)s, number_sealed = %(number_sealed)s, phone_sealed = %(phone_sealed)s
        WHERE pati_id = %(source)s AND tenant_id = %(tenant_id)s
        """,
        source=source,
        target=target,
        tenant_id=tenant_id,
        number_sealed=field_encryption.encrypt(tenant_id, TABLE_NAME, target, guardian.number),
        phone_sealed=phones.seal(tenant_id, TABLE_NAME, target, guardian.phone),
    )
    return True


def decrypt_phone(tenant_id: int, pati_id: int, phone_sealed: bytes | None) -> str:
    """Return the phone from guardians.phone_sealed, "" for None."""
    return phones.unseal(tenant_id, TABLE_NAME, pati_id, phone_sealed)


def _parse(tenant_id: int, pati_id: int, row: Row) -> Guardian:
    return Guardian(
        name=row["name"],
        id_type=IdType(row["id_type"]),
        number=field_encryption.decrypt(tenant_id, TABLE_NAME, pati_id, row["number_sealed"]),
        phone=decrypt_phone(tenant_id, pati_id, row["phone_sealed"]),
        cont_relation=row["cont_relation"],
    )
