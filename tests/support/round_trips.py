"""Count the network round trips of a request at the sockets: a round trip is a send that follows a receive."""

import socket
import ssl
from collections.abc import Callable, Iterator
from threading import get_ident
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import pytest

from chalicelib.settings import settings

PORTS = {urlsplit(settings.database_url).port or 3306: "mysql", urlsplit(settings.redis_url).port or 6379: "redis"}


class RoundTrips:
    """Round trips of this thread by server. Other threads, such as outbox workers of an earlier test, are ignored."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.sent: list[str] = []
        self.waiting: WeakKeyDictionary[socket.socket, bool] = WeakKeyDictionary()

    def record_send(self, connection: socket.socket) -> None:
        if get_ident() == self.thread and not self.waiting.get(connection):
            self.waiting[connection] = True
            self.sent.append(PORTS.get(connection.getpeername()[1], "third party"))

    def record_receive(self, connection: socket.socket) -> None:
        self.waiting[connection] = False

    def count(self, work: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> tuple[int, int]:
        """Return the number of round trips to MySQL and to Redis that a request makes, the minimum of three runs.

        On a busy machine Redis may exceed its timeout of 300 ms, and a request then takes another path.
        """
        return min(self._once(work, before) for _ in range(3))

    def _once(self, work: Callable[[], Any], before: Callable[[], Any]) -> tuple[int, int]:
        before()
        self.sent.clear()
        work()
        return self.sent.count("mysql"), self.sent.count("redis")


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> Iterator[RoundTrips]:
    """Record the sends and receives of all sockets of this process."""
    counted = RoundTrips()

    def wrap_method(kind: type[socket.socket], name: str, record: Callable[[socket.socket], None]) -> None:
        method = getattr(kind, name)

        def recorded(connection: socket.socket, *arguments: Any) -> Any:
            record(connection)
            return method(connection, *arguments)

        monkeypatch.setattr(kind, name, recorded)

    for kind in (socket.socket, ssl.SSLSocket):  # PyMySQL connects to MySQL through TLS where the server offers it
        for name in ("send", "sendall", "sendmsg"):
            wrap_method(kind, name, counted.record_send)
        for name in ("recv", "recv_into", "recvmsg"):
            wrap_method(kind, name, counted.record_receive)
    yield counted
    assert counted.sent, "nothing was counted: the drivers no longer use these calls"
