"""Tokens: stored as hashes, valid without Redis, invalid at once when revoked."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from socket import socket

import pytest

from chalicelib import clock
from chalicelib.adapters import cache, mysql, redis
from chalicelib.adapters.mysql import Tx
from chalicelib.identity import internal_keys, tokens
from chalicelib.identity.tokens import Session
from chalicelib.people.roles import Role
from chalicelib.settings import settings
from tests.support.client import get
from tests.support.factories import Hospital, Person

PATH = "/msg_service/msg/patient/msg_list"


def get_status(token: str) -> int:
    """Return 400 for a valid token (required fields are missing) and 401 for any other."""
    return get(PATH, token).status


def build_key(token: str) -> str:
    return f"token:3:{{{hashlib.sha256(token.encode()).hexdigest()}}}"


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make Redis unreachable."""
    with socket() as unused, monkeypatch.context() as patch:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        patch.setattr(redis, "settings", replace(settings, redis_url=url))
        redis.close_connections()
        yield
    redis.close_connections()


def test_session_has_the_values_of_the_token(hospital: Hospital) -> None:
    token = tokens.issue(hospital.tenant_id, "session:访客一", Role.SESSION, platform=3)
    for _ in range(2):  # from MySQL, then from the cache
        session = tokens.find_session(token)
        assert session is not None
        assert session.expires_at > clock.now()
        values = (3, session.expires_at, session.last_used_at)
        assert session == Session(hospital.tenant_id, "session:访客一", Role.SESSION, *values)


def test_session_knows_the_key_that_issued_its_token(hospital: Hospital) -> None:
    arguments = (mysql.autocommit, hospital.tenant_id, "session:abc", Role.SESSION)
    key_id = internal_keys.authenticate(hospital.internal_key).key_id
    token = tokens.issue_in_transaction(*arguments, key_id=key_id)
    for _ in range(2):
        session = tokens.find_session(token)
        assert session is not None
        assert session.key_id == key_id


def test_tokens_are_unique(hospital: Hospital) -> None:
    issued = {tokens.issue(hospital.tenant_id, "user:1", Role.PATIENT) for _ in range(20)}
    assert len(issued) == 20
    assert all(len(token) == 43 and token.isascii() for token in issued)


def test_token_itself_is_not_stored(lin: Person) -> None:
    assert get_status(lin.token) == 400
    columns = mysql.autocommit.fetch_all(
        "SELECT table_name AS t, column_name AS c FROM information_schema.columns WHERE table_schema = DATABASE()"
    )
    for column in columns:
        sql = f"SELECT COUNT(*) FROM `{column['t']}` WHERE CAST(`{column['c']}` AS BINARY) LIKE %(token)s"
        assert mysql.run_autocommit(partial(Tx.fetch_value, sql=sql, token=f"%{lin.token}%")) == 0
    assert lin.token not in "".join(list_redis_content())


def list_redis_content() -> Iterator[str]:
    client = redis.get_client()
    read = {
        "string": client.get,
        "hash": client.hgetall,
        "zset": lambda key: client.zrange(key, 0, -1),
        "stream": client.xrange,
        "none": str,  # expired since the scan
    }
    for key in client.scan_iter():
        yield f"{key} {read[client.type(key)](key)}\n"


def test_session_is_cached_by_the_hash(lin: Person) -> None:
    assert get_status(lin.token) == 400
    assert redis.get_client().get(build_key(lin.token))


def test_token_stays_valid_after_a_flush_of_redis(lin: Person) -> None:
    assert get_status(lin.token) == 400
    redis.get_client().flushdb()
    assert get_status(lin.token) == 400


@pytest.mark.usefixtures("no_redis")
def test_tokens_work_without_redis(lin: Person) -> None:
    assert get_status(lin.token) == 400
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    assert get_status(lin.token) == 401


def test_cached_session_needs_no_mysql(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    session = tokens.find_session(lin.token)
    monkeypatch.setattr(mysql, "run_autocommit", None)
    assert tokens.find_session(lin.token) == session


def test_revoked_token_is_invalid_at_once_although_cached(lin: Person) -> None:
    assert get_status(lin.token) == 400
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    assert get_status(lin.token) == 401


def test_revoked_token_stays_invalid_after_a_flush_of_redis(lin: Person) -> None:
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    redis.get_client().flushdb()
    assert get_status(lin.token) == 401


def test_revoking_again_or_an_unknown_token_changes_nothing(lin: Person, wang: Person) -> None:
    for token in (lin.token, lin.token, "unknown"):
        tokens.revoke_by_hash(tokens.hash_token(token))
    assert (get_status(lin.token), get_status(wang.token)) == (401, 400)


def test_concurrent_read_does_not_cache_a_revoked_token(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    write = cache.write

    def revoke_and_write(key: str, text: str) -> None:
        tokens.revoke_by_hash(tokens.hash_token(lin.token))
        write(key, text)

    monkeypatch.setattr(cache, "write", revoke_and_write)
    assert tokens.find_session(lin.token) is not None  # it was valid when MySQL was read
    monkeypatch.undo()
    assert tokens.find_session(lin.token) is None
    assert redis.get_client().ttl(build_key(lin.token)) > cache.TTL_SECONDS


def test_cached_session_of_another_server_is_ignored(lin: Person) -> None:
    assert get_status(lin.token) == 400
    copy = str(redis.get_client().get(build_key(lin.token)))
    server = str(redis.get_client().info("server")["run_id"])
    assert copy.startswith(server)
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    redis.get_client().set(build_key(lin.token), copy.replace(server, "0" * 40))
    assert get_status(lin.token) == 401


def test_token_expires(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    token, issued_at = lin.token, clock.now()
    monkeypatch.setattr(clock, "now", lambda: issued_at + (settings.token_days * clock.DAY) - clock.SECOND * 60)
    assert get_status(token) == 400
    monkeypatch.setattr(clock, "now", lambda: issued_at + settings.token_days * clock.DAY)
    assert get_status(token) == 401
    redis.get_client().flushdb()
    assert get_status(token) == 401


@pytest.mark.parametrize("token", ["", " ", "x" * 43, "令牌", "\ud800", "\x00", "%s' OR 1=1 --", "a" * 512])
def test_malformed_token_is_rejected(token: str) -> None:
    assert get_status(token) == 401


def test_disabled_staff_are_signed_out_when_the_cache_expires(hospital: Hospital) -> None:
    chen = hospital.chen
    disable = "UPDATE staff SET disabled_at = 1 WHERE user_id = %(id)s"
    mysql.autocommit.execute(disable, id=chen.user_id)
    redis.get_client().delete(build_key(chen.token))
    assert tokens.find_session(chen.token) is None


def test_session_of_staff_has_the_present_role(hospital: Hospital) -> None:
    change = "UPDATE staff SET role = %(role)s WHERE user_id = %(id)s"
    mysql.autocommit.execute(change, role=Role.ADMIN, id=hospital.desk.user_id)
    session = tokens.find_session(hospital.desk.token)
    assert session is not None
    assert session.role == Role.ADMIN
