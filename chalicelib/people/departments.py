"""Departments: where doctors work and patients book."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    name: str
    sort: int = 0  # the smallest comes first
    introduction: str = ""
    photo_key: str = ""


def create(tx: Tx, tenant_id: int, name: str, sort: int = 0) -> int:
    """Return the new dept_id. Raises mysql.DuplicateKeyError("name") where the tenant has the name already."""
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


def find_for_update(tx: Tx, tenant_id: int, dept_id: int) -> Department | None:
    """Return one of the tenant's departments, to be changed in this transaction."""
    row = tx.fetch_one(
        """
        SELECT name, sort, introduction, photo_key FROM departments
        WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s FOR UPDATE
        """,
        dept_id=dept_id,
        tenant_id=tenant_id,
    )
    return build_department(row) if row else None


def update(tx: Tx, tenant_id: int, dept_id: int, changed: Department) -> None:
    """Raises mysql.DuplicateKeyError("name") where another has the name."""
    tx.execute(
        """
        UPDATE departments
        SET name = %(name)s, sort = %(sort)s, introduction = %(introduction)s, photo_key = %(photo_key)s
        WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s
        """,
        name=changed.name,
        sort=changed.sort,
        introduction=changed.introduction,
        photo_key=changed.photo_key.encode(),
        dept_id=dept_id,
        tenant_id=tenant_id,
    )


def exists(tx: Tx, tenant_id: int, dept_id: int) -> bool:
    return bool(
        tx.fetch_value(
            "SELECT 1 FROM departments WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s",
            dept_id=dept_id,
            tenant_id=tenant_id,
        )
    )


def list_all(tx: Tx, tenant_id: int) -> list[Row]:
    """Return dept_id and every column of a Department, in the tenant's order."""
    return tx.fetch_all(
        """
        SELECT dept_id, name, sort, introduction, photo_key FROM departments
        WHERE tenant_id = %(tenant_id)s ORDER BY sort, dept_id
        """,
        tenant_id=tenant_id,
    )


def build_department(row: Row) -> Department:
    """Return the department in a row that has every column of one, whatever else it has."""
    return Department(
        name=row["name"], sort=row["sort"], introduction=row["introduction"], photo_key=row["photo_key"].decode()
    )
