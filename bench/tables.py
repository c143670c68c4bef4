"""Insert many rows, and restore or count the rows of a tenant."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from chalicelib.adapters import mysql


def insert_rows(into: str, rows: Sequence[Sequence[Any]], at_once: int = 5_000) -> None:
    """Insert rows and update the table's statistics.

    Args:
        into: a table and its columns: `desks (tenant_id, tickets)`.
    """
    places = ", ".join(["%s"] * len(rows[0]))
    with _get_connection().cursor() as cursor:
        for begin in range(0, len(rows), at_once):
            cursor.executemany(f"INSERT INTO {into} VALUES ({places})", rows[begin : begin + at_once])
        cursor.execute(f"ANALYZE TABLE {into.partition(' ')[0]}")


@cache
def _get_connection() -> Any:
    """Return the one connection of this process.

    PyMySQL reads all root certificates for each connection that it opens, which takes longer than the queries here.
    """
    return mysql._connect(60)  # with the settings of the app's own connections


class TableSnapshot:
    """The rows of a tenant in some tables."""

    def __init__(self, tenant_id: int, *tables: str) -> None:
        self.tenant_id = tenant_id
        self.rows = {table: self._read(table) for table in tables}

    def restore(self) -> None:
        """Restore the rows: delete those that were inserted since, and undo changes and deletions."""
        for table, rows in self.rows.items():
            self._delete(table)
            if rows:
                insert_rows(f"{table} ({', '.join(rows[0])})", [list(row.values()) for row in rows])

    def _read(self, table: str) -> list[mysql.Row]:
        columns = mysql.autocommit.fetch_all(f"SHOW COLUMNS FROM {table} WHERE Extra NOT LIKE '%% GENERATED'")
        select = f"SELECT {', '.join(row['Field'] for row in columns)} FROM {table} WHERE tenant_id = %(id)s"
        return mysql.autocommit.fetch_all(select, id=self.tenant_id)

    def _delete(self, table: str) -> None:
        mysql.autocommit.execute(f"DELETE FROM {table} WHERE tenant_id = %(id)s", id=self.tenant_id)


def build_row_counter(tenant_id: int, table: str, where: str = "1", **values: Any) -> Callable[[], int]:
    """Return a function that counts a tenant's rows; `values` are the parameters of the condition."""
    count = f"SELECT COUNT(*) FROM {table} WHERE tenant_id = %(id)s AND {where}"
    return lambda: int(mysql.autocommit.fetch_value(count, id=tenant_id, **values))
