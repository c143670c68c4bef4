"""Identity documents of patient files, and which verified file has an identity.

Any number of self-declared files may have a document with the same number. A verified file owns the identities that its
documents prove: `patient_identities` has one file for each.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.people.documents import Document, IdType

TABLE_NAME = "patient_documents"


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of a patient file; `decrypt_number` returns its number."""

    tenant_id: int
    document_id: int
    pati_id: int
    id_type: IdType
    number_sealed: bytes
    number_blind: bytes
    identity_blind: bytes
    is_primary: bool
    is_verified: bool  # whether its file owns the identity: someone has seen the document
    created_by: int | None  # user_id of who entered it


def insert(tx: Tx, tenant_id: int, pati_id: int, document: Document, created_by: int | None, is_primary: bool) -> int:
    """Add a document to a file and return its document_id. Load the encryption keys before the transaction.

    Raises:
        mysql.DuplicateKeyError: key "document_of_file" if the file has this document, "primary_of_file" if it has a
            primary one.
    """
    document_id = tx.insert(
        """
        INSERT INTO patient_documents
            (tenant_id, pati_id, id_type, number_blind, identity_blind, is_primary, created_by, created_at)
        VALUES
            (%(tenant_id)s, %(pati_id)s, %(id_type)s, %(number_blind)s, %(identity_blind)s, %(is_primary)s,
             %(created_by)s, %(now)s)
        """,
        tenant_id=tenant_id,
        pati_id=pati_id,
        id_type=document.id_type,
        number_blind=document.number_blind,
        identity_blind=document.identity_blind,
        is_primary=1 if is_primary else None,
        created_by=created_by,
        now=clock.now(),
    )
    tx.execute(  # the ciphertext is bound to the row id, which is only known after the insert
        """
        UPDATE patient_documents SET number_sealed = %(number_sealed)s
        WHERE document_id = %(document_id)s AND tenant_id = %(tenant_id)s
        """,
        number_sealed=field_encryption.encrypt(tenant_id, TABLE_NAME, document_id, document.number),
        document_id=document_id,
        tenant_id=tenant_id,
    )
    return document_id


def list_of_patient(tx: Tx, tenant_id: int, pati_id: int) -> list[StoredDocument]:
    """Return the documents of a file, the primary one first, then in the order of their creation."""
    rows = tx.fetch_all(
        """
        SELECT d.tenant_id, d.document_id, d.pati_id, d.id_type, d.number_sealed, d.number_blind, d.identity_blind,
               d.is_primary IS NOT NULL AS is_primary, i.pati_id IS NOT NULL AS is_verified, d.created_by
        FROM patient_documents d
        LEFT JOIN patient_identities i ON i.pati_id = d.pati_id AND i.identity_blind = d.identity_blind
        WHERE d.pati_id = %(pati_id)s AND d.tenant_id = %(tenant_id)s ORDER BY d.is_primary DESC, d.document_id
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return [
        StoredDocument(
            **{
                **row,
                "id_type": IdType(row["id_type"]),
                "is_primary": bool(row["is_primary"]),
                "is_verified": bool(row["is_verified"]),
            }
        )
        for row in rows
    ]


def decrypt_number(document: StoredDocument) -> str:
    """Return the number of a document."""
    return field_encryption.decrypt(document.tenant_id, TABLE_NAME, document.document_id, document.number_sealed)


def delete(tx: Tx, tenant_id: int, document_id: int) -> None:
    """Delete a document. The identity that it proves stays with the file; see `release_identities`."""
    tx.execute(
        "DELETE FROM patient_documents WHERE document_id = %(document_id)s AND tenant_id = %(tenant_id)s",
        document_id=document_id,
        tenant_id=tenant_id,
    )


def make_primary(tx: Tx, tenant_id: int, pati_id: int, document_id: int | None) -> None:
    """Make one document of a file the primary one; None: none of them."""
    for sql in (
        "SET is_primary = NULL WHERE is_primary = 1 AND NOT document_id <=> %(document_id)s",
        "SET is_primary = 1 WHERE document_id = %(document_id)s",
    ):
        tx.execute(
            f"UPDATE patient_documents {sql} AND pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s",
            document_id=document_id,
            pati_id=pati_id,
            tenant_id=tenant_id,
        )


def ensure_primary(tx: Tx, tenant_id: int, pati_id: int) -> None:
    """Make the oldest document of a file the primary one if none is."""
    found = list_of_patient(tx, tenant_id, pati_id)
    if found and not found[0].is_primary:
        make_primary(tx, tenant_id, pati_id, found[0].document_id)


def find_verified_by_identity(tx: Tx, tenant_id: int, identity_blind: bytes) -> int | None:
    """Return the pati_id of the verified file that has an identity, or None."""
    pati_id: int | None = tx.fetch_value(
        """
        SELECT pati_id FROM patient_identities
        WHERE tenant_id = %(tenant_id)s AND identity_blind = %(identity_blind)s
        """,
        tenant_id=tenant_id,
        identity_blind=identity_blind,
    )
    return pati_id


def list_identities(tx: Tx, tenant_id: int, pati_id: int) -> list[bytes]:
    """Return the identities that a verified file owns."""
    rows = tx.fetch_all(
        """
        SELECT identity_blind FROM patient_identities
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s ORDER BY identity_blind
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return [row["identity_blind"] for row in rows]


def claim_identities(tx: Tx, tenant_id: int, pati_id: int, identities: Iterable[bytes]) -> None:
    """Let a verified file own identities; those that it owns already are left out.

    Raises:
        mysql.DuplicateKeyError: key "identity" if another verified file owns one of them.
    """
    owned = set(list_identities(tx, tenant_id, pati_id))
    for identity_blind in sorted(set(identities) - owned):  # a fixed order of locks prevents deadlocks
        tx.execute(
            """
            INSERT INTO patient_identities (tenant_id, identity_blind, pati_id)
            VALUES (%(tenant_id)s, %(identity_blind)s, %(pati_id)s)
            """,
            tenant_id=tenant_id,
            identity_blind=identity_blind,
            pati_id=pati_id,
        )


def release_identities(tx: Tx, tenant_id: int, pati_id: int) -> int:
    """Remove the identities that no document of the file proves any more; return how many it still owns."""
    tx.execute(
        """
        DELETE FROM patient_identities
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s AND identity_blind NOT IN (
            SELECT d.identity_blind FROM patient_documents d
            WHERE d.pati_id = %(pati_id)s AND d.tenant_id = %(tenant_id)s
        )
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return len(list_identities(tx, tenant_id, pati_id))


def add(
    tx: Tx, tenant_id: int, pati_id: int, document: Document, created_by: int | None, *, claim: bool = False
) -> int:
    """Add a document to a file unless the file has it, and return its document_id. The first one becomes primary.

    The caller has locked the file.

    Args:
        claim: let a verified file own the identity that the document proves, because someone has seen it.

    Raises:
        mysql.DuplicateKeyError: key "identity" if another verified file owns the identity.
    """
    if claim:
        claim_identities(tx, tenant_id, pati_id, [document.identity_blind])
    present = list_of_patient(tx, tenant_id, pati_id)
    for stored in present:
        if stored.number_blind == document.number_blind:
            return stored.document_id
    return insert(tx, tenant_id, pati_id, document, created_by, is_primary=not present)
