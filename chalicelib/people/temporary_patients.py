"""Temporary files (无名氏) of persons in an emergency who are not identified; merged into the person's file later."""

from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.people import double_submission, names, patients
from chalicelib.people.patient_status import PatientStatus
from chalicelib.people.patients import PatientDetails

NAME = "无名氏"  # followed by the pati_id


def create(
    tx: Tx,
    tenant_id: int,
    gender: int,
    birthday: date | None,
    description: str,
    created_by: int,
    idempotency_key: str | None,
) -> int:
    """Insert a temporary file and return its pati_id. Load the encryption keys before the transaction.

    Args:
        birthday: the first of January of an estimated year, None for an unknown one.
        description: what the person looks like, where they were found.

    Raises:
        mysql.DuplicateKeyError: key "idempotency_key" if the same person has created another file with this key.
    """
    details, status = PatientDetails(name=NAME, gender=gender, birthday=birthday, phone=""), PatientStatus.TEMPORARY
    pati_id = patients.insert_declared(
        tx, tenant_id, details, None, created_by, idempotency_key=idempotency_key, status=status
    )
    name = f"{NAME}{pati_id}"
    tx.execute(
        """
        UPDATE patients SET name = %(name)s, name_key = %(name_key)s, description = %(description)s
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s
        """,
        name=name,
        name_key=names.build_key(name),
        description=description,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return pati_id


def find_double_submission(
    tx: Tx, tenant_id: int, gender: int, birthday: date | None, description: str, created_by: int
) -> int | None:
    """Return the file that a person has just created with these details, or None.

    Lock the person before (double_submission.lock_sender).
    """
    pati_id: int | None = tx.fetch_value(
        """
        SELECT pati_id FROM patients
        WHERE tenant_id = %(tenant_id)s AND created_by = %(created_by)s AND status = %(temporary)s
          AND gender = %(gender)s AND birthday <=> %(birthday)s AND description = %(description)s
          AND created_at > %(since)s AND idempotency_key IS NULL
        ORDER BY pati_id DESC LIMIT 1
        """,
        tenant_id=tenant_id,
        created_by=created_by,
        temporary=PatientStatus.TEMPORARY,
        gender=gender,
        birthday=birthday,
        description=description,
        since=clock.now() - double_submission.WINDOW,
    )
    return pati_id
