"""Commands to Redis and their answers, over the client library's connections but past its bookkeeping.

Its own ways of sending (execute_command, pipelines, cluster pipelines) cost a process two to five times as much as
the same bytes sent and read by its connections, and its pools as much again to lend one. What they are good at is left
to them: they follow a cluster that moves, and ask again where a connection broke.
"""

from collections.abc import Sequence
from typing import Any

import hiredis
from redis.exceptions import AskError, ClusterDownError, ConnectionError, ResponseError, TryAgainError

Command = tuple[Any, ...]  # name, script, number of keys, first key, …
FIRST_KEY_INDEX = 3
REDIRECT_ERRORS = (AskError, ClusterDownError, TryAgainError)  # and MovedError: the server did not do it, another may


def execute_commands(client: Any, commands: Sequence[Command]) -> list[Any]:
    """Return the answers in their order; an error that a server answered stands among them.

    All commands leave before the first answer is read. Raises RedisError or OSError where a connection failed.
    """
    try:
        answers = _send_and_read(client, commands)
    except ConnectionError:
        return _execute_in_pipeline(client, commands)
    moved = [i for i, answer in enumerate(answers) if isinstance(answer, REDIRECT_ERRORS)]
    if moved:
        for i, answer in zip(moved, _execute_in_pipeline(client, [commands[i] for i in moved]), strict=True):
            answers[i] = answer
    return answers


def execute_blocking(client: Any, key: str, command: Command, timeout: float) -> Any:
    """Return the answer to a command that may block so many seconds. Raises RedisError or OSError."""
    pool = _get_pool(client, key)
    line = pool.get_connection()
    try:
        line.send_packed_command(line.pack_commands([command]), check_health=False)
        return line.read_response(timeout=timeout)
    except BaseException:
        line.disconnect()
        raise
    finally:
        pool.release(line)


def _send_and_read(client: Any, commands: Sequence[Command]) -> list[Any]:
    pools = [_get_pool(client, command[FIRST_KEY_INDEX]) for command in commands]
    lines: dict[Any, Any] = {}
    try:
        for pool in dict.fromkeys(pools):
            lines[pool] = _get_connection(pool)
        for pool, line in lines.items():
            theirs = [hiredis.pack_command(one) for one, its in zip(commands, pools, strict=True) if its is pool]
            line.send_packed_command(theirs if len(theirs) == 1 else [b"".join(theirs)], check_health=False)
        return [_read_response(lines[pool]) for pool in pools]
    except BaseException:  # an answer that nobody read would be taken for that of the next command
        for line in lines.values():
            line.disconnect()
        raise
    finally:
        for pool, line in lines.items():
            _get_idle_connections(pool).append(line)


def _get_connection(pool: Any) -> Any:
    try:
        return _get_idle_connections(pool).pop()
    except IndexError:  # also where another thread was faster
        return pool.get_connection()


def _get_idle_connections(pool: Any) -> list[Any]:
    """Connections that were taken from the pool for good, newest last; one that broke connects when it is next used.

    They hang on the pool itself, and go with it: each names its pool, so that whatever else held them would keep every
    client that a cluster's has taken the place of, and its sockets.
    """
    lines: list[Any] = vars(pool).setdefault("lines_at_hand", [])
    return lines


def _get_pool(client: Any, key: str) -> Any:
    """The connections to the server that has the key."""
    if not hasattr(client, "get_node_from_key"):
        return client.connection_pool
    return client.get_redis_connection(client.get_node_from_key(key)).connection_pool


def _read_response(line: Any) -> Any:
    try:
        return line.read_response()
    except ResponseError as error:
        return error


def _execute_in_pipeline(client: Any, commands: Sequence[Command]) -> list[Any]:
    pipe = client.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    return list(pipe.execute(raise_on_error=False))
