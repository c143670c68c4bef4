"""Redis: a copy of what MySQL knows, never the only one. Every caller can go on without it.

A script touches the keys of one hash tag only; what spans several tags goes as one pipeline of such scripts.
"""

import hashlib
import logging
from functools import cache
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError
from redis.retry import Retry

from chalicelib import clock
from chalicelib.adapters import redis_protocol
from chalicelib.settings import settings

logger = logging.getLogger(__name__)


MAX_CONNECTIONS = 2_000  # of a process: on a developer's machine each waiting listener holds one
BACKOFF_SECONDS = 1.0  # seconds for which a server that let a call time out is not asked again


class RedisUnavailableError(Exception):
    """Redis did not answer in time, or not with what was asked for."""


# A plain search: a pattern tries every place of the text anew, and takes as long as all the rest of a small script.
SERVER_ID_LUA = """local info = redis.call('INFO', 'server')
local at = string.find(info, 'run_id:', 1, true) + 7
local server = string.sub(info, at, at + 39)
"""


class Script:
    """Lua, sent by its hash. `server` inside it names the running server: a copy it did not make proves nothing."""

    def __init__(self, body: str) -> None:
        self.body = SERVER_ID_LUA + body
        self._sha1 = hashlib.sha1(self.body.encode()).hexdigest()

    def get_sha1(self) -> str:
        return self._sha1


ScriptCall = tuple[Script, list[str], list[Any]]


def run_script(script: Script, keys: list[str], arguments: list[Any]) -> Any:
    """Run one script and return its answer. Raises RedisUnavailableError."""
    return run_scripts([(script, keys, arguments)])[0]


def try_script(script: Script, keys: list[str], arguments: list[Any], insist: bool = False) -> bool:
    """Run one script whose effect can be done without; return whether it was reached."""
    return try_scripts([(script, keys, arguments)], insist) is not None


def try_scripts(calls: list[ScriptCall], insist: bool = False) -> list[Any] | None:
    """Run scripts whose effect can be done without; return their answers, None where not all were reached."""
    try:
        return run_scripts(calls, insist)
    except RedisUnavailableError as down:
        logger.warning("redis not reached", extra={"ids": {"reason": str(down)}})
        return None


def run_scripts(calls: list[ScriptCall], insist: bool = False) -> list[Any]:
    """Run several scripts in one round trip, each by itself. Raises RedisUnavailableError; some may then have run.

    A server that was silent a moment ago is not asked again for a second: else every step of a request would wait for
    it anew. insist asks all the same: what other processes must hear of is tried even then.
    """
    if not insist and clock.monotonic() < _backoff_until.get(settings.redis_url, 0.0):
        raise RedisUnavailableError("silent a moment ago")
    return list(_call_driver(_evaluate_scripts, calls)) if calls else []


def wait_for_stream(stream: str, after: str, seconds: float) -> None:
    """Wait until a stream has an entry behind the one named, or for so long. Raises RedisUnavailableError."""
    command = ("XREAD", "BLOCK", max(int(seconds * 1000), 1), "STREAMS", stream, after)
    _call_driver(
        lambda: redis_protocol.execute_blocking(
            get_client(), stream, command, seconds + settings.redis_timeout_seconds
        ),
        patience=seconds,
    )


_backoff_until: dict[str, float] = {}  # until when, by URL


def _call_driver(work: Any, *arguments: Any, patience: float = 0.0) -> Any:
    started = clock.monotonic() + patience
    try:
        return work(*arguments)
    except (RedisError, RedisClusterException, OSError) as error:  # the second is no kind of the first
        if clock.monotonic() - started >= settings.redis_timeout_seconds:
            _backoff_until[settings.redis_url] = clock.monotonic() + BACKOFF_SECONDS
        if settings.redis_cluster:
            get_client.cache_clear()  # the next one learns anew which servers there are
        raise RedisUnavailableError(type(error).__name__) from error


def _evaluate_scripts(calls: list[ScriptCall]) -> list[Any]:
    answers = redis_protocol.execute_commands(
        get_client(),
        [("EVALSHA", script.get_sha1(), *_build_eval_arguments(keys, more)) for script, keys, more in calls],
    )
    missing = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if missing:  # a restarted or failed-over server has forgotten them
        asked = [("EVAL", calls[i][0].body, *_build_eval_arguments(*calls[i][1:])) for i in missing]
        for i, answer in zip(missing, redis_protocol.execute_commands(get_client(), asked), strict=True):
            answers[i] = answer
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _build_eval_arguments(keys: list[str], arguments: list[Any]) -> list[Any]:
    return [len(keys), *keys, *arguments]


@cache
def get_client() -> Any:
    """The one client, made when first used. It follows several shards where REDIS_CLUSTER says so."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": settings.redis_timeout_seconds,
        "socket_connect_timeout": settings.redis_timeout_seconds,
        "max_connections": MAX_CONNECTIONS,
        # Once more for a connection that died unused, not for a time-out: that would double it.
        "retry": Retry(NoBackoff(), 1, (redis.ConnectionError,)),
    }
    if settings.redis_url.startswith("rediss:"):
        options["ssl_ca_certs"] = settings.tls_ca_file
    if settings.redis_cluster:
        return redis.RedisCluster.from_url(settings.redis_url, **options)
    return redis.Redis.from_url(settings.redis_url, **options)
