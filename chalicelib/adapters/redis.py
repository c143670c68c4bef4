"""Run Lua scripts on Redis. Redis holds only copies of data in MySQL: every caller must work without it.

All keys of a script share one hash tag. Work on several hash tags is sent as one pipeline of scripts.

Commands are sent by redis_protocol.py. redis-py is imported only if a server of a cluster does not execute a command
because its slot has moved or is moving: importing it takes a third of a cold start.
"""

import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from chalicelib import clock
from chalicelib.adapters import redis_connection, redis_protocol
from chalicelib.adapters.redis_connection import ResponseError
from chalicelib.adapters.redis_protocol import Command, Servers
from chalicelib.settings import settings

logger = logging.getLogger(__name__)


BACKOFF_SECONDS = 1.0  # after a timeout, during which calls fail at once
# The server did not execute the command; another one may, or the same one a little later.
REDIRECTION_CODES = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN")


class RedisUnavailableError(Exception):
    """Redis did not respond in time or rejected a command."""


class Script:
    """A Lua script, sent by its SHA-1. The Lua variable `server` is the run id of the server, unless it is left out.

    Cached data stores the run id of the server that wrote it, so that data from another server (a replica that was
    promoted and may lack writes) is recognized and ignored.
    """

    def __init__(self, body: str, names_server: bool = True) -> None:
        self.body = (_SERVER_ID_LUA if names_server else "") + body
        self.sha1 = hashlib.sha1(self.body.encode()).hexdigest()


def load_script(module_file: str, *names: str, names_server: bool = True, **constants: int) -> Script:
    """Load a script from the `lua` folder beside a module.

    Args:
        module_file: the module's `__file__`.
        names: files (without .lua) that are joined in this order, so that scripts can share their first part.
        names_server: whether the files use `server`. Reading it takes as long as the rest of a small script.
        constants: numbers that the files use by these names; they become Lua locals in front of them.
    """
    declarations = "".join(f"local {name} = {value}\n" for name, value in constants.items())
    return Script(declarations + "".join(_read_lua(module_file, name) for name in names), names_server)


def _read_lua(module_file: str, name: str) -> str:
    return (Path(module_file).parent / "lua" / f"{name}.lua").read_text("utf-8")


_SERVER_ID_LUA = _read_lua(__file__, "server_id")


def generate_nonce() -> str:
    """Return a text that no other call returns, for example for a version that a script stores."""
    return secrets.token_hex(8)


ScriptCall = tuple[Script, list[str], list[Any]]
"""A script with its keys and arguments."""


@dataclass(slots=True)
class ScriptBatch:
    """Scripts that run in a round trip which another module makes for its own scripts."""

    calls: list[ScriptCall]
    undo: list[ScriptCall] = field(default_factory=list)  # to be run if the request is rejected after all
    replies: list[Any] | None = None  # None: they have not run, as far as is known


def undo_batch(batch: ScriptBatch | None) -> None:
    """Undo a batch that may have run, because the request is rejected after all."""
    if batch and batch.undo:
        try_scripts(batch.undo, ignore_backoff=True)


def run_with_batch(call: ScriptCall, batch: ScriptBatch | None) -> Any:
    """Run one script and the batch in one round trip; return the script's result. Raises RedisUnavailableError."""
    if batch is None:
        return run_script(*call)
    result, *batch.replies = run_scripts([call, *batch.calls])
    return result


def run_script(script: Script, keys: list[str], arguments: list[Any]) -> Any:
    """Run one script and return its result. Raises RedisUnavailableError."""
    return run_scripts([(script, keys, arguments)])[0]


def try_script(script: Script, keys: list[str], arguments: list[Any], ignore_backoff: bool = False) -> bool:
    """Run one script whose failure is tolerable; return whether it ran. See `run_scripts`."""
    return try_scripts([(script, keys, arguments)], ignore_backoff) is not None


def try_scripts(calls: list[ScriptCall], ignore_backoff: bool = False) -> list[Any] | None:
    """Run scripts whose failure is tolerable; return their results, or None if not all of them ran."""
    try:
        return run_scripts(calls, ignore_backoff)
    except RedisUnavailableError as error:
        logger.warning("redis not reached", extra={"ids": {"reason": str(error)}})
        return None


def run_scripts(calls: list[ScriptCall], ignore_backoff: bool = False) -> list[Any]:
    """Run several scripts in one round trip, each atomically by itself, and return their results.

    After a timeout, calls fail at once for BACKOFF_SECONDS; otherwise each step of a request would wait for the
    timeout again.

    Args:
        ignore_backoff: call Redis even then. For updates that other processes rely on.

    Raises:
        RedisUnavailableError: some of the scripts may have run.
    """
    if not ignore_backoff and clock.monotonic() < _backoff_until.get(settings.redis_url, 0.0):
        raise RedisUnavailableError("timed out recently")
    return list(_call_driver(_evaluate_scripts, calls)) if calls else []


def wait_for_streams(positions: Mapping[str, str], seconds: float) -> None:
    """Block until one of several streams has an entry after its given id, at most `seconds`.

    Args:
        positions: id by key; the keys share one hash tag.

    Raises:
        RedisUnavailableError
    """
    command = ("XREAD", "BLOCK", max(int(seconds * 1000), 1), "STREAMS", *positions.keys(), *positions.values())
    _call_driver(
        lambda: redis_protocol.execute_blocking(_get_servers(), command, seconds + settings.redis_timeout_seconds),
        expected_seconds=seconds,
    )


_backoff_until: dict[str, float] = {}  # clock.monotonic() by URL


def _call_driver(work: Callable[..., Any], *arguments: Any, expected_seconds: float = 0.0) -> Any:
    started = clock.monotonic() + expected_seconds
    try:
        return work(*arguments)
    except (ResponseError, OSError) as error:
        if clock.monotonic() - started >= settings.redis_timeout_seconds:
            _backoff_until[settings.redis_url] = clock.monotonic() + BACKOFF_SECONDS
        _get_servers().forget_slots()  # the next command asks the cluster again
        raise RedisUnavailableError(type(error).__name__) from error


def _evaluate_scripts(calls: list[ScriptCall]) -> list[Any]:
    results = _execute_commands(
        [("EVALSHA", script.sha1, len(keys), *keys, *arguments) for script, keys, arguments in calls]
    )
    errors = [i for i, result in enumerate(results) if isinstance(result, ResponseError)]
    missing = [i for i in errors if results[i].code == "NOSCRIPT"]
    if missing:  # the script cache is empty after a restart or failover
        commands = [
            ("EVAL", script.body, len(keys), *keys, *arguments)
            for script, keys, arguments in (calls[i] for i in missing)
        ]
        for i, result in zip(missing, _execute_commands(commands), strict=True):
            results[i] = result
    for i in errors:
        if isinstance(results[i], ResponseError):
            raise results[i]
    return results


def _execute_commands(commands: list[Command]) -> list[Any]:
    """Execute commands and repeat those that a server redirects; an error response is returned as a ResponseError."""
    responses = redis_protocol.execute_commands(_get_servers(), commands)
    redirected = [
        i
        for i, response in enumerate(responses)
        if isinstance(response, ResponseError) and response.code in REDIRECTION_CODES
    ]
    if redirected:
        _get_servers().forget_slots()
        repeated = _execute_with_library([commands[i] for i in redirected])
        for i, response in zip(redirected, repeated, strict=True):
            responses[i] = response
    return responses


@cache
def _get_servers() -> Servers:
    address, options = redis_connection.parse_url(
        settings.redis_url, settings.redis_timeout_seconds, settings.tls_ca_file
    )
    return Servers(address, options, settings.redis_cluster)


def close_connections() -> None:
    """Close all idle connections; the next call reads the settings again. For tests that change them."""
    if _get_servers.cache_info().currsize:
        _get_servers().close_idle()
    if get_client.cache_info().currsize:
        get_client().close()
    _get_servers.cache_clear()
    get_client.cache_clear()


def _execute_with_library(commands: list[Command]) -> list[Any]:
    """Execute commands through redis-py, which follows redirections. See `_execute_commands`."""
    from redis.exceptions import NoScriptError, RedisClusterException, RedisError

    try:
        pipe = get_client().pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        responses = pipe.execute(raise_on_error=False)
    except (RedisError, RedisClusterException) as error:  # RedisClusterException is not a RedisError
        get_client.cache_clear()  # the next client discovers the cluster's nodes again
        raise ConnectionError(type(error).__name__) from error
    return [
        ResponseError(f"{'NOSCRIPT ' if isinstance(one, NoScriptError) else ''}{one}")
        if isinstance(one, Exception)
        else one
        for one in responses
    ]


@cache
def get_client() -> Any:
    """Return redis-py's client of this process, which is created on first use. With REDIS_CLUSTER it follows a cluster.

    For redirected commands, and for tests and benchmarks, which use commands that the application does not.
    """
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": settings.redis_timeout_seconds,
        "socket_connect_timeout": settings.redis_timeout_seconds,
        # Retry once if an idle connection was closed, but not after a timeout: that would double the wait.
        "retry": Retry(NoBackoff(), 1, (redis.ConnectionError,)),
    }
    if settings.redis_url.startswith("rediss:"):
        options["ssl_ca_certs"] = settings.tls_ca_file
    if settings.redis_cluster:
        return redis.RedisCluster.from_url(settings.redis_url, **options)
    return redis.Redis.from_url(settings.redis_url, **options)
