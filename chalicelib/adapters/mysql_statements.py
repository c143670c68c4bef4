"""Transaction API and error mapping. Connections are in mysql.py."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import pymysql
from pymysql.cursors import DictCursor

Row = dict[str, Any]

ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT, ER_DUP_ENTRY = 1213, 1205, 1062
# Told by the client when the server has gone or cannot be reached, and by the server when it is full, going down, or
# no longer the one that takes writes (1290, 1836: a connection that outlived a failover).
CONNECTION_LOST_ERRORS = frozenset(
    (
        *(1040, 1053, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1290, 1836, 1927),
        *(2002, 2003, 2006, 2013, 2014, 2055, 3169),
    )
)


class DuplicateKeyError(Exception):
    """A unique index refused a row; `key` is the name of that index."""

    def __init__(self, key: str) -> None:
        super().__init__(f"MySQL error {ER_DUP_ENTRY}: a row is there already in index {key}")
        self.key = key


class StatementError(Exception):
    """A statement that the server would not run; `number` is MySQL's error number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"MySQL error {number}: {message}")
        self.number = number


class ConnectionLostError(Exception):
    """The connection died: whether its last statement ran is not known. `number` is MySQL's, 0 if it said none."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Tx:
    """The statements of one transaction. Parameters are named: %(name)s; enum members are sent as their values.

    Raises DuplicateKeyError, StatementError, and ConnectionLostError, which becomes ApiError(UNAVAILABLE) at the end
    of the transaction.
    """

    def __init__(self, cursor: DictCursor) -> None:
        self._cursor = cursor

    def fetch_value(self, sql: str, **params: Any) -> Any:
        """Return the first column of the first row, or None."""
        row = self.fetch_one(sql, **params)
        return next(iter(row.values())) if row else None

    def fetch_one(self, sql: str, **params: Any) -> Row | None:
        """Return the first row, or None."""
        call_driver(self._cursor.execute, sql, _bind(params))
        return self._cursor.fetchone()

    def fetch_all(self, sql: str, **params: Any) -> list[Row]:
        """Return all rows."""
        call_driver(self._cursor.execute, sql, _bind(params))
        return list(self._cursor.fetchall())

    def execute(self, sql: str, **params: Any) -> int:
        """Return how many rows matched or were inserted."""
        return int(call_driver(self._cursor.execute, sql, _bind(params)))

    def insert(self, sql: str, **params: Any) -> int:
        """Return the new row's AUTO_INCREMENT id."""
        call_driver(self._cursor.execute, sql, _bind(params))
        return int(self._cursor.lastrowid)

    def execute_many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run one INSERT … VALUES (…) for all the rows."""
        call_driver(self._cursor.executemany, sql, [_bind(row) for row in rows])

    def execute_packet(self, sql: str, **params: Any) -> list[list[Row]]:
        """Run several statements in one round trip; return the rows of each."""
        call_driver(self._cursor.execute, sql, _bind(params))
        results = [list(self._cursor.fetchall())]
        while call_driver(self._cursor.nextset):
            results.append(list(self._cursor.fetchall()))
        return results


def _bind(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return parameters as PyMySQL takes them: None where there are none, so that % needs no escape then."""
    return {name: one.value if isinstance(one, Enum) else one for name, one in params.items()} or None


def call_driver(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call PyMySQL and translate its errors. Raises DuplicateKeyError, StatementError, ConnectionLostError."""
    try:
        return call(*arguments)
    except pymysql.err.MySQLError as error:
        number = int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0
        if number in CONNECTION_LOST_ERRORS or isinstance(error, pymysql.err.InterfaceError):
            raise ConnectionLostError(number) from error
        if number == ER_DUP_ENTRY:
            raise DuplicateKeyError(_parse_index_name(error.args[1])) from error
        raise StatementError(number, str(error.args[-1])) from error


def _parse_index_name(message: str) -> str:
    """Find the index's name in "Duplicate entry '1' for key 'table.index'" (MariaDB leaves the table out)."""
    return message.rpartition("for key ")[2].strip("'").rpartition(".")[2]
