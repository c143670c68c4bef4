"""Groups, labels and who read which file, in MySQL. Nothing is decided here."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx

MAX_LABELS_PER_TYPE = 10_000  # labels of one type that a tenant could have


@dataclass(frozen=True, slots=True)
class LabelPage:
    total_labels: int  # labels of this type
    total_patients: int  # of the tenant, labelled or not
    labels: list[Row]


def list_labels(tx: Tx, tenant_id: int, label_type: int) -> list[Row]:
    """Return label_id and name, in the order of creation."""
    return tx.fetch_all(
        """
        SELECT label_id, name FROM adm_group_label
        WHERE tenant_id = %(tenant_id)s AND label_type = %(label_type)s ORDER BY label_id
        """,
        tenant_id=tenant_id,
        label_type=label_type,
    )


def list_labels_with_counts(
    tx: Tx, tenant_id: int, label_type: int, newest_first: bool, limits: tuple[int, int]
) -> LabelPage:
    """Return a page of labels (skipped, taken) with the patients under each, and the counts of all."""
    [total], [patients], found = tx.execute_packet(
        f"""
        {LABEL_COUNT_SQL};
        {PATIENT_COUNT_SQL};
        {LABELS_WITH_COUNTS_SQL} ORDER BY l.label_id {"DESC" if newest_first else "ASC"} {LIMIT_SQL}
        """,
        tenant_id=tenant_id,
        label_type=label_type,
        skipped=limits[0],
        taken=limits[1],
    )
    return LabelPage(total["n"], patients["n"], found)


LABEL_COUNT_SQL = """
    SELECT COUNT(*) AS n FROM adm_group_label WHERE tenant_id = %(tenant_id)s AND label_type = %(label_type)s
"""
PATIENT_COUNT_SQL = "SELECT COUNT(*) AS n FROM patients WHERE tenant_id = %(tenant_id)s"
LABELS_WITH_COUNTS_SQL = """
    SELECT l.label_id, l.name, l.created_at, COALESCE(s.name, '') AS user_name, l.person_number
    FROM adm_group_label l LEFT JOIN staff s ON s.user_id = l.created_by
    WHERE l.tenant_id = %(tenant_id)s AND l.label_type = %(label_type)s
"""
LIMIT_SQL = "LIMIT %(skipped)s, %(taken)s"


def insert_label(tx: Tx, tenant_id: int, label_type: int, name: str, created_by: int) -> int:
    """Raises mysql.DuplicateKeyError("name") where the tenant has one of this type and name."""
    return tx.insert(
        """
        INSERT INTO adm_group_label (tenant_id, label_type, name, created_by, created_at)
        VALUES (%(tenant_id)s, %(label_type)s, %(name)s, %(created_by)s, %(now)s)
        """,
        tenant_id=tenant_id,
        label_type=label_type,
        name=name,
        created_by=created_by,
        now=clock.now(),
    )


def rename_label(tx: Tx, tenant_id: int, label_type: int, label_id: int, name: str) -> bool:
    """False where there is no such label. Raises mysql.DuplicateKeyError("name") where another has the name."""
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
    """Delete it, then what hangs on it: who puts a patient under it meanwhile waits for its row. False if not there."""
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


def adjust_person_number(tx: Tx, tenant_id: int, label_type: int, label_id: int, more: int) -> bool:
    """Count patients more, or less, under a label, and keep it from being deleted before the commit.

    False where the tenant has no such label.
    """
    return bool(
        tx.execute(
            """
            UPDATE adm_group_label SET person_number = person_number + %(more)s
            WHERE label_id = %(label_id)s AND tenant_id = %(tenant_id)s AND label_type = %(label_type)s
            """,
            more=more,
            label_id=label_id,
            tenant_id=tenant_id,
            label_type=label_type,
        )
    )


def insert_patient_label(tx: Tx, tenant_id: int, pati_id: int, label_id: int, group: bool) -> None:
    tx.execute(
        """
        INSERT INTO adm_pati_label_rela (label_id, pati_id, tenant_id, is_group)
        VALUES (%(label_id)s, %(pati_id)s, %(tenant_id)s, %(is_group)s)
        """,
        label_id=label_id,
        pati_id=pati_id,
        tenant_id=tenant_id,
        is_group=1 if group else None,
    )


def delete_patient_label(tx: Tx, pati_id: int, label_id: int) -> None:
    tx.execute(
        "DELETE FROM adm_pati_label_rela WHERE label_id = %(label_id)s AND pati_id = %(pati_id)s",
        label_id=label_id,
        pati_id=pati_id,
    )


def list_patient_labels(tx: Tx, pati_id: int) -> list[Row]:
    """Return label_id, label_type and name of a patient's group and labels, in the order of creation."""
    return tx.fetch_all(
        """
        SELECT l.label_id, l.label_type, l.name
        FROM adm_pati_label_rela r JOIN adm_group_label l ON l.label_id = r.label_id
        WHERE r.pati_id = %(pati_id)s ORDER BY l.label_id
        """,
        pati_id=pati_id,
    )


def find_patient_of_member(tx: Tx, tenant_id: int, member_id: int, user_id: int | None) -> int | None:
    """Return a member's pati_id; None where there is none, or where a user_id is given and the member is another's."""
    found: int | None = tx.fetch_value(
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


def insert_access(tx: Tx, tenant_id: int, user_id: int, pati_id: int, action: str) -> None:
    tx.execute(
        """
        INSERT INTO patient_access (tenant_id, user_id, pati_id, action, at)
        VALUES (%(tenant_id)s, %(user_id)s, %(pati_id)s, %(action)s, %(now)s)
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        pati_id=pati_id,
        action=action,
        now=clock.now(),
    )
