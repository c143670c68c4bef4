"""Scripts in Redis, with the client of one shard and with the cluster client."""

import gc
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from socket import socket
from urllib.parse import urlsplit

import pytest

from chalicelib import clock
from chalicelib.adapters import redis, redis_protocol
from chalicelib.adapters.redis import RedisUnavailableError, Script
from chalicelib.settings import Settings, settings
from tests.support.faults.tcp_proxy import Proxy

ECHO = Script("return {KEYS[1], ARGV[1]}")
SERVER = Script("return server")
REMEMBER = Script("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])")
BROKEN = Script("return redis.call('NONSENSE')")
TWO_SLOTS = Script("redis.call('SET', KEYS[1], '1') redis.call('SET', KEYS[2], '1')")


@pytest.fixture(autouse=True, params=[False, True], ids=["one shard", "cluster"])
def separate_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redis, "settings", replace(settings, redis_cluster=request.param))
    monkeypatch.setattr(redis, "_backoff_until", {})
    redis.close_connections()
    yield
    redis.close_connections()
    if request.param:
        collect_sockets()


def collect_sockets() -> None:
    """Close the sockets of a cluster client, which leaves them to the garbage collector.

    The collector may find a socket before the connection that would close it, and then warns in the running test.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def count_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """A server that accepts connections and never responds; the fixture returns the number of new connections."""
    with socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        set_redis_port(monkeypatch, server.getsockname()[1], timeout=0.3)
        yield lambda: sum(1 for _ in iter(lambda: accept_connection(server), False))


def accept_connection(server: socket) -> bool:
    """Accept a waiting connection; return False if there is none."""
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def set_redis_port(monkeypatch: pytest.MonkeyPatch, port: int, timeout: float = settings.redis_timeout_seconds) -> None:
    current: Settings = vars(redis)["settings"]
    changed_settings = replace(current, redis_url=f"redis://127.0.0.1:{port}/0", redis_timeout_seconds=timeout)
    monkeypatch.setattr(redis, "settings", changed_settings)


def key(tag: str = "") -> str:
    return f"test:{{{tag}{uuid.uuid4()}}}"


def test_script_returns_its_result() -> None:
    redis_key = key()
    assert redis.run_script(ECHO, [redis_key], ["体温"]) == [redis_key, "体温"]


def test_scripts_of_several_slots_share_one_round_trip() -> None:
    keys = [key() for _ in range(20)]
    results = redis.run_scripts([(ECHO, [redis_key], [n]) for n, redis_key in enumerate(keys)])
    assert results == [[redis_key, str(n)] for n, redis_key in enumerate(keys)]


def test_no_scripts_have_no_results() -> None:
    assert redis.run_scripts([]) == []


def test_script_over_two_slots_is_rejected() -> None:
    one, other = "test:{a}", "test:{b}"  # fixed, because two random keys may be in one slot
    with pytest.raises(RedisUnavailableError):
        redis.run_script(TWO_SLOTS, [one, other], [])
    with pytest.raises(RedisUnavailableError):
        redis.run_scripts([(TWO_SLOTS, [one, other], [])])
    assert redis.get_client().get(one) is None


def test_script_missing_on_the_server_is_sent_again() -> None:
    redis.run_script(ECHO, [key()], [0])
    redis.get_client().script_flush()
    redis_key = key()
    assert redis.run_script(ECHO, [redis_key], ["在"]) == [redis_key, "在"]


def test_only_missing_scripts_of_a_round_trip_are_sent_again() -> None:
    count, echo = key(), key()
    counting = Script("return redis.call('INCR', KEYS[1])")
    redis.run_scripts([(ECHO, [echo], [0]), (counting, [count], [])])
    redis.get_client().script_flush()
    redis.get_client().script_load(counting.body)  # ECHO alone is missing
    assert redis.run_scripts([(ECHO, [echo], ["在"]), (counting, [count], [])]) == [[echo, "在"], 2]


def test_only_commands_answered_with_try_again_are_repeated() -> None:
    count, moving = key(), key()
    counting = Script("return redis.call('INCR', KEYS[1])")
    busy = Script(
        "if redis.call('INCR', KEYS[1]) == 1 then return redis.error_reply('TRYAGAIN moving') end return 'done'"
    )
    assert redis.run_scripts([(busy, [moving], []), (counting, [count], [])]) == ["done", 1]


def test_late_response_is_not_read_by_a_later_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "BACKOFF_SECONDS", 0)
    slow = Script("local n = 0 for i = 1, 4e7 do n = n + i end return 'late'")
    monkeypatch.setattr(redis, "settings", replace(vars(redis)["settings"], redis_timeout_seconds=0.05))
    with pytest.raises(RedisUnavailableError):
        redis.run_script(slow, [key()], [])
    for redis_key in (key() for _ in range(100)):  # until the server has finished the slow script
        with suppress(RedisUnavailableError):
            assert redis.run_script(ECHO, [redis_key], ["在"]) == [redis_key, "在"]
            return
    pytest.fail("the server did not respond again")


def test_error_in_one_of_several_scripts_is_raised() -> None:
    redis_key = key()
    with pytest.raises(RedisUnavailableError, match="ResponseError"):
        redis.run_scripts([(REMEMBER, [redis_key], ["在"]), (BROKEN, [key()], [])])
    assert redis.get_client().get(redis_key) == "在"


def test_script_knows_the_run_id_of_its_server() -> None:
    assert redis.run_script(SERVER, [key()], []) == redis.get_client().info("server")["run_id"]


def test_unreachable_server_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        set_redis_port(monkeypatch, unused.getsockname()[1])
        assert_unavailable()


def test_silent_server_is_called_once_until_the_timeout(count_connections: Callable[[], int]) -> None:
    started = time.monotonic()
    with pytest.raises(RedisUnavailableError):
        redis.run_script(ECHO, [key()], [0])
    assert time.monotonic() - started >= vars(redis)["settings"].redis_timeout_seconds
    assert count_connections() == 1


def test_command_that_timed_out_is_not_repeated_on_another_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster would otherwise be asked for the node that the slot has moved to, and waited for again."""
    with Proxy(urlsplit(settings.redis_url).port or 0) as proxy:
        set_redis_port(monkeypatch, proxy.port, timeout=1.0)
        monkeypatch.setattr(redis_protocol, "parse_slots", lambda *_: [(0, ("127.0.0.1", proxy.port))])
        redis.run_script(ECHO, [key()], [0])
        proxy.swallow_packets()
        before = proxy.connection_count
        with pytest.raises(RedisUnavailableError):
            redis.run_scripts([(ECHO, [key()], [0]), (ECHO, [key()], [0])])
        assert proxy.connection_count == before


def test_calls_fail_at_once_after_a_timeout_unless_they_ignore_the_backoff(
    count_connections: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "BACKOFF_SECONDS", 60)
    assert_unavailable()
    assert count_connections() == 1
    assert redis.try_scripts([(ECHO, [key()], [0])]) is None
    assert not redis.try_script(ECHO, [key()], [0])
    assert count_connections() == 0
    assert not redis.try_script(ECHO, [key()], [0], ignore_backoff=True)
    assert count_connections() == 1
    later = clock.monotonic() + 61
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert_unavailable()
    assert count_connections() >= 1


def test_rejected_connection_starts_no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as unused, monkeypatch.context() as here:
        unused.bind(("127.0.0.1", 0))
        set_redis_port(here, unused.getsockname()[1], timeout=1.0)
        assert_unavailable()
        unused.listen()
        unused.settimeout(5)
        with pytest.raises(RedisUnavailableError):
            redis.run_script(ECHO, [key()], [0])
        unused.accept()[0].close()


def assert_unavailable() -> None:
    with pytest.raises(RedisUnavailableError):
        redis.run_script(ECHO, [key()], [0])
    with pytest.raises(RedisUnavailableError):
        redis.run_scripts([(ECHO, [key()], [0])])


def test_failure_of_a_tried_script_is_only_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert redis.try_script(REMEMBER, [key()], ["在"])
    with socket() as unused:
        unused.bind(("127.0.0.1", 0))
        set_redis_port(monkeypatch, unused.getsockname()[1])
        redis.close_connections()
        assert not redis.try_script(REMEMBER, [key()], ["在"])
    assert [record.message for record in caplog.records] == ["redis not reached"]
