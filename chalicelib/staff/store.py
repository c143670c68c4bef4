"""SQL of groups, labels and the access log."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.people import double_submission
from chalicelib.people.patient_status import PatientStatus

MAX_LABELS_PER_TYPE = 10_000  # page size that returns all labels of one type


class AccessAction(StrEnum):
    """patient_access.action: what a member of staff did with a patient file."""

    READ = "read"
    CREATED = "filed"  # the word that the API publishes
    CHANGED = "changed"
    SEARCHED = "searched"  # all files of the hospital, as a doctor


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """A group or label."""

    label_id: int
    label_type: int
    name: str


@dataclass(frozen=True, slots=True)
class LabelCount:
    """A group or label with the number of its patients."""

    label_id: int
    name: str
    created_at: int
    user_name: str  # of the member of staff who created it, "" if unknown
    person_number: int


@dataclass(frozen=True, slots=True)
class LabelPage:
    """A page of labels with totals."""

    total_labels: int  # labels of this type
    total_patients: int  # of the tenant, with and without labels
    labels: list[LabelCount]


def list_labels(tx: Tx, tenant_id: int, label_type: int) -> list[LabelRecord]:
    """Return the labels of a type, in the order of creation."""
    rows = tx.fetch_all(
        """
        SELECT label_id, label_type, name FROM adm_group_label
        WHERE tenant_id = %(tenant_id)s AND label_type = %(label_type)s ORDER BY label_id
        """,
        tenant_id=tenant_id,
        label_type=label_type,
    )
    return [LabelRecord(**row) for row in rows]


def list_labels_with_counts(
    tx: Tx, tenant_id: int, label_type: int, newest_first: bool, limits: tuple[int, int]
) -> LabelPage:
    """Return a page of labels with the number of their patients, in one round trip.

    Args:
        limits: offset and number of the labels to return.
    """
    [label_total], [patient_total], rows = tx.execute_packet(
        f"""
        {LABEL_COUNT_SQL};
        {PATIENT_COUNT_SQL};
        {LABELS_WITH_COUNTS_SQL} ORDER BY l.label_id {"DESC" if newest_first else "ASC"} {LIMIT_SQL}
        """,
        tenant_id=tenant_id,
        merged=PatientStatus.MERGED,
        label_type=label_type,
        row_offset=limits[0],
        row_count=limits[1],
    )
    return LabelPage(label_total["n"], patient_total["n"], [LabelCount(**row) for row in rows])


LABEL_COUNT_SQL = """
    SELECT COUNT(*) AS n FROM adm_group_label WHERE tenant_id = %(tenant_id)s AND label_type = %(label_type)s
"""
PATIENT_COUNT_SQL = "SELECT COUNT(*) AS n FROM patients WHERE tenant_id = %(tenant_id)s AND status <> %(merged)s"
LABELS_WITH_COUNTS_SQL = """
    SELECT l.label_id, l.name, l.created_at, COALESCE(s.name, '') AS user_name, l.person_number
    FROM adm_group_label l LEFT JOIN staff s ON s.user_id = l.created_by
    WHERE l.tenant_id = %(tenant_id)s AND l.label_type = %(label_type)s
"""
LIMIT_SQL = "LIMIT %(row_offset)s, %(row_count)s"


def insert_label(
    tx: Tx, tenant_id: int, label_type: int, name: str, created_by: int, idempotency_key: str | None = None
) -> int:
    """Create a label and return its label_id.

    Raises:
        mysql.DuplicateKeyError: key "name" if the tenant has a label of this type and name, "idempotency_key" if the
            same person has created another one with this key.
    """
    return tx.insert(
        """
        INSERT INTO adm_group_label (tenant_id, label_type, name, created_by, created_at, idempotency_key)
        VALUES (%(tenant_id)s, %(label_type)s, %(name)s, %(created_by)s, %(now)s, %(idempotency_key)s)
        """,
        tenant_id=tenant_id,
        label_type=label_type,
        name=name,
        created_by=created_by,
        now=clock.now(),
        idempotency_key=idempotency_key.encode() if idempotency_key else None,
    )


def was_label_created_by(
    tx: Tx, tenant_id: int, label_type: int, name: str, created_by: int, idempotency_key: str | None
) -> bool:
    """Return whether a person has created the label with this key or, without a key, a moment ago."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM adm_group_label
        WHERE tenant_id = %(tenant_id)s AND label_type = %(label_type)s AND name = %(name)s
          AND created_by = %(created_by)s AND idempotency_key <=> %(idempotency_key)s
          AND (idempotency_key IS NOT NULL OR created_at > %(since)s)
        """,
        tenant_id=tenant_id,
        label_type=label_type,
        name=name,
        created_by=created_by,
        idempotency_key=idempotency_key.encode() if idempotency_key else None,
        since=clock.now() - double_submission.WINDOW,
    )
    return found is not None


def rename_label(tx: Tx, tenant_id: int, label_type: int, label_id: int, name: str) -> bool:
    """Rename a label; return False if the tenant has no such label of this type.

    Raises:
        mysql.DuplicateKeyError: key "name" if another label of this type has the name.
    """
    return bool(
        tx.execute(
            """
            UPDATE adm_group_label SET name = %(name)s
            WHERE label_id = %(label_id)s AND tenant_id = %(tenant_id)s AND label_type = %(label_type)s
            """,
            name=name,
            label_id=label_id,
            tenant_id=tenant_id,
            label_type=label_type,
        )
    )


def delete_label(tx: Tx, tenant_id: int, label_type: int, label_id: int) -> bool:
    """Delete a label and remove it from its patients; return False if the tenant has no such label of this type.

    The label is deleted first: a concurrent transaction that adds a patient to it waits for the label's row.
    """
    deleted = tx.execute(
        """
        DELETE FROM adm_group_label
        WHERE label_id = %(label_id)s AND tenant_id = %(tenant_id)s AND label_type = %(label_type)s
        """,
        label_id=label_id,
        tenant_id=tenant_id,
        label_type=label_type,
    )
    if deleted:
        tx.execute("DELETE FROM adm_pati_label_rela WHERE label_id = %(label_id)s", label_id=label_id)
    return bool(deleted)


def adjust_person_number(tx: Tx, tenant_id: int, label_type: int, label_id: int, change: int) -> bool:
    """Add `change` to the number of a label's patients; return False if the tenant has no such label of this type.

    The row lock prevents the label from being deleted before the commit.
    """
    return bool(
        tx.execute(
            """
            UPDATE adm_group_label SET person_number = person_number + %(change)s
            WHERE label_id = %(label_id)s AND tenant_id = %(tenant_id)s AND label_type = %(label_type)s
            """,
            change=change,
            label_id=label_id,
            tenant_id=tenant_id,
            label_type=label_type,
        )
    )


def insert_patient_label(tx: Tx, tenant_id: int, pati_id: int, label_id: int, is_group: bool) -> None:
    """Add a label, or the group, to a patient. A unique index allows one group per patient."""
    tx.execute(
        """
        INSERT INTO adm_pati_label_rela (label_id, pati_id, tenant_id, is_group)
        VALUES (%(label_id)s, %(pati_id)s, %(tenant_id)s, %(is_group)s)
        """,
        label_id=label_id,
        pati_id=pati_id,
        tenant_id=tenant_id,
        is_group=1 if is_group else None,
    )


def delete_patient_label(tx: Tx, pati_id: int, label_id: int) -> None:
    """Remove a label from a patient."""
    tx.execute(
        "DELETE FROM adm_pati_label_rela WHERE label_id = %(label_id)s AND pati_id = %(pati_id)s",
        label_id=label_id,
        pati_id=pati_id,
    )


def list_patient_labels(tx: Tx, pati_id: int) -> list[LabelRecord]:
    """Return the group and the labels of a patient, in the order of their creation."""
    rows = tx.fetch_all(
        """
        SELECT l.label_id, l.label_type, l.name
        FROM adm_pati_label_rela r JOIN adm_group_label l ON l.label_id = r.label_id
        WHERE r.pati_id = %(pati_id)s ORDER BY l.label_id
        """,
        pati_id=pati_id,
    )
    return [LabelRecord(**row) for row in rows]


def find_patient_of_member(tx: Tx, tenant_id: int, member_id: int, user_id: int | None) -> int | None:
    """Return the pati_id of a live member; None if there is no such member or it has no patient file.

    Args:
        user_id: the account that the member must belong to; None for any account.
    """
    pati_id: int | None = tx.fetch_value(
        """
        SELECT pati_id FROM members
        WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s AND live = 1
          AND (%(user_id)s IS NULL OR user_id = %(user_id)s)
        """,
        tenant_id=tenant_id,
        member_id=member_id,
        user_id=user_id,
    )
    return pati_id


def insert_access(
    tx: Tx,
    tenant_id: int,
    user_id: int,
    pati_id: int | None,
    action: AccessAction,
    reason: str = "",
    *,
    is_break_glass: bool = False,
    key_id: int | None = None,
) -> None:
    """Add an entry to the access log.

    Args:
        pati_id: None for a search.
        is_break_glass: the user may do this for a reason only.
        key_id: the internal key that acted for the user.
    """
    tx.execute(
        """
        INSERT INTO patient_access (tenant_id, user_id, key_id, pati_id, action, is_break_glass, reason, at)
        VALUES (%(tenant_id)s, %(user_id)s, %(key_id)s, %(pati_id)s, %(action)s, %(is_break_glass)s, %(reason)s,
                %(now)s)
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        key_id=key_id,
        pati_id=pati_id,
        action=action,
        is_break_glass=is_break_glass,
        reason=reason,
        now=clock.now(),
    )
