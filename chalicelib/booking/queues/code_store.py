"""SQL of the codes by which patients check in."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCode:
    """The code of a department."""

    code: str
    changed_by: int
    changed_at: int


def find(tx: Tx, tenant_id: int, dept_id: int) -> StoredCode | None:
    """Return the code of a department, or None."""
    row = tx.fetch_one(
        """
        SELECT code, changed_by, changed_at FROM checkin_codes
        WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s
        """,
        dept_id=dept_id,
        tenant_id=tenant_id,
    )
    return StoredCode(**row) if row else None


def save(tx: Tx, tenant_id: int, dept_id: int, code: str, user_id: int) -> None:
    """Give a department another code."""
    tx.execute(
        """
        INSERT INTO checkin_codes (dept_id, tenant_id, code, changed_by, changed_at)
        VALUES (%(dept_id)s, %(tenant_id)s, %(code)s, %(user_id)s, %(now)s)
        ON DUPLICATE KEY UPDATE code = %(code)s, changed_by = %(user_id)s, changed_at = %(now)s
        """,
        dept_id=dept_id,
        tenant_id=tenant_id,
        code=code,
        user_id=user_id,
        now=clock.now(),
    )
