"""The lists that staff page through, in MySQL. Nothing is decided here.

Each returns how many there are, and the rows of one page, (skipped, taken). What is None or "" narrows nothing.
"""

from typing import Any

from chalicelib.adapters.mysql import Row, Tx

CountedRows = tuple[int, list[Row]]
OffsetAndLimit = tuple[int, int]


def list_patients(
    tx: Tx,
    tenant_id: int,
    *,
    name: str | None,
    phone: str,
    id_blind: bytes | None,
    label_id: int | None,
    limits: OffsetAndLimit,
) -> CountedRows:
    """Return files, the newest first; of those whose name begins so."""
    labelled = "JOIN adm_pati_label_rela r ON r.pati_id = p.pati_id AND r.label_id = %(label_id)s"
    return _fetch_page(
        tx,
        "p.pati_id, p.name, p.gender, p.birthday, p.phone, p.created_at",
        f"""
        patients p {labelled if label_id else ""}
        WHERE p.tenant_id = %(tenant_id)s
          {"AND p.name LIKE %(name)s" if name else ""}
          {"AND p.phone = %(phone)s" if phone else ""}
          {"AND p.id_type = '99' AND p.id_blind = %(id_blind)s" if id_blind else ""}
        """,
        "p.pati_id DESC",
        limits,
        tenant_id=tenant_id,
        name=_escape_like(name or "") + "%",
        phone=phone,
        id_blind=id_blind,
        label_id=label_id,
    )


def list_staff(tx: Tx, tenant_id: int, name: str | None, role: str | None, limits: OffsetAndLimit) -> CountedRows:
    """Return members of staff, the first made first; of those whose name contains it."""
    return _fetch_page(
        tx,
        "user_id, name, role, phone, disabled_at, created_at",
        f"""
        staff WHERE tenant_id = %(tenant_id)s
          {"AND name LIKE %(name)s" if name else ""} {"AND role = %(role)s" if role else ""}
        """,
        "user_id",
        limits,
        tenant_id=tenant_id,
        name=build_contains_pattern(name),
        role=role,
    )


def list_doctors(tx: Tx, tenant_id: int, name: str | None, limits: OffsetAndLimit) -> CountedRows:
    """Return the profiles of working doctors in the tenant's order; of those whose name contains it."""
    return _fetch_page(
        tx,
        """
        s.user_id, s.name, p.dept_id, p.duty_code, p.title, p.photo_key, p.expert, p.introduction, p.sort
        """,
        f"""
        doctors p JOIN staff s ON s.user_id = p.user_id AND s.role = 'doctor' AND s.disabled_at IS NULL
        WHERE p.tenant_id = %(tenant_id)s {"AND s.name LIKE %(name)s" if name else ""}
        """,
        "p.sort, p.user_id",
        limits,
        tenant_id=tenant_id,
        name=build_contains_pattern(name),
    )


def list_accesses(
    tx: Tx, tenant_id: int, pati_id: int | None, user_id: int | None, limits: OffsetAndLimit
) -> CountedRows:
    """Return who read or changed which file, the latest first."""
    return _fetch_page(
        tx,
        """
        a.entry_id, a.at, a.user_id, a.pati_id, a.action,
        (SELECT s.name FROM staff s WHERE s.user_id = a.user_id) AS user_name,
        (SELECT p.name FROM patients p WHERE p.pati_id = a.pati_id) AS pati_name
        """,
        f"""
        patient_access a WHERE a.tenant_id = %(tenant_id)s
          {"AND a.pati_id = %(pati_id)s" if pati_id else ""} {"AND a.user_id = %(user_id)s" if user_id else ""}
        """,
        "a.entry_id DESC",
        limits,
        tenant_id=tenant_id,
        pati_id=pati_id,
        user_id=user_id,
    )


def build_contains_pattern(part: str | None) -> str:
    """Return a LIKE pattern for what contains `part`."""
    return f"%{_escape_like(part or '')}%"


def _escape_like(part: str) -> str:
    """LIKE's own wildcards become plain letters."""
    return part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _fetch_page(tx: Tx, columns: str, rows: str, order: str, limits: OffsetAndLimit, **params: Any) -> CountedRows:
    [total], found = tx.execute_packet(
        f"SELECT COUNT(*) AS n FROM {rows}; SELECT {columns} FROM {rows} ORDER BY {order} LIMIT %(skipped)s, %(taken)s",
        skipped=limits[0],
        taken=limits[1],
        **params,
    )
    return total["n"], found
