"""Which patients are a doctor's own: the one condition by which doctors open files and write site messages.

A patient is a doctor's own if they have a consultation session with the doctor; a booking with the doctor that is not
cancelled; a booking of today in the general clinic of the doctor's department; or a file that the doctor has created
today. Consultations and bookings of every account that the patient's file belongs to count.
"""

from collections.abc import Collection
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Tx

# Each selects files of the doctor's own patients, from a table that is named `own` so that a condition on one file, or
# on the files of an account, can be added. All use an index both ways.
_OWN_PATIENTS_SQL = (
    """
    SELECT own.pati_id FROM members own JOIN consult_sessions s ON s.member_id = own.member_id
    WHERE own.tenant_id = %(tenant_id)s AND s.doctor_id = %(doctor_id)s AND own.pati_id IS NOT NULL
    """,
    """
    SELECT own.pati_id FROM bookings own
    WHERE own.tenant_id = %(tenant_id)s AND own.doctor_id = %(doctor_id)s AND own.live = 1
    """,
    """
    SELECT own.pati_id FROM bookings own
    WHERE own.tenant_id = %(tenant_id)s AND own.doctor_id IS NULL AND own.day = %(today)s AND own.live = 1
      AND own.dept_id = (
          SELECT d.dept_id FROM doctors d WHERE d.user_id = %(doctor_id)s AND d.tenant_id = %(tenant_id)s
      )
    """,
    """
    SELECT own.pati_id FROM patients own
    WHERE own.tenant_id = %(tenant_id)s AND own.created_by = %(doctor_id)s AND own.created_at >= %(midnight)s
    """,
)
LIST_SQL = " UNION ".join(_OWN_PATIENTS_SQL)
"""Selects the pati_id of each of a doctor's own patients, with the parameters of `build_params`."""


def build_params(tenant_id: int, doctor_id: int) -> dict[str, Any]:
    """Return the parameters of the statements of this module."""
    today = clock.today()
    return {
        "tenant_id": tenant_id,
        "doctor_id": doctor_id,
        "today": today,
        "midnight": clock.to_instant(today),
    }


def is_own(tx: Tx, tenant_id: int, doctor_id: int, pati_id: int) -> bool:
    """Return whether the patient with this file is the doctor's own."""
    found = tx.fetch_value(
        f"SELECT {_build_condition('%(pati_id)s')}", **build_params(tenant_id, doctor_id), pati_id=pati_id
    )
    return bool(found)


def list_own_account_ids(tx: Tx, tenant_id: int, doctor_id: int, user_ids: Collection[int]) -> set[int]:
    """Return those of the accounts that have a member who is the doctor's own patient."""
    rows = tx.fetch_all(
        f"""
        SELECT DISTINCT m.user_id FROM members m JOIN accounts a ON a.user_id = m.user_id AND a.closed_at IS NULL
        WHERE m.tenant_id = %(tenant_id)s AND m.user_id IN %(user_ids)s AND m.live = 1
          AND (EXISTS (
                  SELECT 1 FROM consult_sessions c WHERE c.member_id = m.member_id AND c.doctor_id = %(doctor_id)s
              ) OR {_build_condition("m.pati_id")})
        """,
        **build_params(tenant_id, doctor_id),
        user_ids=sorted(user_ids),
    )
    return {row["user_id"] for row in rows}


def _build_condition(pati_id: str) -> str:
    """Return the condition that the file which an SQL expression names is of one of the doctor's own patients."""
    return " OR ".join(f"EXISTS ({sql} AND own.pati_id = {pati_id})" for sql in _OWN_PATIENTS_SQL)
