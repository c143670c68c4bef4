"""Scripts in Redis, by the client of one shard and by the client that follows several."""

import gc
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from socket import socket
from urllib.parse import urlsplit

import pytest
from redis import RedisCluster

from chalicelib import clock
from chalicelib.adapters import redis
from chalicelib.adapters.redis import RedisUnavailableError, Script
from chalicelib.settings import Settings, settings
from tests.support.faults.tcp_proxy import Proxy

ECHO = Script("return {KEYS[1], ARGV[1]}")
SERVER = Script("return server")
REMEMBER = Script("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])")
BROKEN = Script("return redis.call('NONSENSE')")
TWO_SLOTS = Script("redis.call('SET', KEYS[1], '1') redis.call('SET', KEYS[2], '1')")


@pytest.fixture(autouse=True, params=[False, True], ids=["one shard", "several"])
def client_of_its_own(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redis, "settings", replace(settings, redis_cluster=request.param))
    monkeypatch.setattr(redis, "_backoff_until", {})
    redis.get_client.cache_clear()
    yield
    if redis.get_client.cache_info().currsize:
        redis.get_client().close()
    redis.get_client.cache_clear()
    if request.param:
        collect_sockets()


def collect_sockets() -> None:
    """Have those of a cluster's client closed, which leaves them to the collector.

    It may come upon a socket before the connection that would close it, and then warns, in whatever test runs by then.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """A server that takes connections and never says a word; silence() is how many came since it was last called."""
    with socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        point_at(monkeypatch, server.getsockname()[1], timeout=0.3)
        yield lambda: sum(1 for _ in iter(lambda: taken(server), False))


def taken(server: socket) -> bool:
    """Take a connection that waits; False where none does."""
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def point_at(monkeypatch: pytest.MonkeyPatch, port: int, timeout: float = settings.redis_timeout_seconds) -> None:
    known: Settings = vars(redis)["settings"]
    there = replace(known, redis_url=f"redis://127.0.0.1:{port}/0", redis_timeout_seconds=timeout)
    monkeypatch.setattr(redis, "settings", there)


def key(tag: str = "") -> str:
    return f"test:{{{tag}{uuid.uuid4()}}}"


def test_a_script_answers_its_caller() -> None:
    where = key()
    assert redis.run_script(ECHO, [where], ["体温"]) == [where, "体温"]


def test_scripts_of_several_slots_share_one_round_trip() -> None:
    keys = [key() for _ in range(20)]
    answers = redis.run_scripts([(ECHO, [where], [n]) for n, where in enumerate(keys)])
    assert answers == [[where, str(n)] for n, where in enumerate(keys)]


def test_no_scripts_are_no_answers() -> None:
    assert redis.run_scripts([]) == []


def test_a_script_over_two_slots_is_refused() -> None:
    one, other = "test:{a}", "test:{b}"  # named, for two that are drawn may fall into one slot
    with pytest.raises(RedisUnavailableError):
        redis.run_script(TWO_SLOTS, [one, other], [])
    with pytest.raises(RedisUnavailableError):
        redis.run_scripts([(TWO_SLOTS, [one, other], [])])
    assert redis.get_client().get(one) is None


def test_a_forgotten_script_is_sent_again() -> None:
    redis.run_script(ECHO, [key()], [0])
    redis.get_client().script_flush()
    where = key()
    assert redis.run_script(ECHO, [where], ["在"]) == [where, "在"]


def test_forgotten_scripts_of_a_round_trip_are_sent_again_and_no_others() -> None:
    count, echo = key(), key()
    counting = Script("return redis.call('INCR', KEYS[1])")
    redis.run_scripts([(ECHO, [echo], [0]), (counting, [count], [])])
    redis.get_client().script_flush()
    redis.get_client().script_load(counting.body)  # ECHO alone is missing
    assert redis.run_scripts([(ECHO, [echo], ["在"]), (counting, [count], [])]) == [[echo, "在"], 2]


def test_what_a_server_would_not_do_now_is_asked_again_and_nothing_else() -> None:
    count, moving = key(), key()
    counting = Script("return redis.call('INCR', KEYS[1])")
    busy = Script(
        "if redis.call('INCR', KEYS[1]) == 1 then return redis.error_reply('TRYAGAIN moving') end return 'done'"
    )
    assert redis.run_scripts([(busy, [moving], []), (counting, [count], [])]) == ["done", 1]


def test_after_a_time_out_no_answer_is_taken_for_that_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "BACKOFF_SECONDS", 0)
    slow = Script("local n = 0 for i = 1, 4e7 do n = n + i end return 'late'")
    monkeypatch.setattr(redis, "settings", replace(vars(redis)["settings"], redis_timeout_seconds=0.05))
    with pytest.raises(RedisUnavailableError):
        redis.run_script(slow, [key()], [])
    for where in (key() for _ in range(100)):  # until the server has come to the end of it
        with suppress(RedisUnavailableError):
            assert redis.run_script(ECHO, [where], ["在"]) == [where, "在"]
            return
    pytest.fail("the server never answered again")


def test_a_broken_script_among_others_is_down_for_the_reader() -> None:
    where = key()
    with pytest.raises(RedisUnavailableError, match="ResponseError"):
        redis.run_scripts([(REMEMBER, [where], ["在"]), (BROKEN, [key()], [])])
    assert redis.get_client().get(where) == "在"


def test_a_script_knows_the_server_it_runs_on() -> None:
    assert redis.run_script(SERVER, [key()], []) == redis.get_client().info("server")["run_id"]


def test_where_nobody_listens_redis_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        point_at(monkeypatch, unused.getsockname()[1])
        assert_down()


def test_a_silent_server_is_asked_once_and_given_up_after_the_time_out(silence: Callable[[], int]) -> None:
    started = time.monotonic()
    with pytest.raises(RedisUnavailableError):
        redis.run_script(ECHO, [key()], [0])
    assert time.monotonic() - started >= vars(redis)["settings"].redis_timeout_seconds
    assert silence() == 1


def test_a_server_that_falls_silent_is_not_asked_over_another_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that follows several shards would otherwise look for where the answer has moved to, and wait again."""
    with Proxy(urlsplit(settings.redis_url).port or 0) as line:
        point_at(monkeypatch, line.port, timeout=1.0)
        follow = RedisCluster.from_url
        over_line = partial(follow, address_remap=lambda _: ("127.0.0.1", line.port))
        monkeypatch.setattr(RedisCluster, "from_url", over_line)
        redis.run_script(ECHO, [key()], [0])
        line.swallow_packets()
        before = line.connection_count
        with pytest.raises(RedisUnavailableError):
            redis.run_scripts([(ECHO, [key()], [0]), (ECHO, [key()], [0])])
        assert line.connection_count == before


def test_a_server_that_was_silent_is_spared_for_a_while_except_by_who_insists(
    silence: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "BACKOFF_SECONDS", 60)
    assert_down()
    assert silence() == 1
    assert not redis.try_script(ECHO, [key()], [0], ignore_backoff=True)
    assert silence() == 1
    later = clock.monotonic() + 61
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert_down()
    assert silence() >= 1


def test_a_server_that_refuses_at_once_is_not_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as unused, monkeypatch.context() as here:
        unused.bind(("127.0.0.1", 0))
        point_at(here, unused.getsockname()[1], timeout=1.0)
        assert_down()
        unused.listen()
        unused.settimeout(5)
        with pytest.raises(RedisUnavailableError):
            redis.run_script(ECHO, [key()], [0])
        unused.accept()[0].close()


def assert_down() -> None:
    with pytest.raises(RedisUnavailableError):
        redis.run_script(ECHO, [key()], [0])
    with pytest.raises(RedisUnavailableError):
        redis.run_scripts([(ECHO, [key()], [0])])


def test_what_can_be_done_without_is_only_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert redis.try_script(REMEMBER, [key()], ["在"])
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        point_at(monkeypatch, unused.getsockname()[1])
        redis.get_client.cache_clear()
        assert not redis.try_script(REMEMBER, [key()], ["在"])
    assert [record.message for record in caplog.records] == ["redis not reached"]
