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

OPEN, CUT, DEAF = "open", "cut", "deaf"
FOREVER = 1 << 60


@dataclass(eq=False)
class Connection:
    near: asyncio.StreamWriter  # to the client
    far: asyncio.StreamWriter  # to the server
    left: int  # bytes until it breaks
    deaf: bool = False
    asked: bool = False  # for what the proxy was told to lose the answer of

    def abort(self) -> None:
        """Reset, not closed: the next byte that either end writes fails."""
        for writer in (self.near, self.far):
            if writer.is_closing():
                continue
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Listens on `port`; `connected` counts who came. Broken connections are reset, as by a network, and counted."""

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self.connected = 0
        self.broken = 0
        self._upstream = upstream
        self._mode = OPEN
        self._chance: random.Random | None = None
        self._mean = 0
        self._question = b""
        self._lost = Event()
        self._connections: set[Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._listening = Event()
        self._thread = Thread(target=self._serve, daemon=True)

    def cut(self) -> None:
        """Reset every connection, and each new one."""
        self._set(CUT)

    def deafen(self) -> None:
        """Take what is sent and answer nothing: packets are swallowed."""
        self._set(DEAF)

    def mend(self) -> None:
        """Work again. What was deaf is reset: its bytes are gone."""
        self._chance = None
        self._set(OPEN)

    def break_at_random(self, seed: int, mean: int) -> None:
        """Let each connection pass some thousand bytes, `mean` on average, and then reset it wherever that is."""
        self._chance, self._mean = random.Random(seed), mean
        self._set(CUT)
        self._set(OPEN)

    @contextmanager
    def losing_the_answer_to(self, question: bytes) -> Iterator[Event]:
        """Once: let the bytes pass to the server, wait until it answers, and reset the connection instead."""
        self._lost.clear()
        self._question = question
        yield self._lost
        self._question = b""

    def _set(self, mode: str) -> None:
        async def apply() -> None:
            self._mode = mode
            for connection in list(self._connections):
                if mode == CUT or (mode == OPEN and connection.deaf):
                    self.broken += 1
                    connection.abort()

        self._run(apply())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._listening.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._set(CUT)
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
        self.connected += 1
        if self._mode == CUT:
            near.transport.abort()
            return
        try:
            answers, far = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:  # nobody listens there
            near.transport.abort()
            return
        left = int(self._chance.expovariate(1 / self._mean)) if self._chance else FOREVER
        connection = Connection(near, far, left, deaf=self._mode == DEAF)
        self._connections.add(connection)
        await asyncio.gather(self._pump(connection, reader, far, True), self._pump(connection, answers, near, False))
        self._connections.discard(connection)

    async def _pump(
        self, connection: Connection, source: asyncio.StreamReader, target: asyncio.StreamWriter, questions: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                connection.deaf = connection.deaf or self._mode == DEAF
                if not connection.deaf and not self._pass(connection, data, target, questions):
                    break
        connection.abort()

    def _pass(self, connection: Connection, data: bytes, target: asyncio.StreamWriter, question: bool) -> bool:
        """Send data on; False where the connection breaks here."""
        if question and self._question and self._question in data:
            connection.asked, self._question = True, b""
        elif not question and connection.asked:
            self.broken += 1
            self._lost.set()
            return False
        target.write(data[: connection.left])
        connection.left -= len(data)
        if connection.left < 0:
            self.broken += 1
        return connection.left >= 0
