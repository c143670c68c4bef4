"""Connections to Redis that are kept at hand: each one's answers are its asker's, and none is kept for nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from socket import socket
from threading import Barrier
from typing import Any

import pytest
from redis import ConnectionPool

from chalicelib.adapters import redis, redis_protocol
from chalicelib.settings import settings
from tests.adapters.test_redis import ECHO, client_of_its_own, collect_sockets, key
from tests.support.faults.final_state import wait_until

__all__ = ["client_of_its_own"]

CROWD = 12  # who ask at once


def test_a_connection_that_died_unused_is_replaced_without_a_word() -> None:
    redis.run_script(ECHO, [key()], [0])
    redis.get_client().client_kill_filter(_type="normal", skipme=False)
    where = key()
    assert redis.run_script(ECHO, [where], [1]) == [where, "1"]


def test_many_connections_that_died_unused_are_each_replaced_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart, when as many requests come at once as came before it."""
    redis.run_script(ECHO, [key()], [0])
    take, together = redis_protocol._get_connection, Barrier(CROWD, timeout=10)

    def taken_by_all(pool: Any) -> Any:
        line = take(pool)
        together.wait()
        return line

    monkeypatch.setattr(redis_protocol, "_get_connection", taken_by_all)
    everybody(lambda: redis.run_script(ECHO, [key()], [0]))
    redis.get_client().client_kill_filter(_type="normal", skipme=False)
    where = key()
    for n in "12":
        assert everybody(partial(redis.run_script, ECHO, [where], [n])) == [[where, n]] * CROWD


def test_no_thread_is_given_the_answer_of_another() -> None:
    def asked_and_answered() -> list[list[list[str]]]:
        wheres = [key() for _ in range(50)]
        asked = [[[where, "1"], [where, "2"]] for where in wheres]
        answered = [redis.run_scripts([(ECHO, [where], [1]), (ECHO, [where], [2])]) for where in wheres]
        return [one for one, its in zip(answered, asked, strict=True) if one != its]

    assert everybody(asked_and_answered) == [[]] * CROWD


def test_a_client_that_another_took_the_place_of_leaves_no_connection() -> None:
    def connections() -> int:
        redis.get_client.cache_clear()
        redis.run_script(ECHO, [key()], [0])
        collect_sockets()
        return len(redis.get_client().client_list())

    before = connections()
    for _ in range(5):
        connections()
    wait_until(lambda: len(redis.get_client().client_list()) <= before)


def test_a_server_that_cannot_be_reached_uses_up_no_connections_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = ConnectionPool(host="127.0.0.1", port=unused.getsockname()[1])
        there = ConnectionPool.from_url(settings.redis_url, max_connections=1, decode_responses=True)
        monkeypatch.setattr(redis_protocol, "_get_pool", lambda _, where: away if where == "away" else there)
        for _ in range(3):
            where = key()
            assert redis.run_scripts([(ECHO, [one], ["在"]) for one in (where, "away")]) == [
                [where, "在"],
                ["away", "在"],
            ]
        assert redis_protocol._send_and_read(redis.get_client(), [("EVAL", "return 'there'", 1, where)]) == ["there"]
        there.close()


def everybody(work: Callable[[], Any]) -> list[Any]:
    redis.get_client()  # made by one: threads that make it at once leave all but the last of theirs to the collector
    with ThreadPoolExecutor(CROWD) as pool:
        return [call.result() for call in [pool.submit(work) for _ in range(CROWD)]]
