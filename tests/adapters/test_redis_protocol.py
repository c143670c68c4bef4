"""Our connections to Redis behave like those of redis-py, in a cluster and with a password or TLS too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.connection import parse_url as parse_url_as_library
from redis.crc import key_slot

from chalicelib.adapters import redis, redis_connection, redis_protocol
from chalicelib.adapters.redis import RedisUnavailableError, Script
from chalicelib.settings import settings
from devstack.fakes import wechat_pay_keys
from tests.support.redis_servers import TwoNodes, run_server, run_tls_proxy, run_two_nodes, use_redis

ECHO = Script("return {KEYS[1], ARGV[1]}")
STORE = Script("redis.call('SET', KEYS[1], 'x') return 'stored'")
RESULTS = [
    "return {}",
    "return {1, {'二', {3, false}}, false, 'x'}",
    "return false",
    "return nil",
    "return true",
    "return 3.99",
    "return -9007199254740993",
    "return ''",
    "return string.rep('体', 200000)",
    "return redis.status_reply('FINE')",
    "return redis.call('SET', KEYS[1], '温')",
    "redis.call('HSET', KEYS[1], 'a', 1) return redis.call('HGETALL', KEYS[1])",
]


@pytest.fixture(autouse=True)
def default_connections() -> Iterator[None]:
    """End each test without the connections that it has opened."""
    yield
    redis.close_connections()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    with run_two_nodes(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def cluster(nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> TwoNodes:
    use_redis(monkeypatch, nodes.services[0].url, redis_cluster=True)
    return nodes


@pytest.fixture
def library_calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the commands that are repeated through redis-py."""
    calls: list[Any] = []
    execute = redis._execute_with_library

    def record(commands: list[Any]) -> list[Any]:
        calls.extend(commands)
        return execute(commands)

    monkeypatch.setattr(redis, "_execute_with_library", record)
    return calls


def find_key(name: str, node: int) -> str:
    """Return a key whose slot the first (0) or second (1) node holds initially."""
    keys = (f"test:{{{name} {n}}}" for n in range(1_000))
    return next(key for key in keys if redis_protocol.compute_slot(key) * 2 // redis_protocol.SLOT_COUNT == node)


@pytest.mark.parametrize("body", RESULTS)
def test_results_are_those_of_redis_py(body: str) -> None:
    key = "test:{results}"
    redis.get_client().delete(key)
    expected = redis.get_client().eval(body, 1, key)
    redis.get_client().delete(key)
    assert redis.run_script(Script(body), [key], []) == expected


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "redis://cache.example.com",
        "redis://:secret@cache:7000/3",
        "redis://user:p%40ss%2Fword%3A@cache/0",
        "rediss://:s@clustercfg.x.cache.amazonaws.com.cn:6380",
        "redis://[::1]:6379/2",
    ],
)
def test_url_is_read_as_redis_py_reads_it(url: str) -> None:
    library: dict[str, Any] = parse_url_as_library(url)  # type: ignore[no-untyped-call]
    (host, port), options = redis_connection.parse_url(url, 0.3, "roots.pem")
    assert (host, port, options.database) == (library["host"], library.get("port", 6379), library.get("db", 0))
    assert (options.username, options.password) == (library.get("username", ""), library.get("password", ""))
    assert bool(options.tls_ca_file) == ("connection_class" in library)


@pytest.mark.parametrize("url", ["http://cache", "redis://cache?socket_timeout=3", "cache:6379", "unix:///tmp/redis"])
def test_other_urls_are_invalid(url: str) -> None:
    with pytest.raises(ValueError, match="REDIS_URL"):
        redis_connection.parse_url(url, 0.3, "")


@pytest.mark.parametrize(
    "key", ["", "a", "feed:{user:12}", "{}", "{}{a}", "a{b}c{d}", "a{b", "a}b{c}", "{{a}}", "病人:{会话}", "a{}b", "}{"]
)
def test_slot_is_that_of_redis_py(key: str) -> None:
    assert redis_protocol.compute_slot(key) == key_slot(key.encode())


def test_server_without_a_host_has_that_of_the_server_that_was_queried() -> None:
    response = [[10, 20, ["", 1, "id"]], [0, 9, [None, 2]], [21, 30, ["?", 3]], [31, 40, ["b", 4, "id", []], ["c", 5]]]
    assert redis_protocol.parse_slots(response, "queried") == [
        (10, ("queried", 1)),
        (0, ("queried", 2)),
        (21, ("queried", 3)),
        (31, ("b", 4)),
    ]


@pytest.mark.usefixtures("cluster")
def test_round_trip_reaches_both_nodes_directly(library_calls: list[Any]) -> None:
    keys = [f"test:{{{n}}}" for n in range(20)]
    assert {redis_protocol.compute_slot(key) < 8192 for key in keys} == {True, False}
    assert redis.run_scripts([(ECHO, [key], [n]) for n, key in enumerate(keys)]) == [
        [key, str(n)] for n, key in enumerate(keys)
    ]
    assert library_calls == []


def test_moved_slot_is_followed_and_learned(cluster: TwoNodes, library_calls: list[Any]) -> None:
    key, other = find_key("moved", 0), find_key("other", 1)
    both = [(ECHO, [key], ["a"]), (ECHO, [other], ["b"])]
    redis.run_scripts(both)
    cluster.end_move(redis_protocol.compute_slot(key))
    assert redis.run_scripts(both) == [[key, "a"], [other, "b"]]
    assert [one[3] for one in library_calls] == [key]
    library_calls.clear()
    assert redis.run_scripts(both) == [[key, "a"], [other, "b"]]
    assert library_calls == []


def test_moving_slot_is_requested_from_its_new_node(cluster: TwoNodes, library_calls: list[Any]) -> None:
    key = find_key("moving", 0)
    redis.run_script(ECHO, [key], ["a"])
    cluster.begin_move(redis_protocol.compute_slot(key))
    assert redis.run_script(STORE, [key], []) == "stored"  # the second node asks for the whole script
    assert [one[0] for one in library_calls] == ["EVALSHA", "EVAL"]
    cluster.end_move(redis_protocol.compute_slot(key))


def test_waiting_in_a_moved_slot_fails_once(cluster: TwoNodes) -> None:
    stream = find_key("stream", 0)
    redis.wait_for_streams({stream: "0"}, 0.001)
    cluster.end_move(redis_protocol.compute_slot(stream))
    with pytest.raises(RedisUnavailableError, match="ResponseError"):
        redis.wait_for_streams({stream: "0"}, 0.001)
    redis.wait_for_streams({stream: "0"}, 0.001)


def test_cluster_without_slots_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_server(tmp_path / "empty") as server:
        use_redis(monkeypatch, server.url, redis_cluster=True)
        with pytest.raises(RedisUnavailableError):
            redis.run_script(ECHO, ["a"], ["b"])


def test_database_and_password_of_the_url_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--cluster-enabled", "no", "--requirepass", "p@ss", "--user", *["alice", "on", ">w:rd", "~*", "+@all"])
    with run_server(tmp_path / "protected", *options) as server:
        for login in (":p%40ss", "alice:w%3Ard", "default:p%40ss"):
            use_redis(monkeypatch, f"redis://{login}@127.0.0.1:{server.port}/3")
            assert redis.run_script(STORE, [login], []) == "stored"
            assert redis.get_client().get(login) == "x"
            use_redis(monkeypatch, f"redis://{login}@127.0.0.1:{server.port}/0")
            assert redis.get_client().get(login) is None
        for login, database in (("", 0), (":wrong@", 0), ("alice:p%40ss@", 0), (":p%40ss@", 99)):
            use_redis(monkeypatch, f"redis://{login}127.0.0.1:{server.port}/{database}")
            with pytest.raises(RedisUnavailableError, match="ResponseError"):
                redis.run_script(ECHO, ["a"], ["b"])


@pytest.mark.parametrize(
    ("host", "issuer", "accepted"),
    [("localhost", "server", True), ("127.0.0.1", "server", False), ("localhost", "platform", False)],
    ids=["valid", "other host", "other issuer"],
)
def test_certificate_must_be_valid_for_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, issuer: str, accepted: bool
) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_text(wechat_pay_keys.get_certificate_pem(issuer))
    with run_tls_proxy(wechat_pay_keys.create_tls_context(), urlsplit(settings.redis_url).port or 0) as port:
        use_redis(monkeypatch, f"rediss://{host}:{port}/0", tls_ca_file=str(roots), redis_timeout_seconds=2.0)
        if accepted:
            assert redis.run_script(ECHO, ["a"], ["体温"]) == ["a", "体温"]
            assert redis.get_client().eval("return ARGV[1]", 1, "a", "b") == "b"
        else:
            with pytest.raises(RedisUnavailableError, match="SSLCertVerificationError"):
                redis.run_script(ECHO, ["a"], ["b"])


def test_bytes_that_are_not_redis_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    port = urlsplit(settings.database_url).port  # MySQL speaks first
    use_redis(monkeypatch, f"redis://127.0.0.1:{port}/0")
    with pytest.raises(RedisUnavailableError, match="ProtocolError"):
        redis.run_script(ECHO, ["a"], ["b"])
