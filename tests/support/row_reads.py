"""Count the rows that MySQL reads for a query, whatever the number of rows that it returns."""

from collections.abc import Callable
from typing import TypeVar

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
