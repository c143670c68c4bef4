"""Departments: where doctors work and patients book."""

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


def create(tx: Tx, tenant_id: int, name: str, sort: int = 0) -> int:
    """Return the new dept_id. Raises mysql.Duplicate("name") where the tenant has the name already."""
    return tx.insert(
        """
        INSERT INTO departments (tenant_id, name, sort, created_at)
        VALUES (%(tenant_id)s, %(name)s, %(sort)s, %(now)s)
        """,
        tenant_id=tenant_id,
        name=name,
        sort=sort,
        now=clock.now(),
    )


def change(tx: Tx, tenant_id: int, dept_id: int, name: str, sort: int) -> bool:
    """False where the tenant has no such department. Raises mysql.Duplicate("name") where another has the name."""
    return bool(
        tx.run(
            """
            UPDATE departments SET name = %(name)s, sort = %(sort)s
            WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s
            """,
            name=name,
            sort=sort,
            dept_id=dept_id,
            tenant_id=tenant_id,
        )
    )


def exists(tx: Tx, tenant_id: int, dept_id: int) -> bool:
    return bool(
        tx.value(
            "SELECT 1 FROM departments WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s",
            dept_id=dept_id,
            tenant_id=tenant_id,
        )
    )


def list_all(tx: Tx, tenant_id: int) -> list[Row]:
    """Return dept_id, name and sort, in the tenant's order."""
    return tx.all(
        "SELECT dept_id, name, sort FROM departments WHERE tenant_id = %(tenant_id)s ORDER BY sort, dept_id",
        tenant_id=tenant_id,
    )
