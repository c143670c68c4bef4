"""SQL of what the front desk sees of patient files beside their content."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Literal

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.audit.audit_log import AuditAction
from chalicelib.people import double_submission, patient_documents
from chalicelib.people.patient_status import PatientStatus
from chalicelib.people.patients import Patient

MAX_CANDIDATES = 50
Similarity = Literal["identity", "name_and_birthday", "phone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Another file that may be of the same person."""

    pati_id: int
    name: str
    gender: int
    birthday: date | None
    phone_sealed: bytes | None  # see patients.py
    created_at: int
    status: PatientStatus
    same: list[Similarity]


def list_candidates(tx: Tx, patient: Patient) -> list[Candidate]:
    """Return other files with an identity, with name and birthday, or with the phone of a file; verified ones first.

    Merged files are left out. At most MAX_CANDIDATES, because a phone may be that of an institution.
    """
    rows = tx.fetch_all(
        f"""
        SELECT p.pati_id, p.name, p.gender, p.birthday, p.phone_sealed, p.created_at, p.status,
               f.same_identity, f.same_name, f.same_phone
        FROM (
            SELECT x.pati_id, MAX(x.identity) AS same_identity, MAX(x.name) AS same_name, MAX(x.phone) AS same_phone
            FROM (
                SELECT o.pati_id, 1 AS identity, 0 AS name, 0 AS phone
                FROM patient_documents d
                JOIN patient_documents o ON {patient_documents.build_same_identity_sql("d", "o")}
                WHERE d.pati_id = %(pati_id)s AND d.tenant_id = %(tenant_id)s
                UNION ALL
                SELECT o.pati_id, 0, 1, 0 FROM patients p
                JOIN patients o ON o.tenant_id = p.tenant_id AND o.name_key = p.name_key AND o.birthday = p.birthday
                WHERE p.pati_id = %(pati_id)s AND p.tenant_id = %(tenant_id)s
                UNION ALL
                SELECT o.pati_id, 0, 0, 1 FROM patients p
                JOIN patients o ON o.tenant_id = p.tenant_id AND o.phone_blind = p.phone_blind
                WHERE p.pati_id = %(pati_id)s AND p.tenant_id = %(tenant_id)s
            ) x GROUP BY x.pati_id
        ) f
        JOIN patients p ON p.pati_id = f.pati_id AND p.status <> %(merged)s AND p.pati_id <> %(pati_id)s
        ORDER BY p.status = %(verified)s DESC, f.same_identity DESC, f.same_name DESC, p.pati_id
        LIMIT %(limit)s
        """,
        pati_id=patient.pati_id,
        tenant_id=patient.tenant_id,
        merged=PatientStatus.MERGED,
        verified=PatientStatus.VERIFIED,
        limit=MAX_CANDIDATES,
    )
    return [_parse_candidate(row) for row in rows]


def list_names(tx: Tx, tenant_id: int, user_ids: Collection[int]) -> dict[int, str]:
    """Return the names of members of staff, and "患者" for patients' accounts, by user_id."""
    if not user_ids:
        return {}
    rows = tx.fetch_all(
        """
        SELECT p.user_id, COALESCE(s.name, '患者') AS name
        FROM people p LEFT JOIN staff s ON s.user_id = p.user_id
        WHERE p.user_id IN %(user_ids)s AND p.tenant_id = %(tenant_id)s
        """,
        user_ids=user_ids,
        tenant_id=tenant_id,
    )
    return {row["user_id"]: row["name"] for row in rows}


def has_just_done(tx: Tx, tenant_id: int, actor: str, action: AuditAction, subject: str) -> bool:
    """Return whether a person has done this to the same subject a moment ago, so that a request is a double click."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM audit_log
        WHERE tenant_id = %(tenant_id)s AND actor = %(actor)s AND action = %(action)s AND subject = %(subject)s
          AND at > %(since)s LIMIT 1
        """,
        tenant_id=tenant_id,
        actor=actor.encode(),
        action=action,
        subject=subject.encode(),
        since=clock.now() - double_submission.WINDOW,
    )
    return found is not None


def find_member_file(tx: Tx, tenant_id: int, member_id: int) -> tuple[int | None, bool] | None:
    """Return the pati_id of a member of any account and whether the member is live, None if there is no such member."""
    row = tx.fetch_one(
        """
        SELECT pati_id, live IS NOT NULL AS is_live FROM members
        WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s
        """,
        member_id=member_id,
        tenant_id=tenant_id,
    )
    return (row["pati_id"], bool(row["is_live"])) if row else None


def _parse_candidate(row: Row) -> Candidate:
    flags: dict[Similarity, int] = {
        "identity": row.pop("same_identity"),
        "name_and_birthday": row.pop("same_name"),
        "phone": row.pop("same_phone"),
    }
    same = [name for name, is_same in flags.items() if is_same]
    return Candidate(**{**row, "status": PatientStatus(row["status"]), "same": same})
