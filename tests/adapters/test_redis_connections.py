"""Idle connections to Redis: responses reach the thread that sent the command, and no connection leaks."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from socket import socket
from threading import Barrier, local
from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib import clock
from chalicelib.adapters import redis, redis_protocol
from chalicelib.adapters.redis import RedisUnavailableError
from chalicelib.adapters.redis_connection import Address, RedisConnection
from chalicelib.adapters.redis_protocol import Servers
from chalicelib.settings import settings
from tests.adapters.test_redis import ECHO, key, separate_client
from tests.support.faults.final_state import wait_until

__all__ = ["separate_client"]

THREADS = 12


def test_connection_closed_while_idle_is_replaced() -> None:
    redis.run_script(ECHO, [key()], [0])
    kill_connections()
    redis_key = key()
    assert redis.run_script(ECHO, [redis_key], [1]) == [redis_key, "1"]


def test_many_connections_closed_while_idle_are_all_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart of the server, with as many concurrent requests as before."""
    redis.run_script(ECHO, [key()], [0])
    open_connection, barrier, own = Servers.take_connection, Barrier(THREADS, timeout=10), local()

    def open_together(servers: Servers, address: Address) -> RedisConnection:
        connection = open_connection(servers, address)
        if hasattr(own, "waits"):  # not an outbox worker of an earlier test
            barrier.wait()
        return connection

    def run_and_wait() -> object:
        own.waits = True
        return redis.run_script(ECHO, [key()], [0])

    with monkeypatch.context() as patch:
        patch.setattr(Servers, "take_connection", open_together)
        run_in_threads(run_and_wait)
    kill_connections()
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


def test_calls_in_turn_share_a_connection() -> None:
    redis.run_script(ECHO, [key()], [0])
    before = count_connections()
    for _ in range(3):
        redis.run_script(ECHO, [key()], [0])
        redis.wait_for_streams({key(): "0"}, 0.001)
    assert count_connections() == before


def test_failed_calls_leave_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    before = count_connections()
    with monkeypatch.context() as broken:
        broken.setattr(RedisConnection, "read_response", raise_timeout)
        for _ in range(3):
            with pytest.raises(RedisUnavailableError):
                redis.run_script(ECHO, [key()], [0])
    wait_until(lambda: count_connections() <= before)


def raise_timeout(*_: object) -> None:
    raise TimeoutError


def test_waiting_lasts_until_there_is_an_entry() -> None:
    stream, started_at = key(), clock.monotonic()
    redis.wait_for_streams({stream: "0"}, 0.2)
    assert clock.monotonic() - started_at >= 0.2
    redis.get_client().xadd(stream, {"event": "{}"})
    redis.wait_for_streams({stream: "0"}, 60)
    assert clock.monotonic() - started_at < 30


def test_waiting_on_a_closed_connection_uses_a_new_one() -> None:
    redis.run_script(ECHO, [key()], [0])
    kill_connections()
    redis.wait_for_streams({key(): "0"}, 0.001)


def test_timeout_of_a_wait_does_not_stay_on_its_connection() -> None:
    stream = key()
    redis.wait_for_streams({stream: "0"}, 0.001)
    servers = redis._get_servers()
    connection = servers.take_connection(servers.find_address(stream))
    assert connection._socket.gettimeout() == vars(redis)["settings"].redis_timeout_seconds
    connection.close()


def test_late_response_to_a_wait_is_not_read_by_a_later_command() -> None:
    stream, redis_key = key(), key()
    with pytest.raises(TimeoutError):
        redis_protocol.execute_blocking(redis._get_servers(), ("XREAD", "BLOCK", 50, "STREAMS", stream, "0"), 0.01)
    assert redis.run_script(ECHO, [redis_key], ["在"]) == [redis_key, "在"]


def test_unreachable_server_uses_up_no_connections_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = unused.getsockname()
        there = (urlsplit(settings.redis_url).hostname, urlsplit(settings.redis_url).port)
        monkeypatch.setattr(Servers, "find_address", lambda _, one: away if one == "away" else there)
        redis.run_script(ECHO, [key()], [0])
        before = count_connections()
        for _ in range(3):
            with pytest.raises(RedisUnavailableError, match="ConnectionRefusedError"):
                redis.run_scripts([(ECHO, [one], ["在"]) for one in (key(), "away")])
        redis.run_script(ECHO, [key()], [0])
        wait_until(lambda: count_connections() <= before)


def kill_connections() -> None:
    redis.get_client().client_kill_filter(_type="normal", skipme=True)


def count_connections() -> int:
    return len(redis.get_client().client_list())


def run_in_threads(work: Callable[[], Any]) -> list[Any]:
    redis._get_servers()  # created first: threads would create several, and leave all but one to the garbage collector
    with ThreadPoolExecutor(THREADS) as pool:
        return [call.result() for call in [pool.submit(work) for _ in range(THREADS)]]
