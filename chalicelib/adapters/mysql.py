"""MySQL: one-statement reads and writes, transactions that survive a deadlock, and several statements in one packet.

Connections live as long as the process, are opened when first needed and never shared by two threads at once.
Where the database cannot be reached the answer is Refused(UNAVAILABLE): the client may repeat the request.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor

from chalicelib import clock
from chalicelib.errors import UNAVAILABLE, Refused
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

T = TypeVar("T")
Row = dict[str, Any]
if TYPE_CHECKING:
    Connection: TypeAlias = pymysql.connections.Connection[DictCursor]
else:
    Connection = pymysql.connections.Connection  # generic in its stubs alone

DEADLOCK, LOCK_WAIT, DUPLICATE = 1213, 1205, 1062
# Told by the client when the server has gone or cannot be reached, and by the server when it is full, going down, or
# no longer the one that takes writes (1290, 1836: a connection that outlived a failover).
LOST = {
    1040,
    1053,
    1152,
    1158,
    1159,
    1160,
    1161,
    1203,
    1226,
    1290,
    1836,
    1927,
    2002,
    2003,
    2006,
    2013,
    2014,
    2055,
    3169,
}
ATTEMPTS = 3
IDLE = 5.0  # seconds after which a connection is asked whether it still lives, as a frozen Lambda's often does not

SESSION = """
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET SESSION innodb_lock_wait_timeout = 3, time_zone = '+00:00', sql_mode = CONCAT('ONLY_FULL_GROUP_BY,',
        'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION')
"""


class Duplicate(Exception):
    """A unique index refused a row; `key` is the name of that index."""

    def __init__(self, key: str) -> None:
        super().__init__(f"MySQL error {DUPLICATE}: a row is there already in index {key}")
        self.key = key


class Failed(Exception):
    """A statement that the server would not run; `number` is MySQL's error number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"MySQL error {number}: {message}")
        self.number = number


class Lost(Exception):
    """The connection died: whether its last statement ran is not known. `number` is MySQL's, 0 if it said none."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Tx:
    """The statements of one transaction, or one by itself. Parameters are named: %(name)s.

    Raises Duplicate or Failed, and Lost, which becomes Refused(UNAVAILABLE) on the way out.
    """

    def __init__(self, cursor: DictCursor) -> None:
        self._cursor = cursor

    def value(self, sql: str, **params: Any) -> Any:
        """Return the first column of the first row, or None."""
        row = self.one(sql, **params)
        return next(iter(row.values())) if row else None

    def one(self, sql: str, **params: Any) -> Row | None:
        _asked(self._cursor.execute, sql, params or None)
        return self._cursor.fetchone()

    def all(self, sql: str, **params: Any) -> list[Row]:
        _asked(self._cursor.execute, sql, params or None)
        return list(self._cursor.fetchall())

    def run(self, sql: str, **params: Any) -> int:
        """Return how many rows matched or were inserted."""
        return int(_asked(self._cursor.execute, sql, params or None))

    def insert(self, sql: str, **params: Any) -> int:
        """Return the new row's AUTO_INCREMENT id."""
        _asked(self._cursor.execute, sql, params or None)
        return int(self._cursor.lastrowid)

    def packet(self, sql: str, **params: Any) -> list[list[Row]]:
        """Run several statements in one round trip; return the rows of each."""
        _asked(self._cursor.execute, sql, params or None)
        results = [list(self._cursor.fetchall())]
        while _asked(self._cursor.nextset):
            results.append(list(self._cursor.fetchall()))
        return results


def _asked(ask: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return ask(*arguments)
    except pymysql.err.MySQLError as error:
        number = int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0
        if number in LOST or isinstance(error, pymysql.err.InterfaceError):
            raise Lost(number) from error
        if number == DUPLICATE:
            raise Duplicate(_index(error.args[1])) from error
        raise Failed(number, str(error.args[-1])) from error


def autocommit(work: Callable[[Tx], T]) -> T:
    """Run work whose statements each stand alone, or a packet that opens and commits its own transaction."""
    return _attempt(work, begin=False)


def transact(work: Callable[[Tx], T]) -> T:
    """Run work in one transaction. It must bear repeating: a deadlock's victim is run again."""
    return _attempt(work, begin=True)


def apart(work: Callable[[Tx], T], timeout: int) -> T:
    """Run work on a connection of its own whose statements may take `timeout` seconds each. Raises Lost too."""
    connection: Connection = _asked(_open, timeout)
    try:
        return work(Tx(connection.cursor()))
    finally:
        _close(connection)


def _attempt(work: Callable[[Tx], T], begin: bool) -> T:
    for _ in range(ATTEMPTS):
        try:
            with _borrowed() as connection:
                if begin:
                    _asked(connection.begin)
                result = work(Tx(connection.cursor()))
                if begin:
                    _asked(connection.commit)
                return result
        except Failed as failed:
            if failed.number not in (DEADLOCK, LOCK_WAIT):
                raise
            logger.warning("run again", extra={"ids": {"mysql_error": failed.number}})
    raise Refused(UNAVAILABLE, retry_after=1)


@contextmanager
def _borrowed() -> Iterator[Connection]:
    """Lend a connection. After an error it goes back rolled back, or not at all."""
    if not _places.acquire(timeout=settings.database_wait):
        raise Refused(UNAVAILABLE, retry_after=1)
    connection: Connection | None = None
    try:
        connection = _take()
        yield connection
        _idle.append((clock.monotonic(), connection))
    except Lost as lost:
        logger.warning("mysql lost", extra={"ids": {"mysql_error": lost.number}})
        _forget(connection)
        raise Refused(UNAVAILABLE, retry_after=2) from lost
    except BaseException:
        _give_back(connection)
        raise
    finally:
        _places.release()


_places = BoundedSemaphore(settings.database_pool)
_idle: list[tuple[float, Connection]] = []  # newest last; list.append and list.pop are atomic


def _take() -> Connection:
    while found := _waiting():
        since, connection = found
        if clock.monotonic() - since < IDLE:
            return connection
        try:
            connection.ping(reconnect=False)
            return connection
        except pymysql.err.MySQLError:  # those that were idle for longer are no better, and each could take a time-out
            _forget(connection)
    opened: Connection = _asked(_open)
    return opened


def _waiting() -> tuple[float, Connection] | None:
    try:
        return _idle.pop()
    except IndexError:  # also where another thread was faster
        return None


def _open(timeout: int | None = None) -> Connection:
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
        init_command=SESSION,
        ssl={"ca": settings.tls_ca} if "tls" in parse_qs(url.query) else None,
        connect_timeout=3,
        read_timeout=timeout or settings.database_timeout,
        write_timeout=timeout or settings.database_timeout,
    )


def _give_back(connection: Connection | None) -> None:
    """Roll back, or close: a packet that failed half-way would keep its row lock."""
    if connection is None:
        return
    try:
        connection.rollback()
        _idle.append((clock.monotonic(), connection))
    except pymysql.err.MySQLError:
        _close(connection)


def _forget(connection: Connection | None) -> None:
    """The server has gone: so have the connections that wait for work."""
    while found := _waiting():
        _close(found[1])
    if connection:
        _close(connection)


def _close(connection: Connection) -> None:
    with suppress(pymysql.err.MySQLError):  # it may be closed already
        connection.close()


def _index(message: str) -> str:
    """Find the index's name in "Duplicate entry '1' for key 'table.index'" (MariaDB leaves the table out)."""
    return message.rpartition("for key ")[2].strip("'").rpartition(".")[2]
