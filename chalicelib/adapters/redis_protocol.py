"""Send commands to Redis: one server, or the servers of a cluster by the slots of their keys.

A pipeline of redis-py costs two to five times as much CPU time as sending and reading the same bytes. Redirections
during a change of the cluster are left to redis-py: adapters/redis.py repeats redirected commands through it.
"""

from binascii import crc_hqx
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import hiredis

from chalicelib.adapters.redis_connection import Address, Options, RedisConnection, ResponseError

Command = tuple[Any, ...]
SCRIPT_KEY_INDEX = 3  # EVALSHA, script, number of keys, first key, …
STREAM_KEY_INDEX = 4  # XREAD, BLOCK, milliseconds, STREAMS, stream, …
CLUSTER_SLOTS: Command = ("CLUSTER", "SLOTS")
SLOT_COUNT = 16384
T = TypeVar("T")


class SlotMap:
    """Which server of a cluster holds which slots."""

    def __init__(self, ranges: Sequence[tuple[int, Address]]) -> None:
        """Store the ranges: the first slot and the server of each."""
        ordered = sorted(ranges)
        self._starts, self._addresses = [start for start, _ in ordered], [address for _, address in ordered]
        self._only = self._addresses[0] if len(set(self._addresses)) == 1 else None

    def find_address(self, key: str) -> Address:
        """Return the server that holds a key; any server for a slot that no server holds."""
        return self._only or self._addresses[bisect_right(self._starts, compute_slot(key)) - 1]


def compute_slot(key: str) -> int:
    """Return the slot of a key: that of its hash tag, the text in its first {braces}, if it has one.

    Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
    """
    _, opened, rest = key.partition("{")
    tag, closed, _ = rest.partition("}")
    return crc_hqx((tag if opened and closed and tag else key).encode(), 0) % SLOT_COUNT


class Servers:
    """The servers of a Redis installation, and the idle connections to each."""

    def __init__(self, address: Address, options: Options, cluster: bool) -> None:
        """Store the address, with `cluster` of any server of a cluster. Connections are opened when needed."""
        self._address, self._options, self._cluster = address, options, cluster
        self._slots = None if cluster else SlotMap([(0, address)])
        self._idle: dict[Address, list[RedisConnection]] = {}  # newest last; list.append and list.pop are atomic

    def find_address(self, key: str) -> Address:
        """Return the server that holds a key. Raises OSError or ResponseError if a cluster cannot be queried."""
        if self._slots is None:
            self._slots = self._fetch_slots()
        return self._slots.find_address(key)

    def forget_slots(self) -> None:
        """Ask the cluster again at the next command which server holds which slots."""
        self._slots = None if self._cluster else self._slots

    def take_connection(self, address: Address) -> RedisConnection:
        """Return an idle connection, or open one. Raises OSError or ResponseError."""
        try:
            return self._idle[address].pop()
        except (KeyError, IndexError):  # checked here and not before: another thread may take the last one
            return RedisConnection(address, self._options)

    def release_connection(self, address: Address, connection: RedisConnection) -> None:
        """Keep a connection that all responses were read from."""
        self._idle.setdefault(address, []).append(connection)

    def close_idle(self) -> None:
        """Close all idle connections: after one was found broken, the others most likely are, too."""
        for connections in list(self._idle.values()):
            with suppress(IndexError):
                while True:
                    connections.pop().close()

    def _fetch_slots(self) -> SlotMap:
        connection = self.take_connection(self._address)
        try:
            connection.send(hiredis.pack_command(CLUSTER_SLOTS))
            response = connection.read_response()
        except BaseException:
            connection.close()
            raise
        self.release_connection(self._address, connection)
        if isinstance(response, ResponseError):
            raise response
        ranges = parse_slots(response, self._address[0])
        if not ranges:
            raise ConnectionError("the cluster has no slots")
        return SlotMap(ranges)


def parse_slots(response: list[Any], default_host: str) -> list[tuple[int, Address]]:
    """Return the first slot and the primary of each range of a response to CLUSTER SLOTS.

    A server may not know its own host; it is then the one that was queried.

    Source: https://redis.io/docs/latest/commands/cluster-slots/
    """
    return [
        (start, (host if host and host != "?" else default_host, port)) for start, _, (host, port, *_), *_ in response
    ]


def execute_commands(servers: Servers, commands: Sequence[Command]) -> list[Any]:
    """Send all commands, each with a key at SCRIPT_KEY_INDEX, before reading the first response.

    Returns:
        The response to each command; an error response is returned as a ResponseError.

    Raises:
        OSError: a connection failed; some of the commands may have been executed.
        ResponseError: a connection was rejected.
    """
    return _retry_once(servers, lambda: _send_and_read(servers, commands))


def execute_blocking(servers: Servers, command: Command, seconds: float) -> Any:
    """Return the response to a command with a key at STREAM_KEY_INDEX; wait `seconds` for it.

    Raises:
        OSError: a connection failed.
        ResponseError: the command or a connection was rejected.
    """
    response = _retry_once(servers, lambda: _send_and_wait(servers, command, seconds))
    if isinstance(response, ResponseError):
        raise response
    return response


def _retry_once(servers: Servers, work: Callable[[], T]) -> T:
    """Retry with new connections, because an idle one may be closed; not after a timeout, to wait only once."""
    try:
        return work()
    except TimeoutError:
        raise
    except OSError:
        servers.close_idle()
        servers.forget_slots()
        return work()


def _send_and_read(servers: Servers, commands: Sequence[Command]) -> list[Any]:
    addresses = [servers.find_address(command[SCRIPT_KEY_INDEX]) for command in commands]
    connections: dict[Address, RedisConnection] = {}
    try:
        for address in addresses:
            if address not in connections:
                connections[address] = servers.take_connection(address)
        for address, connection in connections.items():
            packed = [
                hiredis.pack_command(command)
                for command, its_address in zip(commands, addresses, strict=True)
                if its_address == address
            ]
            connection.send(packed[0] if len(packed) == 1 else b"".join(packed))
        responses = [connections[address].read_response() for address in addresses]
    except BaseException:  # the next command would read a response that is still to come
        for connection in connections.values():
            connection.close()
        raise
    for address, connection in connections.items():
        servers.release_connection(address, connection)
    return responses


def _send_and_wait(servers: Servers, command: Command, seconds: float) -> Any:
    address = servers.find_address(command[STREAM_KEY_INDEX])
    connection = servers.take_connection(address)
    try:
        connection.send(hiredis.pack_command(command))
        response = connection.read_late_response(seconds)
    except BaseException:
        connection.close()
        raise
    servers.release_connection(address, connection)
    return response
