"""A network with latency between the app and its servers: a proxy that delays each request to MySQL and Redis."""

import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from chalicelib.adapters import mysql
from chalicelib.adapters import redis as cache
from chalicelib.settings import settings

CALIBRATION_SAMPLES = 300
TIMER_SLACK_NANOSECONDS = "1000"  # the system's default, 50 µs, would be added to each delay
MAX_READ_BYTES = 1 << 16


@contextmanager
def add_latency(milliseconds: float) -> Iterator[str]:
    """Route the connections that this process and its forks open to MySQL and Redis through a proxy.

    The time that the proxy itself takes is part of the latency. Yields a description with the measured latency.
    """
    urls = [settings.database_url, settings.redis_url]
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=128) for _ in urls]
    delay: Any = get_context("fork").Value("d", milliseconds / 1000)  # seconds
    upstreams = [urlsplit(url).port or 0 for url in urls]
    proxy = get_context("fork").Process(target=_run_proxy, args=(listeners, upstreams, delay), daemon=True)
    proxy.start()
    ports = [one.getsockname()[1] for one in listeners]
    database_url, redis_url = (_replace_port(url, port) for url, port in zip(urls, ports, strict=True))
    delayed = replace(settings, database_url=database_url, redis_url=redis_url)
    for adapter in (mysql, cache):
        vars(adapter)["settings"] = delayed
    delay.value -= max(_measure_latency(upstreams[1], ports[1]) - delay.value, 0)
    try:
        yield f"latency of each round trip: {_measure_latency(upstreams[1], ports[1]) * 1000:.2f} ms (measured)"
    finally:
        proxy.kill()
        proxy.join()


def _replace_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")).geturl()


def _measure_latency(upstream: int, port: int) -> float:
    """Return the seconds that the proxy adds to a PING of Redis (p50)."""
    direct, proxied = [], []
    with (
        closing(socket.create_connection(("127.0.0.1", upstream))) as to_server,
        closing(socket.create_connection(("127.0.0.1", port))) as to_proxy,
    ):
        for _ in range(CALIBRATION_SAMPLES):
            direct.append(_ping(to_server))
            proxied.append(_ping(to_proxy))
    return median(proxied) - median(direct)


def _ping(connection: socket.socket) -> float:
    started = time.perf_counter()
    connection.sendall(b"PING\r\n")
    connection.recv(64)
    return time.perf_counter() - started


def _run_proxy(listeners: list[socket.socket], upstreams: list[int], delay: Any) -> None:
    with suppress(OSError):
        Path("/proc/self/timerslack_ns").write_text(TIMER_SLACK_NANOSECONDS)
    Proxy(listeners, upstreams, delay).run()


class Proxy:
    """Forward bytes between clients and servers: those of a client after the delay, those of a server at once."""

    def __init__(self, listeners: list[socket.socket], upstreams: list[int], delay: Any) -> None:
        self.delay = delay
        self.ports = {one.fileno(): (one, upstream) for one, upstream in zip(listeners, upstreams, strict=True)}
        self.clients: set[int] = set()  # file numbers of the connections to clients
        self.peers: dict[int, tuple[socket.socket, socket.socket]] = {}  # by file number: itself and its other side
        self.delayed: deque[tuple[float, socket.socket, bytes]] = deque()  # when it is due, to whom, what
        self.poll = select.epoll()
        for number in self.ports:
            self.poll.register(number, select.EPOLLIN)

    def run(self) -> None:
        """Forward until the process is killed."""
        while True:
            timeout = max(self.delayed[0][0] - time.monotonic(), 0) if self.delayed else None
            # select waits for microseconds, epoll for milliseconds.
            ready, _, _ = select.select([self.poll.fileno()], [], [], timeout)
            for number, _ in self.poll.poll(0) if ready else ():
                self.accept(number) if number in self.ports else self.read(number)
            while self.delayed and self.delayed[0][0] <= time.monotonic():
                _, target, data = self.delayed.popleft()
                self.write(target, data)

    def accept(self, number: int) -> None:
        """Accept a client and connect it to its server."""
        listener, upstream = self.ports[number]
        client, server = listener.accept()[0], socket.create_connection(("127.0.0.1", upstream))
        for one, other in ((client, server), (server, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.peers[one.fileno()] = (one, other)
            self.poll.register(one.fileno(), select.EPOLLIN)
        self.clients.add(client.fileno())

    def read(self, number: int) -> None:
        """Read what has arrived on a connection; without data it has ended."""
        if number not in self.peers:  # closed in the same turn
            return
        source, target = self.peers[number]
        data = b""
        with suppress(OSError):
            data = source.recv(MAX_READ_BYTES)
        if not data:
            self.poll.unregister(number)
        if number in self.clients:
            self.delayed.append((time.monotonic() + self.delay.value, target, data))
        else:
            self.write(target, data)

    def write(self, target: socket.socket, data: bytes) -> None:
        """Write data to a connection, or end both sides if there is none."""
        with suppress(OSError):
            if data and target.fileno() in self.peers:
                target.sendall(data)
                return
        self.close(target)

    def close(self, target: socket.socket) -> None:
        """Close a connection and its other side."""
        for one in self.peers.get(target.fileno(), ()):
            self.clients.discard(one.fileno())
            self.peers.pop(one.fileno(), None)
            one.close()
