"""A connection to one Redis server: the RESP2 protocol through hiredis, with a password and TLS.

It replaces the connections of redis-py, whose import takes a third of a cold start (docs/decisions/0018). The tests
compare both.
"""

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import hiredis

from chalicelib.adapters import tls

READ_BYTES = 65536
_INCOMPLETE = object()
# A lost server is noticed by an idle connection within 45 s. macOS has another name for TCP_KEEPIDLE.
KEEPALIVE_SECONDS = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}

Address = tuple[str, int]
"""Host and port of a server."""


class ResponseError(Exception):
    """An error response of the server, such as "NOSCRIPT No matching script."; `code` is its first word."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.partition(" ")[0]


class ProtocolError(OSError):
    """The server sent something that is not RESP."""


@dataclass(frozen=True)
class Options:
    """What all connections of a process have in common."""

    timeout: float  # seconds for connecting, and for each send and read
    username: str = ""
    password: str = ""
    database: int = 0
    tls_ca_file: str = ""  # root certificates for TLS; "" without TLS


def parse_url(url: str, timeout: float, tls_ca_file: str) -> tuple[Address, Options]:
    """Parse redis://user:password@host:port/database, or rediss:// with TLS; only the host is required.

    Raises:
        ValueError: for another scheme, and for a query, which redis-py would read options from.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or parts.query:
        raise ValueError("REDIS_URL must be redis://user:password@host:port/database or rediss://…, without a query")
    address = (unquote(parts.hostname or "localhost"), parts.port or 6379)
    options = Options(
        timeout,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        int(parts.path.strip("/") or 0),
        tls_ca_file if parts.scheme == "rediss" else "",
    )
    return address, options


class RedisConnection:
    """An open connection, used by one thread at a time."""

    def __init__(self, address: Address, options: Options) -> None:
        """Connect and authenticate.

        Raises:
            OSError: the server cannot be reached, or its certificate is not valid for the host.
            ResponseError: it rejected the password.
        """
        self._timeout = options.timeout
        self._socket = socket.create_connection(address, options.timeout)
        self._reader = hiredis.Reader(
            encoding="utf-8", replyError=ResponseError, protocolError=ProtocolError, notEnoughData=_INCOMPLETE
        )
        try:
            self._configure(address[0], options)
        except BaseException:
            self.close()
            raise

    def _configure(self, host: str, options: Options) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE_SECONDS.items():
            if hasattr(socket, name):
                self._socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if options.tls_ca_file:
            self._socket = tls.get_context(options.tls_ca_file).wrap_socket(self._socket, server_hostname=host)
        greeting: list[tuple[Any, ...]] = []
        if options.password:
            greeting.append(("AUTH", *([options.username] if options.username else []), options.password))
        if options.database:
            greeting.append(("SELECT", options.database))
        if greeting:
            self.send(b"".join(hiredis.pack_command(command) for command in greeting))
        for response in [self.read_response() for _ in greeting]:
            if isinstance(response, ResponseError):
                raise response

    def send(self, packed_commands: bytes) -> None:
        """Send commands in RESP. Raises OSError."""
        self._socket.sendall(packed_commands)

    def read_response(self) -> Any:
        """Return the next response; an error response is returned as a ResponseError. Raises OSError."""
        while (response := self._reader.gets()) is _INCOMPLETE:
            received = self._socket.recv(READ_BYTES)
            if not received:
                raise ConnectionResetError("Redis closed the connection")
            self._reader.feed(received)
        return response

    def read_late_response(self, seconds: float) -> Any:
        """Return the response to a command that blocks the connection; wait `seconds` for it. Raises OSError."""
        self._socket.settimeout(seconds)
        try:
            return self.read_response()
        finally:
            self._socket.settimeout(self._timeout)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
