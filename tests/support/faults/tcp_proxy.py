"""A TCP proxy that can reset connections, swallow packets or lose a response."""

import asyncio
import random
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from threading import Event, Thread
from typing import Any

FORWARDING, RESETTING, SWALLOWING = "forwarding", "resetting", "swallowing"
UNLIMITED_BYTES = 1 << 60
PACKET_HEADER_BYTES = 4  # of a packet of MySQL's protocol


@dataclass(eq=False)
class ProxiedConnection:
    client: asyncio.StreamWriter  # to the client
    server: asyncio.StreamWriter  # to the server
    bytes_left: int  # until the connection is reset
    swallowing: bool = False
    response_packets_left: int | None = None  # of a response that lose_response_to cuts off; None for all
    held: bytes = b""  # the beginning of a packet of such a response

    def take_packets(self, data: bytes) -> bytes:
        """Return the complete packets at the beginning of a response, as many as are left, and hold the rest.

        A packet of MySQL's protocol begins with its length in three bytes and a number.
        """
        self.held += data
        end = 0
        while self.response_packets_left and len(self.held) >= end + PACKET_HEADER_BYTES:
            packet_end = end + PACKET_HEADER_BYTES + int.from_bytes(self.held[end : end + 3], "little")
            if packet_end > len(self.held):
                break
            end = packet_end
            self.response_packets_left -= 1
        taken, self.held = self.held[:end], self.held[end:]
        return taken

    def abort(self) -> None:
        """Reset both sides: the next write of either end fails."""
        for writer in (self.client, self.server):
            if writer.is_closing():
                continue
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """A proxy that listens on `port` and counts its connections and those it has broken by a reset."""

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self.connection_count = 0
        self.broken_count = 0
        self._upstream = upstream
        self._mode = FORWARDING
        self._random: random.Random | None = None
        self._mean_bytes = 0
        self._lost_request, self._lost_after_packets = b"", 0
        self._lost = Event()
        self._connections: set[ProxiedConnection] = set()
        self._loop = asyncio.new_event_loop()
        self._listening = Event()
        self._thread = Thread(target=self._serve, daemon=True)

    def reset_connections(self) -> None:
        """Reset all connections, and each new one."""
        self._set_mode(RESETTING)

    def swallow_packets(self) -> None:
        """Accept connections and discard all bytes."""
        self._set_mode(SWALLOWING)

    def restore(self) -> None:
        """Forward again. Connections whose bytes were discarded are reset."""
        self._random = None
        self._set_mode(FORWARDING)

    def break_at_random(self, seed: int, mean: int) -> None:
        """Reset each connection after a random number of bytes, `mean` on average."""
        self._random, self._mean_bytes = random.Random(seed), mean
        self._set_mode(RESETTING)
        self._set_mode(FORWARDING)

    @contextmanager
    def lose_response_to(self, request: bytes, after_packets: int = 0) -> Iterator[Event]:
        """Forward the next request with these bytes, but reset the connection instead of forwarding the response.

        The event is set when that has happened.

        Args:
            after_packets: so many packets of MySQL's protocol are forwarded first. A shorter response arrives.
        """
        self._lost.clear()
        self._lost_request, self._lost_after_packets = request, after_packets
        yield self._lost
        self._lost_request = b""
        self._run(self._forward_all_responses())

    def _set_mode(self, mode: str) -> None:
        async def apply() -> None:
            self._mode = mode
            for connection in list(self._connections):
                if mode == RESETTING or (mode == FORWARDING and connection.swallowing):
                    self.broken_count += 1
                    connection.abort()

        self._run(apply())

    async def _forward_all_responses(self) -> None:
        for connection in self._connections:
            connection.response_packets_left = None

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
        while tasks := asyncio.all_tasks(self._loop):  # a connection accepted last starts another task
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # aborted transports are closed in the next iteration

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        if self._mode == RESETTING:
            client.transport.abort()
            return
        try:
            server_reader, server = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:  # the server is not running
            client.transport.abort()
            return
        bytes_left = int(self._random.expovariate(1 / self._mean_bytes)) if self._random else UNLIMITED_BYTES
        connection = ProxiedConnection(client, server, bytes_left, swallowing=self._mode == SWALLOWING)
        self._connections.add(connection)
        await asyncio.gather(
            self._pump(connection, reader, server, True), self._pump(connection, server_reader, client, False)
        )
        self._connections.discard(connection)

    async def _pump(
        self,
        connection: ProxiedConnection,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        is_request: bool,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                connection.swallowing = connection.swallowing or self._mode == SWALLOWING
                if not connection.swallowing and not self._forward(connection, data, target, is_request):
                    break
        connection.abort()

    def _forward(
        self, connection: ProxiedConnection, data: bytes, target: asyncio.StreamWriter, is_request: bool
    ) -> bool:
        """Forward data; return False if the connection breaks here."""
        if is_request and self._lost_request and self._lost_request in data:
            connection.response_packets_left, self._lost_request = self._lost_after_packets, b""
        elif not is_request and connection.response_packets_left is not None:
            target.write(connection.take_packets(data))
            if not connection.response_packets_left:
                self.broken_count += 1
                self._lost.set()
            return bool(connection.response_packets_left)
        target.write(data[: connection.bytes_left])
        connection.bytes_left -= len(data)
        if connection.bytes_left < 0:
            self.broken_count += 1
        return connection.bytes_left >= 0
