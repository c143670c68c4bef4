"""Count the rows that MySQL reads for a query, whatever the number of rows that it returns."""

from collections.abc import Callable
from typing import Any, TypeVar

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx

T = TypeVar("T")


def count_rows_read(tx: Tx, query: Callable[[], T]) -> tuple[T, int]:
    """Return the result of a query that uses this connection, and how many rows the server has read for it."""

    def read_counter() -> int:
        return sum(int(row["Value"]) for row in tx.fetch_all("SHOW SESSION STATUS LIKE 'Handler_read%'"))

    first = read_counter()
    cost = read_counter() - first  # SHOW STATUS reads rows itself
    result = query()
    return result, read_counter() - first - 2 * cost


def count_rows_of_statement(sql: str, params: dict[str, Any]) -> tuple[int, int]:
    """Return how many rows a statement returns, and how many the server reads for it."""
    rows, reads = mysql.run_autocommit(lambda tx: count_rows_read(tx, lambda: tx.fetch_all(sql, **params)))
    return len(rows), reads
