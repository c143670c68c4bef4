"""SQL of documents, identities, labels and visits, which move between two patient files that are merged or split.

The caller has locked both files.
"""

from collections.abc import Collection
from dataclasses import dataclass

from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import BookingStatus
from chalicelib.people.documents import Identity


@dataclass(frozen=True, slots=True)
class FileLabel:
    """A group or label of a patient file."""

    label_id: int
    is_group: bool


def take_from_storage(tx: Tx, tenant_id: int, pati_id: int) -> None:
    """Let a file be an ordinary one again, which an account has now."""
    tx.execute(
        "UPDATE patients SET stored_at = NULL WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s",
        pati_id=pati_id,
        tenant_id=tenant_id,
    )


def refresh_storage(tx: Tx, tenant_id: int, pati_ids: Collection[int]) -> None:
    """Put files into storage whose last account was closed, and take out those that an account has."""
    tx.execute(
        """
        UPDATE patients p SET p.stored_at = (
            SELECT IF(m.live IS NULL AND m.removed_at = a.closed_at, a.closed_at, NULL)
            FROM members m JOIN accounts a ON a.user_id = m.user_id
            WHERE m.pati_id = p.pati_id AND m.tenant_id = p.tenant_id
            ORDER BY m.live DESC, m.removed_at DESC LIMIT 1)
        WHERE p.tenant_id = %(tenant_id)s AND p.pati_id IN %(pati_ids)s
        """,
        tenant_id=tenant_id,
        pati_ids=pati_ids,
    )


def refresh_latest_visits(tx: Tx, tenant_id: int, pati_ids: Collection[int]) -> None:
    """Set the latest registered visit of files from their bookings."""
    tx.execute(
        """
        UPDATE patients p SET p.trea_id = (
            SELECT b.book_id FROM bookings b
            WHERE b.tenant_id = p.tenant_id AND b.pati_id = p.pati_id AND b.status = %(registered)s
            ORDER BY b.changed_at DESC, b.book_id DESC LIMIT 1)
        WHERE p.tenant_id = %(tenant_id)s AND p.pati_id IN %(pati_ids)s
        """,
        tenant_id=tenant_id,
        pati_ids=pati_ids,
        registered=BookingStatus.REGISTERED,
    )


def move_documents(
    tx: Tx,
    tenant_id: int,
    document_ids: Collection[int],
    sources: Collection[int],
    target: int,
    primary_id: int | None,
) -> None:
    """Give documents of some files to another, where one of them becomes the primary one; None: none of them."""
    if not document_ids:
        return
    tx.execute(
        """
        UPDATE patient_documents
        SET pati_id = %(target)s, is_primary = IF(document_id <=> %(primary_id)s, 1, NULL)
        WHERE document_id IN %(document_ids)s AND pati_id IN %(sources)s AND tenant_id = %(tenant_id)s
        """,
        target=target,
        primary_id=primary_id,
        document_ids=document_ids,
        sources=sources,
        tenant_id=tenant_id,
    )


def move_identities(tx: Tx, tenant_id: int, identities: Collection[Identity], source: int, target: int) -> None:
    """Let another file own identities of a verified file; one whose country was unknown, with what is known now."""
    if not identities:
        return
    tx.execute(
        """
        UPDATE patient_identities SET pati_id = %(target)s
        WHERE tenant_id = %(tenant_id)s AND pati_id = %(source)s
          AND ((identity_blind, country) IN %(identities)s OR identity_blind IN %(without_country)s)
        """,
        target=target,
        tenant_id=tenant_id,
        identities=[tuple(one) for one in identities],
        without_country=[one.blind for one in identities if not one.country] or [b""],
        source=source,
    )


def list_labels(tx: Tx, tenant_id: int, pati_id: int) -> list[FileLabel]:
    """Return the group and the labels of a file."""
    rows = tx.fetch_all(
        """
        SELECT label_id, is_group IS NOT NULL AS is_group FROM adm_pati_label_rela
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s ORDER BY label_id
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return [FileLabel(row["label_id"], bool(row["is_group"])) for row in rows]


def move_labels(tx: Tx, tenant_id: int, label_ids: Collection[int], source: int, target: int) -> None:
    """Give group and labels of one file to another that has none of them, and no group if there is one among them."""
    if not label_ids:
        return
    tx.execute(
        """
        UPDATE adm_pati_label_rela SET pati_id = %(target)s
        WHERE label_id IN %(label_ids)s AND pati_id = %(source)s AND tenant_id = %(tenant_id)s
        """,
        target=target,
        label_ids=label_ids,
        source=source,
        tenant_id=tenant_id,
    )


def drop_labels(tx: Tx, tenant_id: int, label_ids: Collection[int], pati_id: int) -> None:
    """Remove labels from a file, and count them."""
    for label_id in sorted(label_ids):  # a fixed order of locks prevents deadlocks
        _adjust_person_number(tx, tenant_id, label_id, -1)
        tx.execute(
            """
            DELETE FROM adm_pati_label_rela
            WHERE label_id = %(label_id)s AND pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s
            """,
            label_id=label_id,
            pati_id=pati_id,
            tenant_id=tenant_id,
        )


def add_labels(tx: Tx, tenant_id: int, labels: Collection[FileLabel], pati_id: int) -> None:
    """Give labels to a file that has none of them, and count them. Labels that were deleted are left out."""
    for label in sorted(labels, key=lambda one: one.label_id):
        if _adjust_person_number(tx, tenant_id, label.label_id, 1):
            tx.execute(
                """
                INSERT INTO adm_pati_label_rela (label_id, pati_id, tenant_id, is_group)
                VALUES (%(label_id)s, %(pati_id)s, %(tenant_id)s, %(is_group)s)
                """,
                label_id=label.label_id,
                pati_id=pati_id,
                tenant_id=tenant_id,
                is_group=1 if label.is_group else None,
            )


def _adjust_person_number(tx: Tx, tenant_id: int, label_id: int, change: int) -> bool:
    """Add `change` to the number of a label's patients; return False if the tenant has no such label."""
    adjusted = tx.execute(
        """
        UPDATE adm_group_label SET person_number = person_number + %(change)s
        WHERE label_id = %(label_id)s AND tenant_id = %(tenant_id)s
        """,
        change=change,
        label_id=label_id,
        tenant_id=tenant_id,
    )
    return adjusted == 1
