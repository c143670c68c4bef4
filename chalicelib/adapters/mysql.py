"""Connections and transactions of MySQL.

`autocommit` runs single statements; `run_transaction` runs a function in a transaction and retries it after a deadlock.
Connections are opened on first use, kept for the life of the process and used by one thread at a time. All functions
raise ApiError(UNAVAILABLE) if the database cannot be reached: the client may repeat the request.
"""

import logging
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor

from chalicelib import clock
from chalicelib.adapters import tls
from chalicelib.adapters.mysql_statements import (
    ER_LOCK_DEADLOCK,
    ER_LOCK_WAIT_TIMEOUT,
    CheckViolationError,
    ConnectionLostError,
    DuplicateKeyError,
    NullViolationError,
    Row,
    StatementError,
    Tx,
    call_driver,
    run_timed,
)
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.settings import settings

__all__ = [
    "CheckViolationError",
    "ConnectionLostError",
    "DuplicateKeyError",
    "NullViolationError",
    "Row",
    "StatementError",
    "Tx",
    "autocommit",
    "run_autocommit",
    "run_on_own_connection",
    "run_transaction",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")
if TYPE_CHECKING:
    Connection: TypeAlias = pymysql.connections.Connection[DictCursor]
else:
    Connection = pymysql.connections.Connection  # generic in its stubs alone

MAX_ATTEMPTS = 3
# Connections that were idle for longer are pinged before use: those of a frozen Lambda are often closed.
PING_AFTER_SECONDS = 5.0

# RDS Proxy shares connections that have set these to the same values (docs/deployment.md).
SESSION_SQL = """
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET SESSION time_zone = '+00:00', sql_mode = CONCAT('ONLY_FULL_GROUP_BY,',
        'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION')
"""
LOCK_WAIT_SECONDS = 3  # shorter than a statement's timeout; on AWS infra/data.yaml sets it
if settings.stage == "local":
    SESSION_SQL += f", innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}"


def run_autocommit(work: Callable[[Tx], T]) -> T:
    """Run several statements on one connection, each committed by itself. For a single one, use `autocommit`."""
    return _run_with_retries(work, begin=False)


class _Autocommit(Tx):
    """A Tx each of whose statements borrows a connection and is committed by itself."""

    def __init__(self) -> None:
        """Do not open a cursor: each statement opens its own."""

    def fetch_one(self, sql: str, **params: Any) -> Row | None:
        return run_autocommit(lambda tx: tx.fetch_one(sql, **params))

    def fetch_all(self, sql: str, **params: Any) -> list[Row]:
        return run_autocommit(lambda tx: tx.fetch_all(sql, **params))

    def execute(self, sql: str, **params: Any) -> int:
        return run_autocommit(lambda tx: tx.execute(sql, **params))

    def insert(self, sql: str, **params: Any) -> int:
        return run_autocommit(lambda tx: tx.insert(sql, **params))

    def execute_many(self, sql: str, rows: Sequence[Row]) -> None:
        return run_autocommit(lambda tx: tx.execute_many(sql, rows))

    def execute_packet(self, sql: str, **params: Any) -> list[list[Row]]:
        return run_autocommit(lambda tx: tx.execute_packet(sql, **params))

    def execute_lean_packet(self, sql: str, **params: Any) -> tuple[list[int], list[bytes]]:
        return run_autocommit(lambda tx: tx.execute_lean_packet(sql, **params))


autocommit = _Autocommit()


def run_transaction(work: Callable[[Tx], T]) -> T:
    """Run `work` in one transaction and return its result.

    `work` must be idempotent: it is retried after a deadlock or lock wait timeout, MAX_ATTEMPTS times in all.
    """
    return _run_with_retries(work, begin=True)


def run_on_own_connection(work: Callable[[Tx], T], timeout: int) -> T:
    """Run `work` on a new connection whose statements may take `timeout` seconds each.

    Raises:
        ConnectionLostError: the connection failed; it is not translated to an ApiError here.
    """
    connection: Connection = call_driver(_connect, timeout)
    try:
        return work(Tx(connection.cursor()))
    finally:
        _close(connection)


def _run_with_retries(work: Callable[[Tx], T], begin: bool) -> T:
    for _ in range(MAX_ATTEMPTS):
        try:
            with _borrow_connection() as connection:
                if begin:
                    call_driver(connection.begin)
                result = work(Tx(connection.cursor()))
                if begin:
                    run_timed("COMMIT", connection.commit)
                return result
        except StatementError as error:
            if error.number not in (ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT):
                raise
            logger.warning("transaction retried", extra={"ids": {"mysql_error": error.number}})
    raise ApiError(UNAVAILABLE, retry_after=1)


@contextmanager
def _borrow_connection() -> Iterator[Connection]:
    """Yield a connection of the pool. After an error it is rolled back before it returns to the pool, or closed."""
    if not _pool_slots.acquire(timeout=settings.database_wait_seconds):
        raise ApiError(UNAVAILABLE, retry_after=1)
    connection: Connection | None = None
    try:
        connection = _get_connection()
        yield connection
        _idle_connections.append((clock.monotonic(), connection))
    except ConnectionLostError as error:
        _discard_connections(connection)
        raise ApiError(UNAVAILABLE, retry_after=2) from error
    except BaseException:
        _release_after_error(connection)
        raise
    finally:
        _pool_slots.release()


_pool_slots = BoundedSemaphore(settings.database_pool_size)
_idle_connections: list[tuple[float, Connection]] = []  # newest last; list.append and list.pop are atomic


def _get_connection() -> Connection:
    while idle := _pop_idle_connection():
        since, connection = idle
        if _is_closed_by_server(connection):
            _close(connection)
            continue
        if clock.monotonic() - since < PING_AFTER_SECONDS:
            return connection
        try:
            connection.ping(reconnect=False)
            return connection
        except pymysql.err.MySQLError:  # the others were idle for longer, and each ping could time out
            _discard_connections(connection)
    try:
        opened: Connection = call_driver(_connect)
    except StatementError as error:  # the server rejects the login: the password was changed
        raise ConnectionLostError(error.number) from error
    return opened


def _is_closed_by_server(connection: Connection) -> bool:
    """Return whether the server has closed an idle connection. Checks the socket without a round trip.

    An idle connection is only readable if the server has closed it or announced that it will.
    """
    poll = select.poll()
    poll.register(connection._sock, select.POLLIN)  # type: ignore[attr-defined]  # not public in PyMySQL
    return bool(poll.poll(0))


def _pop_idle_connection() -> tuple[float, Connection] | None:
    try:
        return _idle_connections.pop()
    except IndexError:  # checked here and not before: another thread may take the last one
        return None


def _connect(timeout: int | None = None) -> Connection:
    url = urlsplit(settings.database_url)
    return pymysql.connect(
        host=url.hostname or "127.0.0.1",
        port=url.port or 3306,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        database=url.path.strip("/"),
        charset="utf8mb4",
        autocommit=True,
        cursorclass=DictCursor,
        client_flag=CLIENT.MULTI_STATEMENTS | CLIENT.FOUND_ROWS,
        init_command=SESSION_SQL,
        ssl=tls.get_context(settings.tls_ca_file) if "tls" in parse_qs(url.query) else None,
        connect_timeout=3,
        read_timeout=timeout or settings.database_timeout_seconds,
        write_timeout=timeout or settings.database_timeout_seconds,
    )


def _release_after_error(connection: Connection | None) -> None:
    """Roll back, or close if that fails: a packet that failed halfway would hold its row locks."""
    if connection is None:
        return
    try:
        connection.rollback()
        _idle_connections.append((clock.monotonic(), connection))
    except pymysql.err.MySQLError:
        _close(connection)


def _discard_connections(connection: Connection | None) -> None:
    """Close a lost connection and all idle ones, which the server has most likely closed as well."""
    while idle := _pop_idle_connection():
        _close(idle[1])
    if connection:
        _close(connection)


def _close(connection: Connection) -> None:
    with suppress(pymysql.err.MySQLError):  # it may be closed already
        connection.close()
