"""A line to a server that a test can cut, deafen, or let lose an answer."""

import asyncio
import random
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from threading import Event, Thread
from typing import Any

FORWARDING, RESETTING, SWALLOWING = "open", "cut", "deaf"
UNLIMITED_BYTES = 1 << 60


@dataclass(eq=False)
class ProxiedConnection:
    client: asyncio.StreamWriter  # to the client
    server: asyncio.StreamWriter  # to the server
    bytes_left: int  # bytes until it breaks
    swallowing: bool = False
    loses_answer: bool = False  # for what the proxy was told to lose the answer of

    def abort(self) -> None:
        """Reset, not closed: the next byte that either end writes fails."""
        for writer in (self.client, self.server):
            if writer.is_closing():
                continue
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Listens on `port`; `connected` counts who came. Broken connections are reset, as by a network, and counted."""

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self.connection_count = 0
        self.broken_count = 0
        self._upstream = upstream
        self._mode = FORWARDING
        self._random: random.Random | None = None
        self._mean_bytes = 0
        self._question = b""
        self._lost = Event()
        self._connections: set[ProxiedConnection] = set()
        self._loop = asyncio.new_event_loop()
        self._listening = Event()
        self._thread = Thread(target=self._serve, daemon=True)

    def reset_connections(self) -> None:
        """Reset every connection, and each new one."""
        self._set_mode(RESETTING)

    def swallow_packets(self) -> None:
        """Take what is sent and answer nothing: packets are swallowed."""
        self._set_mode(SWALLOWING)

    def restore(self) -> None:
        """Work again. What was deaf is reset: its bytes are gone."""
        self._random = None
        self._set_mode(FORWARDING)

    def break_at_random(self, seed: int, mean: int) -> None:
        """Let each connection pass some thousand bytes, `mean` on average, and then reset it wherever that is."""
        self._random, self._mean_bytes = random.Random(seed), mean
        self._set_mode(RESETTING)
        self._set_mode(FORWARDING)

    @contextmanager
    def lose_answer_to(self, question: bytes) -> Iterator[Event]:
        """Once: let the bytes pass to the server, wait until it answers, and reset the connection instead."""
        self._lost.clear()
        self._question = question
        yield self._lost
        self._question = b""

    def _set_mode(self, mode: str) -> None:
        async def apply() -> None:
            self._mode = mode
            for connection in list(self._connections):
                if mode == RESETTING or (mode == FORWARDING and connection.swallowing):
                    self.broken_count += 1
                    connection.abort()

        self._run(apply())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._listening.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._set_mode(RESETTING)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        while tasks := asyncio.all_tasks(self._loop):  # who came in the last moment begins one more
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # what was aborted is closed in the next turn

    async def _accept(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        if self._mode == RESETTING:
            near.transport.abort()
            return
        try:
            answers, far = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:  # nobody listens there
            near.transport.abort()
            return
        left = int(self._random.expovariate(1 / self._mean_bytes)) if self._random else UNLIMITED_BYTES
        connection = ProxiedConnection(near, far, left, swallowing=self._mode == SWALLOWING)
        self._connections.add(connection)
        await asyncio.gather(self._pump(connection, reader, far, True), self._pump(connection, answers, near, False))
        self._connections.discard(connection)

    async def _pump(
        self, connection: ProxiedConnection, source: asyncio.StreamReader, target: asyncio.StreamWriter, questions: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                connection.swallowing = connection.swallowing or self._mode == SWALLOWING
                if not connection.swallowing and not self._forward(connection, data, target, questions):
                    break
        connection.abort()

    def _forward(
        self, connection: ProxiedConnection, data: bytes, target: asyncio.StreamWriter, question: bool
    ) -> bool:
        """Send data on; False where the connection breaks here."""
        if question and self._question and self._question in data:
            connection.loses_answer, self._question = True, b""
        elif not question and connection.loses_answer:
            self.broken_count += 1
            self._lost.set()
            return False
        target.write(data[: connection.bytes_left])
        connection.bytes_left -= len(data)
        if connection.bytes_left < 0:
            self.broken_count += 1
        return connection.bytes_left >= 0
