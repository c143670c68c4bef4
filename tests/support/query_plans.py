"""How the server executes a query."""

from typing import Any

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row


def explain(sql: str, **params: Any) -> list[Row]:
    """Return the plan as a table: MariaDB's default, and an option of MySQL."""
    try:
        return mysql.autocommit.fetch_all(f"EXPLAIN FORMAT=TRADITIONAL {sql}", **params)
    except mysql.StatementError:
        return mysql.autocommit.fetch_all(f"EXPLAIN {sql}", **params)
