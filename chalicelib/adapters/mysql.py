"""MySQL: one-statement reads and writes, transactions that survive a deadlock, and several statements in one packet.

Connections live as long as the process, are opened when first needed and never shared by two threads at once.
Where the database cannot be reached the answer is Refused(UNAVAILABLE): the client may repeat the request.
"""

import logging
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor

from chalicelib import clock
from chalicelib.adapters.mysql_statements import DEADLOCK, LOCK_WAIT, Duplicate, Failed, Lost, Row, Tx, asked
from chalicelib.errors import UNAVAILABLE, Refused
from chalicelib.settings import settings

__all__ = ["Duplicate", "Failed", "Lost", "Row", "Tx", "apart", "autocommit", "transact"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
if TYPE_CHECKING:
    Connection: TypeAlias = pymysql.connections.Connection[DictCursor]
else:
    Connection = pymysql.connections.Connection  # generic in its stubs alone

ATTEMPTS = 3
IDLE = 5.0  # seconds after which a connection is asked whether it still lives, as a frozen Lambda's often does not

SESSION = """
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET SESSION innodb_lock_wait_timeout = 3, time_zone = '+00:00', sql_mode = CONCAT('ONLY_FULL_GROUP_BY,',
        'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION')
"""


def autocommit(work: Callable[[Tx], T]) -> T:
    """Run work whose statements each stand alone, or a packet that opens and commits its own transaction."""
    return _attempt(work, begin=False)


def transact(work: Callable[[Tx], T]) -> T:
    """Run work in one transaction. It must bear repeating: a deadlock's victim is run again."""
    return _attempt(work, begin=True)


def apart(work: Callable[[Tx], T], timeout: int) -> T:
    """Run work on a connection of its own whose statements may take `timeout` seconds each. Raises Lost too."""
    connection: Connection = asked(_open, timeout)
    try:
        return work(Tx(connection.cursor()))
    finally:
        _close(connection)


def _attempt(work: Callable[[Tx], T], begin: bool) -> T:
    for _ in range(ATTEMPTS):
        try:
            with _borrowed() as connection:
                if begin:
                    asked(connection.begin)
                result = work(Tx(connection.cursor()))
                if begin:
                    asked(connection.commit)
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
        if _hung_up(connection):
            _close(connection)
            continue
        if clock.monotonic() - since < IDLE:
            return connection
        try:
            connection.ping(reconnect=False)
            return connection
        except pymysql.err.MySQLError:  # those that were idle for longer are no better, and each could take a time-out
            _forget(connection)
    try:
        opened: Connection = asked(_open)
    except Failed as failed:  # it is there, and does not let us in: a password was changed
        raise Lost(failed.number) from failed
    return opened


def _hung_up(connection: Connection) -> bool:
    """Whether the server has spoken unasked, which is only to say goodbye. Asks the socket, not the server."""
    line = select.poll()
    line.register(connection._sock, select.POLLIN)  # type: ignore[attr-defined]  # PyMySQL gives it no public name
    return bool(line.poll(0))


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
