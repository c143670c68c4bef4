"""SQL of exports of lists, in the table of all exports, whose expired objects accounts/export_cleanup.py deletes."""

from dataclasses import dataclass

from chalicelib.adapters.mysql import Row, Tx


@dataclass(frozen=True, slots=True)
class StoredExport:
    """An export of a list. Instants are microseconds."""

    export_id: int
    list_name: str
    filters: str  # JSON
    object_key: str
    requested_at: int
    finished_at: int | None  # None until the object is written
    delete_at: int | None  # None once the object is deleted
    row_count: int
    truncated: bool


_COLUMNS = """
    export_id, list_name, filters, object_key, requested_at, finished_at, delete_at, row_count, truncated
"""


def list_own(tx: Tx, tenant_id: int, user_id: int, limit: int) -> list[StoredExport]:
    """Return a person's exports of lists, the newest first."""
    rows = tx.fetch_all(
        f"""
        SELECT {_COLUMNS} FROM account_exports
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND list_name <> ''
        ORDER BY export_id DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        limit=limit,
    )
    return [_build(row) for row in rows]


def find(tx: Tx, tenant_id: int, export_id: int) -> StoredExport | None:
    """Return an export of a list."""
    row = tx.fetch_one(
        f"""
        SELECT {_COLUMNS} FROM account_exports
        WHERE export_id = %(export_id)s AND tenant_id = %(tenant_id)s AND list_name <> ''
        """,
        tenant_id=tenant_id,
        export_id=export_id,
    )
    return _build(row) if row else None


def insert(tx: Tx, tenant_id: int, user_id: int, export: StoredExport) -> int:
    """Insert a requested export and return its export_id."""
    return tx.insert(
        """
        INSERT INTO account_exports (tenant_id, user_id, list_name, filters, object_key, requested_at, delete_at)
        VALUES (%(tenant_id)s, %(user_id)s, %(list_name)s, %(filters)s, %(object_key)s, %(now)s, %(delete_at)s)
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        list_name=export.list_name,
        filters=export.filters,
        object_key=export.object_key.encode(),
        now=export.requested_at,
        delete_at=export.delete_at,
    )


def mark_finished(
    tx: Tx, tenant_id: int, export_id: int, now: int, delete_at: int, row_count: int, truncated: bool
) -> bool:
    """Record that the object is written; return False if an earlier run did, or the export has expired."""
    changed = tx.execute(
        """
        UPDATE account_exports
        SET finished_at = %(now)s, delete_at = %(delete_at)s, row_count = %(row_count)s, truncated = %(truncated)s
        WHERE export_id = %(export_id)s AND tenant_id = %(tenant_id)s AND finished_at IS NULL AND delete_at > %(now)s
        """,
        tenant_id=tenant_id,
        export_id=export_id,
        now=now,
        delete_at=delete_at,
        row_count=row_count,
        truncated=truncated,
    )
    return changed == 1


def _build(row: Row) -> StoredExport:
    return StoredExport(**{**row, "object_key": row["object_key"].decode(), "truncated": bool(row["truncated"])})
