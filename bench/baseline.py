"""The floor of a request: its round trips to MySQL, Redis and WeChat, replayed through the same drivers.

The handler's round trips are recorded below its adapters and replayed unchanged, so that the floor always belongs to
the version that is measured. Only what must be new in each request is replaced in the bytes: the idempotency key, the
seq that MySQL assigns, and values from earlier Redis replies (the version of a recent-message cache).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import pymysql

from chalicelib.adapters import https, mysql, mysql_statements, redis_protocol
from chalicelib.adapters import redis as cache

Arguments = list[Any]
ReplyPosition = tuple[int, int, int]  # round trip, command, element of its reply
MIN_LINKED_LENGTH = 16  # characters; a text this long does not occur in a reply by chance


class RedisCommands:
    """A round trip to Redis: a single command, or several in a pipeline."""

    def __init__(self, commands: list[Arguments], replies: list[Any], pipelined: bool) -> None:
        self.commands, self.replies, self.pipelined = commands, replies, pipelined
        # Arguments that repeat a value from an earlier reply: (command, index, position of the value).
        self.reply_links: list[tuple[Arguments, int, ReplyPosition]] = []
        # Message records, whose first element is the seq; the preceding argument is the seq too.
        self.records = [(one, at, str(word).partition(",")[2]) for one in commands for at, word in _find_records(one)]

    def replay(self, floor: "Baseline") -> None:
        """Execute the commands again with the current seq and the current values of earlier replies."""
        for one, at, (trip, command, item) in self.reply_links:
            one[at] = floor.replies[trip][command][item]
        if floor.seq:
            for one, at, rest in self.records:
                one[at - 1], one[at] = floor.seq, f"[{floor.seq},{rest}"
        if not self.pipelined:
            floor.replies.append([floor.redis.execute_command(*self.commands[0])])
            return
        pipe = floor.redis.pipeline(transaction=False)
        for one in self.commands:
            pipe.execute_command(*one)
        floor.replies.append(pipe.execute(raise_on_error=False))


class SqlPacket:
    """A packet of SQL. Its idempotency key (in hexadecimal, as PyMySQL writes bytes) is replaced by a new one."""

    replies: tuple[Any, ...] = ()

    def __init__(self, sql: bytes, key: str, is_lean: bool = False) -> None:
        hex_key = key.encode().hex().encode()
        self.sql, self.is_lean = sql, is_lean
        self.key = hex_key if hex_key in sql else b""

    def replay(self, floor: "Baseline") -> None:
        """Execute the packet with the current idempotency key and remember the seq that it returns."""
        sql = self.sql.replace(self.key, floor.key) if self.key else self.sql
        values = _query_lean(floor.mysql, sql) if self.is_lean else _query(floor.mysql, sql)
        if self.key and values:  # the lookup of an unknown key returns no row
            floor.seq = int(values[0].split()[0])
        floor.replies.append(values)


def _query(connection: Any, sql: bytes) -> list[Any]:
    """Execute a packet by PyMySQL and return the first column of all rows."""
    connection.query(sql)
    rows = list(connection._result.rows or ())
    while connection._result.has_next:
        connection.next_result()
        rows += connection._result.rows or ()
    return [row[0] for row in rows]


def _query_lean(connection: Any, sql: bytes) -> list[Any]:
    """Execute a packet as Tx.execute_lean_packet does and return the first column of all rows."""
    run: Any = mysql_statements._run_lean_packet
    return list(run(connection.cursor(), sql, None)[1])


class HttpCall:
    """A request to another server, sent again unchanged on a new connection; its signature stays valid for minutes."""

    replies: tuple[Any, ...] = ()

    def __init__(self, arguments: Arguments, options: dict[str, Any]) -> None:
        self.arguments, self.options = arguments, options

    def replay(self, floor: "Baseline") -> None:
        """Send the request again."""
        https.send_request(*self.arguments, **self.options)
        floor.replies.append([])


RoundTrip = RedisCommands | SqlPacket | HttpCall


class Baseline:
    """The floor's connections in one process, and the values that the replay in progress has received."""

    def __init__(self) -> None:
        self.redis = cache.get_client()
        self.mysql = mysql._connect()  # with the settings of the app's own connections
        self.key, self.seq = b"", 0
        self.replies: list[list[Any]] = []

    def replay(self, trips: list[RoundTrip], key: str = "") -> None:
        """Replay the round trips of one request; `key` is its idempotency key, if it has one."""
        self.key, self.seq, self.replies = key.encode().hex().encode(), 0, []
        for trip in trips:
            trip.replay(self)


def format_round_trips(trips: list[RoundTrip]) -> str:
    """Format round trips: M for a packet to MySQL, R3 for three commands to Redis, W for a call to WeChat."""
    return " ".join(
        f"R{len(one.commands)}" if isinstance(one, RedisCommands) else "M" if isinstance(one, SqlPacket) else "W"
        for one in trips
    )


@contextmanager
def record_round_trips(key: str = "") -> Iterator[list[RoundTrip]]:
    """Collect the round trips made in the block; `key` is the idempotency key of the request, if it has one."""
    trips: list[RoundTrip] = []

    def record_commands(original: Callable[..., Any], client: Any, commands: Any) -> Any:
        replies = original(client, commands)
        trips.append(RedisCommands([list(one) for one in commands], list(replies), pipelined=len(commands) > 1))
        return replies

    def record_http_call(original: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        trips.append(HttpCall(list(arguments), options))
        return original(*arguments, **options)

    with (
        _wrap_function(redis_protocol, "execute_commands", record_commands),
        _wrap_function(https, "send_request", record_http_call),
        _record_packets(trips, key),
    ):
        yield trips
    _link_replies(trips)


@contextmanager
def _record_packets(trips: list[RoundTrip], key: str) -> Iterator[None]:
    """Collect the packets sent to MySQL in the block."""

    def record_query(original: Callable[..., Any], connection: Any, sql: Any, **options: Any) -> Any:
        trips.append(SqlPacket(sql.encode("utf-8", "surrogateescape") if isinstance(sql, str) else sql, key))
        return original(connection, sql, **options)

    def record_lean_packet(original: Callable[..., Any], cursor: Any, sql: str, params: Any) -> Any:
        packet = cursor.mogrify(sql, params).encode("utf-8", "surrogateescape")
        trips.append(SqlPacket(packet, key, is_lean=True))
        return original(cursor, sql, params)

    def record_statement(statement: str) -> Callable[..., Any]:
        def record(original: Callable[..., Any], connection: Any) -> Any:
            trips.append(SqlPacket(statement.encode(), ""))
            return original(connection)

        return record

    connection = pymysql.connections.Connection
    with (
        _wrap_function(mysql_statements, "_run_lean_packet", record_lean_packet),
        _wrap_method(connection, "query", record_query),
        _wrap_method(connection, "begin", record_statement("BEGIN")),
        _wrap_method(connection, "commit", record_statement("COMMIT")),
        _wrap_method(connection, "rollback", record_statement("ROLLBACK")),
    ):
        yield


def _link_replies(trips: list[RoundTrip]) -> None:
    positions: dict[str, ReplyPosition] = {}
    for number, trip in enumerate(trips):
        if isinstance(trip, RedisCommands):
            trip.reply_links = [
                (one, at, positions[word]) for one in trip.commands for at, word in enumerate(one) if word in positions
            ]
        for command, reply in enumerate(trip.replies):
            for item, word in enumerate(reply if isinstance(reply, list) else ()):
                if isinstance(word, str) and len(word) >= MIN_LINKED_LENGTH:
                    positions[word] = (number, command, item)


def _find_records(arguments: Arguments) -> list[tuple[int, Any]]:
    return [(at, word) for at, word in enumerate(arguments) if isinstance(word, str) and word.startswith("[")]


def _wrap_function(owner: Any, name: str, wrapper: Callable[..., Any]) -> Any:
    return patch.object(owner, name, partial(wrapper, getattr(owner, name)))


def _wrap_method(owner: Any, name: str, wrapper: Callable[..., Any]) -> Any:
    original = getattr(owner, name)
    return patch.object(owner, name, lambda self, *arguments, **options: wrapper(original, self, *arguments, **options))
