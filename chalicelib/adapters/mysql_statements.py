"""Transaction API and error mapping of MySQL. Connections are in mysql.py.

A statement that takes SLOW_STATEMENT_MS or longer is logged with its placeholders, never with values: the database's
own slow-query log, which would contain values, is off (infra/data.yaml).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import pymysql
from pymysql.constants import COMMAND
from pymysql.cursors import DictCursor
from pymysql.protocol import EOFPacketWrapper, OKPacketWrapper

from chalicelib import clock
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

Row = dict[str, Any]

ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT, ER_DUP_ENTRY = 1213, 1205, 1062
MAX_LOGGED_LENGTH = 2_000  # characters of a slow statement
ER_CHECK_VIOLATED = (3819, 4025)  # MySQL, MariaDB
ER_BAD_NULL = 1048
# Reported by the client library if the server cannot be reached, and by the server if it has too many connections, is
# shutting down or has become read-only (1290, 1836: a connection that has survived a failover).
# Source: https://dev.mysql.com/doc/mysql-errors/8.0/en/
CONNECTION_LOST_ERRORS = frozenset(
    (
        *(1040, 1053, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1290, 1836, 1927),
        *(2002, 2003, 2006, 2013, 2014, 2055, 3169),
    )
)


class DuplicateKeyError(Exception):
    """A row violates a unique index; `key` is the name of the index."""

    def __init__(self, key: str) -> None:
        super().__init__(f"MySQL error {ER_DUP_ENTRY}: duplicate entry in index {key}")
        self.key = key


class StatementError(Exception):
    """The server rejected a statement; `number` is MySQL's error number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"MySQL error {number}: {message}")
        self.number = number


class CheckViolationError(Exception):
    """A row violates a CHECK of its table."""


class NullViolationError(Exception):
    """A column that must have a value has none."""


class ConnectionLostError(Exception):
    """The connection failed; its last statement may have run. `number` is MySQL's error number, 0 if unknown."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Tx:
    """Execute statements in one transaction. Parameters are named, %(name)s; enum members are sent as their values.

    All methods raise DuplicateKeyError, StatementError, and ConnectionLostError, which run_transaction and autocommit
    translate to ApiError(UNAVAILABLE).
    """

    def __init__(self, cursor: DictCursor) -> None:
        self._cursor = cursor

    def fetch_value(self, sql: str, **params: Any) -> Any:
        """Return the first column of the first row, or None."""
        row = self.fetch_one(sql, **params)
        return next(iter(row.values())) if row else None

    def fetch_one(self, sql: str, **params: Any) -> Row | None:
        """Return the first row, or None."""
        run_timed(sql, self._cursor.execute, sql, _bind(params))
        return self._cursor.fetchone()

    def fetch_all(self, sql: str, **params: Any) -> list[Row]:
        """Return all rows."""
        run_timed(sql, self._cursor.execute, sql, _bind(params))
        return list(self._cursor.fetchall())

    def execute(self, sql: str, **params: Any) -> int:
        """Return the number of rows that matched (also if unchanged) or were inserted."""
        return int(run_timed(sql, self._cursor.execute, sql, _bind(params)))

    def insert(self, sql: str, **params: Any) -> int:
        """Insert a row and return its AUTO_INCREMENT id."""
        run_timed(sql, self._cursor.execute, sql, _bind(params))
        return int(self._cursor.lastrowid)

    def execute_many(self, sql: str, rows: Sequence[Row]) -> None:
        """Insert all rows with one INSERT … VALUES (…) statement."""
        run_timed(sql, self._cursor.executemany, sql, [_bind(row) for row in rows])

    def execute_packet(self, sql: str, **params: Any) -> list[list[Row]]:
        """Run several statements in one round trip; return the rows of each."""
        results: list[list[Row]] = run_timed(sql, _run_packet, self._cursor, sql, _bind(params))
        return results

    def execute_lean_packet(self, sql: str, **params: Any) -> tuple[list[int], list[bytes]]:
        """Run several statements in one round trip, at half of the CPU time that `execute_packet` takes for it.

        Returns:
            The number of rows that each statement without a result matched or inserted, and the first column of the
            rows of the others.
        """
        counts, values = run_timed(sql, _run_lean_packet, self._cursor, sql, _bind(params))
        return counts, values


def _run_packet(cursor: DictCursor, sql: str, params: dict[str, Any] | None) -> list[list[Row]]:
    cursor.execute(sql, params)
    results = [list(cursor.fetchall())]
    while cursor.nextset():
        results.append(list(cursor.fetchall()))
    return results


def _run_lean_packet(cursor: DictCursor, sql: str, params: dict[str, Any] | None) -> tuple[list[int], list[bytes]]:
    """Send and read below PyMySQL's cursor, which builds several objects for each statement.

    Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
    """
    connection: Any = cursor.connection
    counts: list[int] = []
    values: list[bytes] = []
    connection._execute_command(COMMAND.COM_QUERY, cursor.mogrify(sql, params))
    has_more = True
    while has_more:
        packet = connection._read_packet()
        if packet.is_ok_packet():
            ok = OKPacketWrapper(packet)
            counts.append(ok.affected_rows)
            has_more = ok.has_next
            continue
        for _ in range(packet.read_length_encoded_integer() + 1):  # columns, and the end of their list
            connection._read_packet()
        while not (packet := connection._read_packet()).is_eof_packet():
            values.append(packet.read_length_coded_string())
        has_more = EOFPacketWrapper(packet).has_next
    return counts, values


def _bind(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return parameters for PyMySQL; None if there are none, so that % in the statement needs no escape."""
    return {name: one.value if isinstance(one, Enum) else one for name, one in params.items()} or None


def run_timed(sql: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """Call PyMySQL like `call_driver`, and log the statement if it takes long, whether or not it succeeds.

    Args:
        sql: the statement with placeholders.
    """
    started = clock.monotonic()
    try:
        return call_driver(call, *arguments)
    finally:
        elapsed_ms = (clock.monotonic() - started) * 1000
        if elapsed_ms >= settings.slow_statement_ms:
            text = " ".join(sql.split())[:MAX_LOGGED_LENGTH]
            logger.warning("slow statement", extra={"ids": {"ms": round(elapsed_ms), "sql": text}})


def call_driver(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call PyMySQL and translate its errors to DuplicateKeyError, StatementError or ConnectionLostError."""
    try:
        return call(*arguments)
    except pymysql.err.MySQLError as error:
        number = int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0
        if number in CONNECTION_LOST_ERRORS or isinstance(error, pymysql.err.InterfaceError):
            raise ConnectionLostError(number) from error
        if number == ER_DUP_ENTRY:
            raise DuplicateKeyError(_parse_index_name(error.args[1])) from error
        if number in ER_CHECK_VIOLATED:
            raise CheckViolationError(str(error.args[-1])) from error
        if number == ER_BAD_NULL:
            raise NullViolationError(str(error.args[-1])) from error
        raise StatementError(number, str(error.args[-1])) from error


def _parse_index_name(message: str) -> str:
    """Return the index name of "Duplicate entry '1' for key 'table.index'" (MariaDB omits the table)."""
    return message.rpartition("for key ")[2].strip("'").rpartition(".")[2]
