"""Send commands to Redis over the client library's connections, without its per-command overhead.

The library's execute_command, pipelines and cluster pipelines cost two to five times as much CPU time as sending and
reading the same bytes on its connections, and its connection pools cost as much again. The library still tracks the
nodes of a cluster and repeats commands after redirections and broken connections.
"""

from collections.abc import Sequence
from typing import Any

import hiredis
from redis.exceptions import AskError, ClusterDownError, ConnectionError, ResponseError, TryAgainError

Command = tuple[Any, ...]  # name, script, number of keys, first key, …
FIRST_KEY_INDEX = 3
# Includes MovedError, a subclass of AskError: this node did not execute the command, another one may.
REDIRECT_ERRORS = (AskError, ClusterDownError, TryAgainError)


def execute_commands(client: Any, commands: Sequence[Command]) -> list[Any]:
    """Send all commands before reading the first response, and return the responses in their order.

    Returns:
        One element for each command; an error response is returned as an exception object.

    Raises:
        RedisError, OSError: a connection failed.
    """
    try:
        responses = _send_and_read(client, commands)
    except ConnectionError:
        return _execute_in_pipeline(client, commands)
    redirected = [i for i, response in enumerate(responses) if isinstance(response, REDIRECT_ERRORS)]
    if redirected:
        repeated = _execute_in_pipeline(client, [commands[i] for i in redirected])
        for i, response in zip(redirected, repeated, strict=True):
            responses[i] = response
    return responses


def execute_blocking(client: Any, key: str, command: Command, timeout: float) -> Any:
    """Return the response to a command that blocks for up to `timeout` seconds. Raises RedisError or OSError."""
    pool = _get_pool(client, key)
    connection = pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands([command]), check_health=False)
        return connection.read_response(timeout=timeout)
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _send_and_read(client: Any, commands: Sequence[Command]) -> list[Any]:
    pools = [_get_pool(client, command[FIRST_KEY_INDEX]) for command in commands]
    connections: dict[Any, Any] = {}  # by pool
    try:
        for pool in dict.fromkeys(pools):
            connections[pool] = _get_connection(pool)
        for pool, connection in connections.items():
            packed = [
                hiredis.pack_command(command)
                for command, its_pool in zip(commands, pools, strict=True)
                if its_pool is pool
            ]
            connection.send_packed_command(packed if len(packed) == 1 else [b"".join(packed)], check_health=False)
        return [_read_response(connections[pool]) for pool in pools]
    except BaseException:  # the next command would read a response that is still to come
        for connection in connections.values():
            connection.disconnect()
        raise
    finally:
        for pool, connection in connections.items():
            _get_idle_connections(pool).append(connection)


def _get_connection(pool: Any) -> Any:
    try:
        return _get_idle_connections(pool).pop()
    except IndexError:  # checked here and not before: another thread may take the last one
        return pool.get_connection()


def _get_idle_connections(pool: Any) -> list[Any]:
    """Return the connections that were taken out of the pool and are idle, newest last; broken ones reconnect on use.

    The list is an attribute of the pool so that both are freed together. Connections refer to their pool: a global
    list would keep every client that a cluster client has replaced alive, and its sockets open.
    """
    connections: list[Any] = vars(pool).setdefault("idle_connections", [])
    return connections


def _get_pool(client: Any, key: str) -> Any:
    """Return the connection pool of the server that holds the key."""
    if not hasattr(client, "get_node_from_key"):
        return client.connection_pool
    return client.get_redis_connection(client.get_node_from_key(key)).connection_pool


def _read_response(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _execute_in_pipeline(client: Any, commands: Sequence[Command]) -> list[Any]:
    pipe = client.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    return list(pipe.execute(raise_on_error=False))
