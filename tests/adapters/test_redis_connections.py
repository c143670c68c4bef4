"""Idle connections to Redis: responses reach the thread that sent the command, and no connection leaks."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from socket import socket
from threading import Barrier
from typing import Any

import pytest
from redis import ConnectionPool

from chalicelib import clock
from chalicelib.adapters import redis, redis_protocol
from chalicelib.settings import settings
from tests.adapters.test_redis import ECHO, collect_sockets, key, separate_client
from tests.support.faults.final_state import wait_until

__all__ = ["separate_client"]

THREADS = 12


def test_connection_closed_while_idle_is_replaced() -> None:
    redis.run_script(ECHO, [key()], [0])
    redis.get_client().client_kill_filter(_type="normal", skipme=False)
    redis_key = key()
    assert redis.run_script(ECHO, [redis_key], [1]) == [redis_key, "1"]


def test_many_connections_closed_while_idle_are_all_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart of the server, with as many concurrent requests as before."""
    redis.run_script(ECHO, [key()], [0])
    get_connection, barrier = redis_protocol._get_connection, Barrier(THREADS, timeout=10)

    def get_connection_together(pool: Any) -> Any:
        connection = get_connection(pool)
        barrier.wait()
        return connection

    monkeypatch.setattr(redis_protocol, "_get_connection", get_connection_together)
    run_in_threads(lambda: redis.run_script(ECHO, [key()], [0]))
    redis.get_client().client_kill_filter(_type="normal", skipme=False)
    redis_key = key()
    for n in "12":
        assert run_in_threads(partial(redis.run_script, ECHO, [redis_key], [n])) == [[redis_key, n]] * THREADS


def test_no_thread_receives_the_response_of_another() -> None:
    def find_wrong_results() -> list[list[list[str]]]:
        keys = [key() for _ in range(50)]
        expected = [[[redis_key, "1"], [redis_key, "2"]] for redis_key in keys]
        results = [redis.run_scripts([(ECHO, [redis_key], [1]), (ECHO, [redis_key], [2])]) for redis_key in keys]
        return [result for result, wanted in zip(results, expected, strict=True) if result != wanted]

    assert run_in_threads(find_wrong_results) == [[]] * THREADS


def test_replaced_client_leaves_no_connection() -> None:
    def replace_client() -> int:
        redis.get_client.cache_clear()
        redis.run_script(ECHO, [key()], [0])
        collect_sockets()
        return len(redis.get_client().client_list())

    before = replace_client()
    for _ in range(5):
        replace_client()
    wait_until(lambda: len(redis.get_client().client_list()) <= before)


def test_waiting_lasts_until_there_is_an_entry() -> None:
    stream, started_at = key(), clock.monotonic()
    redis.wait_for_stream(stream, "0", 0.2)
    assert clock.monotonic() - started_at >= 0.2
    redis.get_client().xadd(stream, {"event": "{}"})
    redis.wait_for_stream(stream, "0", 60)
    assert clock.monotonic() - started_at < 30


def test_waiting_releases_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "MAX_CONNECTIONS", 4)
    stream = key()
    for _ in range(8):
        redis.wait_for_stream(stream, "0", 0.001)


def test_unreachable_server_uses_up_no_connections_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = ConnectionPool(host="127.0.0.1", port=unused.getsockname()[1])
        there = ConnectionPool.from_url(settings.redis_url, max_connections=1, decode_responses=True)
        monkeypatch.setattr(redis_protocol, "_get_pool", lambda _, redis_key: away if redis_key == "away" else there)
        for _ in range(3):
            redis_key = key()
            assert redis.run_scripts([(ECHO, [one], ["在"]) for one in (redis_key, "away")]) == [
                [redis_key, "在"],
                ["away", "在"],
            ]
        assert redis_protocol._send_and_read(redis.get_client(), [("EVAL", "return 'there'", 1, redis_key)]) == [
            "there"
        ]
        there.close()


def run_in_threads(work: Callable[[], Any]) -> list[Any]:
    redis.get_client()  # created first: threads that create it concurrently leave clients to the garbage collector
    with ThreadPoolExecutor(THREADS) as pool:
        return [call.result() for call in [pool.submit(work) for _ in range(THREADS)]]
