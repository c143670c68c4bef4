"""Departments: where doctors work and patients book."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """A department as stored."""

    dept_id: int
    name: str
    sort: int  # position in lists, ascending
    introduction: str
    photo_key: str  # S3 key, "" for none


COLUMNS_SQL = "dept_id, name, sort, introduction, photo_key"


def create(tx: Tx, tenant_id: int, name: str, sort: int = 0) -> int:
    """Insert a department and return its dept_id.

    Raises:
        mysql.DuplicateKeyError: key "name" if the tenant has a department of this name.
    """
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


def find_created_since(tx: Tx, tenant_id: int, name: str, since: int) -> Department | None:
    """Return the department with this name if it was created after a time, or None."""
    row = tx.fetch_one(
        f"""
        SELECT {COLUMNS_SQL} FROM departments
        WHERE tenant_id = %(tenant_id)s AND name = %(name)s AND created_at > %(since)s
        """,
        tenant_id=tenant_id,
        name=name,
        since=since,
    )
    return build_department(row) if row else None


def find_for_update(tx: Tx, tenant_id: int, dept_id: int) -> Department | None:
    """Return one of the tenant's departments, locked until the end of the transaction, or None."""
    row = tx.fetch_one(
        f"""
        SELECT {COLUMNS_SQL} FROM departments
        WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s FOR UPDATE
        """,
        dept_id=dept_id,
        tenant_id=tenant_id,
    )
    return build_department(row) if row else None


def update(tx: Tx, tenant_id: int, department: Department) -> None:
    """Write all fields of a department.

    Raises:
        mysql.DuplicateKeyError: key "name" if another department has the name.
    """
    tx.execute(
        """
        UPDATE departments
        SET name = %(name)s, sort = %(sort)s, introduction = %(introduction)s, photo_key = %(photo_key)s
        WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s
        """,
        name=department.name,
        sort=department.sort,
        introduction=department.introduction,
        photo_key=department.photo_key.encode(),
        dept_id=department.dept_id,
        tenant_id=tenant_id,
    )


def exists(tx: Tx, tenant_id: int, dept_id: int) -> bool:
    """Return whether the tenant has the department."""
    return bool(
        tx.fetch_value(
            "SELECT 1 FROM departments WHERE dept_id = %(dept_id)s AND tenant_id = %(tenant_id)s",
            dept_id=dept_id,
            tenant_id=tenant_id,
        )
    )


def list_all(tx: Tx, tenant_id: int) -> list[Department]:
    """Return the tenant's departments in its order."""
    rows = tx.fetch_all(
        f"SELECT {COLUMNS_SQL} FROM departments WHERE tenant_id = %(tenant_id)s ORDER BY sort, dept_id",
        tenant_id=tenant_id,
    )
    return [build_department(row) for row in rows]


def build_department(row: Row) -> Department:
    """Return the department of a row with COLUMNS_SQL."""
    return Department(**{**row, "photo_key": row["photo_key"].decode()})
