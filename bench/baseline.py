"""The floor: what the handler asked of MySQL, Redis and WeChat, asked again by the same drivers and nothing else.

The handler's own round trips are recorded below its adapters and replayed as they were, so that the floor is never
that of another version. What must be new each time is replaced in the bytes: an idempotency key, the seq that MySQL
gives, and what an earlier answer of Redis told (a tail's version).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import pymysql

from chalicelib.adapters import https, mysql, redis_protocol
from chalicelib.adapters import redis as cache

Arguments = list[Any]
MIN_LINKED_LENGTH = 16  # characters of a text that no answer holds by chance


class RedisCommands:
    """Commands to Redis, one by itself or several in a pipeline."""

    def __init__(self, commands: list[Arguments], answers: list[Any], piped: bool) -> None:
        self.commands, self.answers, self.pipelined = commands, answers, piped
        self.answer_links: list[
            tuple[Arguments, int, tuple[int, int, int]]
        ] = []  # an argument, and the answer it repeats
        # A record begins with its seq, and follows it.
        self.records = [(one, at, str(word).partition(",")[2]) for one in commands for at, word in _find_records(one)]

    def replay(self, floor: "Baseline") -> None:
        for one, at, (trip, command, item) in self.answer_links:
            one[at] = floor.answers[trip][command][item]
        if floor.seq:
            for one, at, rest in self.records:
                one[at - 1], one[at] = floor.seq, f"[{floor.seq},{rest}"
        if not self.pipelined:
            floor.answers.append([floor.redis.execute_command(*self.commands[0])])
            return
        pipe = floor.redis.pipeline(transaction=False)
        for one in self.commands:
            pipe.execute_command(*one)
        floor.answers.append(pipe.execute(raise_on_error=False))


class SqlPacket:
    """One packet of SQL; the idempotency key in it (PyMySQL writes bytes in hex) is replaced by a new one as long."""

    answers: tuple[Any, ...] = ()

    def __init__(self, sql: bytes, key: str) -> None:
        hexed = key.encode().hex().encode()
        self.sql = sql
        self.key = hexed if hexed in sql else b""

    def replay(self, floor: "Baseline") -> None:
        connection: Any = floor.mysql
        connection.query(self.sql.replace(self.key, floor.key) if self.key else self.sql)
        rows = list(connection._result.rows or ())
        while connection._result.has_next:
            connection.next_result()
            rows += connection._result.rows or ()
        if self.key and rows:  # a look whether the key is known has none
            floor.seq = int(rows[0][0].split()[0])
        floor.answers.append(rows)


class HttpCall:
    """A request to another server, sent again on a line of its own as it was; its signature is good for minutes."""

    answers: tuple[Any, ...] = ()

    def __init__(self, arguments: Arguments, options: dict[str, Any]) -> None:
        self.arguments, self.options = arguments, options

    def replay(self, floor: "Baseline") -> None:
        https.send_request(*self.arguments, **self.options)
        floor.answers.append([])


RoundTrip = RedisCommands | SqlPacket | HttpCall


class Baseline:
    """One process's bare connections, and what a request in progress has been told."""

    def __init__(self) -> None:
        self.redis = cache.get_client()
        self.mysql = mysql._connect()  # as the bundle opens its own
        self.key, self.seq = b"", 0
        self.answers: list[list[Any]] = []

    def replay(self, trips: list[RoundTrip], key: str = "") -> None:
        self.key, self.seq, self.answers = key.encode().hex().encode(), 0, []
        for trip in trips:
            trip.replay(self)


def format_round_trips(trips: list[RoundTrip]) -> str:
    """Name the round trips: M for a packet to MySQL, R3 for three commands to Redis, W for a call of WeChat's."""
    return " ".join(
        f"R{len(one.commands)}" if isinstance(one, RedisCommands) else "M" if isinstance(one, SqlPacket) else "W"
        for one in trips
    )


@contextmanager
def record_round_trips(key: str = "") -> Iterator[list[RoundTrip]]:
    """Collect the round trips that are made inside; `key` is the idempotency key of a write."""
    trips: list[RoundTrip] = []

    def ask(do: Callable[..., Any], client: Any, commands: Any) -> Any:
        answers = do(client, commands)
        trips.append(RedisCommands([list(one) for one in commands], list(answers), piped=len(commands) > 1))
        return answers

    def query(do: Callable[..., Any], connection: Any, sql: Any, **options: Any) -> Any:
        trips.append(SqlPacket(sql.encode("utf-8", "surrogateescape") if isinstance(sql, str) else sql, key))
        return do(connection, sql, **options)

    def call(do: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        trips.append(HttpCall(list(arguments), options))
        return do(*arguments, **options)

    def turn(word: str) -> Callable[..., Any]:
        def said(do: Callable[..., Any], connection: Any) -> Any:
            trips.append(SqlPacket(word.encode(), ""))
            return do(connection)

        return said

    line = pymysql.connections.Connection
    with (
        patch.object(redis_protocol, "execute_commands", partial(ask, redis_protocol.execute_commands)),
        patch.object(https, "send_request", partial(call, https.send_request)),
        _wrap_method(line, "query", query),
        _wrap_method(line, "begin", turn("BEGIN")),
        _wrap_method(line, "commit", turn("COMMIT")),
        _wrap_method(line, "rollback", turn("ROLLBACK")),
    ):
        yield trips
    _link_answers(trips)


def _link_answers(trips: list[RoundTrip]) -> None:
    told: dict[str, tuple[int, int, int]] = {}
    for number, trip in enumerate(trips):
        if isinstance(trip, RedisCommands):
            trip.answer_links = [
                (one, at, told[word]) for one in trip.commands for at, word in enumerate(one) if word in told
            ]
        for command, answer in enumerate(trip.answers):
            for item, word in enumerate(answer if isinstance(answer, list) else ()):
                if isinstance(word, str) and len(word) >= MIN_LINKED_LENGTH:
                    told[word] = (number, command, item)


def _find_records(arguments: Arguments) -> list[tuple[int, Any]]:
    return [(at, word) for at, word in enumerate(arguments) if isinstance(word, str) and word.startswith("[")]


def _wrap_method(owner: Any, name: str, wrapper: Callable[..., Any]) -> Any:
    do = getattr(owner, name)
    return patch.object(owner, name, lambda self, *arguments, **options: wrapper(do, self, *arguments, **options))
