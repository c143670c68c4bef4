"""Identity documents of patient files, and which verified file has an identity.

Any number of self-declared files may have a document with the same number. A verified file owns the identities that its
documents prove: `patient_identities` has one file for each. Identities with one number and different countries are two;
one without a country may be either, so no other file owns it beside them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.people import names
from chalicelib.people.documents import Document, Identity, IdType

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
    country: str  # that issued it, "" if unknown
    is_primary: bool
    is_verified: bool  # whether its file owns the identity: someone has seen the document
    created_by: int | None  # user_id of who entered it

    @property
    def identity(self) -> Identity:
        """The identity that the document proves."""
        return Identity(self.identity_blind, self.country)

    def is_document(self, document: Document) -> bool:
        """Return whether this is the named document, whose country may not be given."""
        return self.number_blind == document.number_blind and document.country in ("", self.country)


def build_same_identity_sql(one: str, other: str) -> str:
    """Return the condition that rows of two tables, which are named so, may have the same identity."""
    return (
        f"({other}.tenant_id = {one}.tenant_id AND {other}.identity_blind = {one}.identity_blind"
        f" AND ({other}.country = {one}.country OR '' IN ({other}.country, {one}.country)))"
    )


def insert(tx: Tx, tenant_id: int, pati_id: int, document: Document, created_by: int | None, is_primary: bool) -> int:
    """Add a document to a file and return its document_id. Load the encryption keys before the transaction.

    Raises:
        mysql.DuplicateKeyError: key "document_of_file" if the file has this document, "primary_of_file" if it has a
            primary one.
    """
    document_id = tx.insert(
        """
        INSERT INTO patient_documents
            (tenant_id, pati_id, id_type, number_blind, identity_blind, country, is_primary, created_by, created_at)
        VALUES
            (%(tenant_id)s, %(pati_id)s, %(id_type)s, %(number_blind)s, %(identity_blind)s, %(country)s, %(is_primary)s,
             %(created_by)s, %(now)s)
        """,
        tenant_id=tenant_id,
        pati_id=pati_id,
        id_type=document.id_type,
        number_blind=document.number_blind,
        identity_blind=document.identity_blind,
        country=document.country,
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
        f"""
        SELECT d.tenant_id, d.document_id, d.pati_id, d.id_type, d.number_sealed, d.number_blind, d.identity_blind,
               d.country, d.is_primary IS NOT NULL AS is_primary, d.created_by, EXISTS (
                   SELECT 1 FROM patient_identities i
                   WHERE i.pati_id = d.pati_id AND {build_same_identity_sql("d", "i")}
               ) AS is_verified
        FROM patient_documents d
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


def find_verified_by_identity(tx: Tx, tenant_id: int, identity: Identity, name: str = "") -> int | None:
    """Return the pati_id of the verified file that has an identity, or None.

    Args:
        name: of the person; it decides if there are several files, because the country is unknown.
    """
    pati_id: int | None = tx.fetch_value(
        """
        SELECT i.pati_id FROM patient_identities i JOIN patients p ON p.pati_id = i.pati_id
        WHERE i.tenant_id = %(tenant_id)s AND i.identity_blind = %(blind)s
          AND (i.country = %(country)s OR '' IN (i.country, %(country)s))
        ORDER BY i.country = %(country)s DESC, p.name_key = %(name_key)s DESC, i.pati_id LIMIT 1
        """,
        tenant_id=tenant_id,
        **identity._asdict(),
        name_key=names.build_key(name),
    )
    return pati_id


def list_identities(tx: Tx, tenant_id: int, pati_id: int) -> list[Identity]:
    """Return the identities that a verified file owns."""
    rows = tx.fetch_all(
        """
        SELECT identity_blind, country FROM patient_identities
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s ORDER BY identity_blind, country
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return [Identity(row["identity_blind"], row["country"]) for row in rows]


def owns(tx: Tx, tenant_id: int, pati_id: int, identity: Identity) -> bool:
    """Return whether a verified file owns an identity, perhaps with another knowledge of its country."""
    return any(one.may_be(identity) for one in list_identities(tx, tenant_id, pati_id))


def claim_identities(tx: Tx, tenant_id: int, pati_id: int, identities: Iterable[Identity]) -> None:
    """Let a verified file own identities. One that it owns without a country gets it.

    Raises:
        mysql.DuplicateKeyError: key "identity" if another verified file owns one of them.
    """
    for identity in sorted(set(identities)):  # a fixed order of locks prevents deadlocks
        _lock_identity(tx, tenant_id, identity)
        rows = tx.fetch_all(
            """
            SELECT pati_id, country FROM patient_identities
            WHERE tenant_id = %(tenant_id)s AND identity_blind = %(blind)s
            """,
            tenant_id=tenant_id,
            blind=identity.blind,
        )
        own = [row["country"] for row in rows if row["pati_id"] == pati_id]
        if identity.country in own or (own and not identity.country):
            continue
        owners = {row["pati_id"] for row in rows if identity.may_be(Identity(identity.blind, row["country"]))}
        if owners - {pati_id}:
            raise mysql.DuplicateKeyError("identity")
        _own(tx, tenant_id, pati_id, identity, is_known="" in own)


def _lock_identity(tx: Tx, tenant_id: int, identity: Identity) -> None:
    """Let those who claim an identity wait for each other: no unique index compares one without a country to others."""
    tx.execute(
        """
        INSERT INTO claimed_identities (tenant_id, identity_blind) VALUES (%(tenant_id)s, %(blind)s)
        ON DUPLICATE KEY UPDATE identity_blind = %(blind)s
        """,
        tenant_id=tenant_id,
        blind=identity.blind,
    )


def _own(tx: Tx, tenant_id: int, pati_id: int, identity: Identity, *, is_known: bool) -> None:
    """Let a file own an identity, or have the country of one that is known without it."""
    update = """
        UPDATE patient_identities SET country = %(country)s
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s AND identity_blind = %(blind)s AND country = ''
    """
    insert = """
        INSERT INTO patient_identities (tenant_id, identity_blind, country, pati_id)
        VALUES (%(tenant_id)s, %(blind)s, %(country)s, %(pati_id)s)
    """
    tx.execute(update if is_known else insert, tenant_id=tenant_id, pati_id=pati_id, **identity._asdict())


def release_identities(tx: Tx, tenant_id: int, pati_id: int) -> int:
    """Remove the identities that no document of the file proves any more; return how many it still owns."""
    tx.execute(
        f"""
        DELETE i FROM patient_identities i
        WHERE i.pati_id = %(pati_id)s AND i.tenant_id = %(tenant_id)s AND NOT EXISTS (
            SELECT 1 FROM patient_documents d
            WHERE d.pati_id = %(pati_id)s AND d.tenant_id = %(tenant_id)s AND {build_same_identity_sql("i", "d")}
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

    A document that the file has without a country gets it. The caller has locked the file.

    Args:
        claim: let a verified file own the identity that the document proves, because someone has seen it.

    Raises:
        mysql.DuplicateKeyError: key "identity" if another verified file owns the identity.
    """
    if claim:
        claim_identities(tx, tenant_id, pati_id, [document.identity])
    present = list_of_patient(tx, tenant_id, pati_id)
    same = [one for one in present if one.number_blind == document.number_blind]
    for stored in same:
        if stored.is_document(document):
            return stored.document_id
    for stored in same:
        if not stored.country:
            _set_country(tx, tenant_id, stored.document_id, document.country)
            return stored.document_id
    return insert(tx, tenant_id, pati_id, document, created_by, is_primary=not present)


def _set_country(tx: Tx, tenant_id: int, document_id: int, country: str) -> None:
    tx.execute(
        """
        UPDATE patient_documents SET country = %(country)s
        WHERE document_id = %(document_id)s AND tenant_id = %(tenant_id)s
        """,
        country=country,
        document_id=document_id,
        tenant_id=tenant_id,
    )
