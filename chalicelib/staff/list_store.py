"""SQL of the paged lists of patients, staff, doctors and accesses.

Each function returns the number of matching rows and one page of them. A filter that is None or "" matches everything.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.identity.callers import Role
from chalicelib.people import doctor_patients, doctors
from chalicelib.people.patient_status import PatientStatus

OffsetAndLimit = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PatientSummary:
    """A patient file as the list of patients shows it."""

    pati_id: int
    name: str
    gender: int
    birthday: date | None
    phone_sealed: bytes | None  # see people/patients.py
    status: PatientStatus
    created_at: int
    country: str  # of the document with the number that was searched, "" if unknown


@dataclass(frozen=True, slots=True)
class StaffSummary:
    """A member of staff as the list of staff shows them."""

    user_id: int
    name: str
    role: str
    phone_sealed: bytes
    disabled_at: int | None
    created_at: int
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class DoctorSummary:
    """A doctor with their public profile."""

    user_id: int
    name: str
    profile: doctors.Profile


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """An entry of the access log: a member of staff read or changed a patient file."""

    entry_id: int
    at: int
    user_id: int
    key_id: int | None  # the internal key that acted for the user
    pati_id: int | None  # None for a search
    action: str
    user_name: str
    pati_name: str  # "" for a search
    is_break_glass: bool
    reason: str


def list_patients(
    tx: Tx,
    tenant_id: int,
    *,
    name_key: str,
    phone_blind: bytes | None,
    identities: Collection[bytes] | None,
    pati_id: int | None,
    label_id: int | None,
    doctor_id: int | None,
    limits: OffsetAndLimit,
) -> tuple[int, list[PatientSummary]]:
    """Return files, newest first, without those that were merged into another.

    Args:
        name_key: the beginning of a name, as names.build_key returns it.
        identities: identity_blind of the documents that a number may be of; empty for a number of no document.
        doctor_id: the doctor whose own patients are listed, without files in storage; None for all files.
    """
    if identities is not None and not identities:
        return 0, []
    documented = """
        SELECT d.pati_id FROM patient_documents d
        WHERE d.tenant_id = %(tenant_id)s AND d.identity_blind IN %(identities)s
    """
    country = """
        (SELECT MAX(c.country) FROM patient_documents c
         WHERE c.pati_id = p.pati_id AND c.tenant_id = p.tenant_id AND c.identity_blind IN %(identities)s)
    """
    own = f"JOIN ({doctor_patients.LIST_SQL}) o ON o.pati_id = p.pati_id AND p.stored_at IS NULL"
    labelled = "JOIN adm_pati_label_rela r ON r.pati_id = p.pati_id AND r.label_id = %(label_id)s"
    total, rows = _fetch_page(
        tx,
        f"""
        p.pati_id, p.name, p.gender, p.birthday, p.phone_sealed, p.status, p.created_at,
        {country if identities else "''"} AS country
        """,
        f"""
        patients p {own if doctor_id else ""} {labelled if label_id else ""}
        WHERE p.tenant_id = %(tenant_id)s AND p.status <> %(merged)s
          {"AND p.name_key LIKE %(name)s" if name_key else ""}
          {"AND p.phone_blind = %(phone_blind)s" if phone_blind else ""}
          {f"AND p.pati_id IN ({documented})" if identities else ""}
          {"AND p.pati_id = %(pati_id)s" if pati_id else ""}
        """,
        "p.pati_id DESC",
        limits,
        **doctor_patients.build_params(tenant_id, doctor_id or 0),
        merged=PatientStatus.MERGED,
        name=_escape_like(name_key) + "%",
        phone_blind=phone_blind,
        identities=sorted(identities or ()),
        pati_id=pati_id,
        label_id=label_id,
    )
    return total, [PatientSummary(**{**row, "status": PatientStatus(row["status"])}) for row in rows]


def list_staff(
    tx: Tx, tenant_id: int, name: str | None, role: str | None, limits: OffsetAndLimit
) -> tuple[int, list[StaffSummary]]:
    """Return members of staff whose name contains `name`, in the order of creation."""
    total, rows = _fetch_page(
        tx,
        "user_id, name, role, phone_sealed, disabled_at, created_at, totp_sealed IS NOT NULL AS has_second_factor",
        f"""
        staff WHERE tenant_id = %(tenant_id)s
          {"AND name LIKE %(name)s" if name else ""} {"AND role = %(role)s" if role else ""}
        """,
        "user_id",
        limits,
        tenant_id=tenant_id,
        name=_build_contains_pattern(name),
        role=role,
    )
    return total, [StaffSummary(**row) for row in rows]


def list_doctors(tx: Tx, tenant_id: int, name: str | None, limits: OffsetAndLimit) -> tuple[int, list[DoctorSummary]]:
    """Return doctors who are not disabled and whose name contains `name`, in the tenant's order."""
    total, rows = _fetch_page(
        tx,
        """
        s.user_id, s.name, p.dept_id, p.duty_code, p.title, p.photo_key, p.expert, p.introduction, p.sort
        """,
        f"""
        doctors p JOIN staff s ON s.user_id = p.user_id AND s.role = %(doctor)s AND s.disabled_at IS NULL
        WHERE p.tenant_id = %(tenant_id)s {"AND s.name LIKE %(name)s" if name else ""}
        """,
        "p.sort, p.user_id",
        limits,
        tenant_id=tenant_id,
        name=_build_contains_pattern(name),
        doctor=Role.DOCTOR,
    )
    return total, [DoctorSummary(row["user_id"], row["name"], doctors.build_profile(row)) for row in rows]


def list_accesses(
    tx: Tx, tenant_id: int, pati_id: int | None, user_id: int | None, only_break_glass: bool, limits: OffsetAndLimit
) -> tuple[int, list[AccessEntry]]:
    """Return the entries of the access log, newest first."""
    total, rows = _fetch_page(
        tx,
        """
        a.entry_id, a.at, a.user_id, a.key_id, a.pati_id, a.action, a.is_break_glass, a.reason,
        (SELECT s.name FROM staff s WHERE s.user_id = a.user_id) AS user_name,
        COALESCE((SELECT p.name FROM patients p WHERE p.pati_id = a.pati_id), '') AS pati_name
        """,
        f"""
        patient_access a WHERE a.tenant_id = %(tenant_id)s
          {"AND a.pati_id = %(pati_id)s" if pati_id else ""} {"AND a.user_id = %(user_id)s" if user_id else ""}
          {"AND a.is_break_glass = TRUE" if only_break_glass else ""}
        """,
        "a.entry_id DESC",
        limits,
        tenant_id=tenant_id,
        pati_id=pati_id,
        user_id=user_id,
    )
    return total, [AccessEntry(**{**row, "is_break_glass": bool(row["is_break_glass"])}) for row in rows]


def _build_contains_pattern(part: str | None) -> str:
    """Return a LIKE pattern that matches texts which contain `part`."""
    return f"%{_escape_like(part or '')}%"


def _escape_like(text: str) -> str:
    """Escape the wildcards of LIKE."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _fetch_page(
    tx: Tx, columns: str, source: str, order: str, limits: OffsetAndLimit, **params: Any
) -> tuple[int, list[Row]]:
    """Count the rows of `source` and fetch a page of them, in one round trip."""
    [total], rows = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n FROM {source};
        SELECT {columns} FROM {source} ORDER BY {order} LIMIT %(row_offset)s, %(row_count)s
        """,
        row_offset=limits[0],
        row_count=limits[1],
        **params,
    )
    return total["n"], rows
