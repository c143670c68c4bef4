"""Tokens: known to their owner alone, alive without Redis, dead at once when revoked."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from socket import socket

import pytest

from chalicelib import clock
from chalicelib.adapters import cache, mysql, redis
from chalicelib.adapters.mysql import Tx
from chalicelib.identity import tokens
from chalicelib.identity.tokens import Session
from chalicelib.people.roles import Role
from chalicelib.settings import settings
from tests.support.client import get
from tests.support.factories import Hospital, Person

PATH = "/msg_service/msg/patient/msg_list"


def status(token: str) -> int:
    """What the patient's list says to this token: 400 while it is alive (the fields are missing), 401 when dead."""
    return get(PATH, token).status


def key_of(token: str) -> str:
    return f"token:2:{{{hashlib.sha256(token.encode()).hexdigest()}}}"


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody listens where Redis should be."""
    with socket() as unused, monkeypatch.context() as here:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        here.setattr(redis, "settings", replace(settings, redis_url=url))
        redis.get_client.cache_clear()
        yield
    redis.get_client.cache_clear()


def test_a_token_carries_what_it_was_issued_for(hospital: Hospital) -> None:
    token = tokens.issue(hospital.tenant_id, "session:访客一", Role.SESSION, platform=3)
    for _ in range(2):  # from MySQL, then from the copy
        session = tokens.find_session(token)
        assert session is not None
        assert session.expires_at > clock.now()
        assert session == Session(hospital.tenant_id, "session:访客一", Role.SESSION, 3, session.expires_at)


def test_no_two_tokens_are_alike(hospital: Hospital) -> None:
    issued = {tokens.issue(hospital.tenant_id, "user:1", "patient") for _ in range(20)}
    assert len(issued) == 20
    assert all(len(token) == 43 and token.isascii() for token in issued)


def test_a_token_is_stored_nowhere(lin: Person) -> None:
    assert status(lin.token) == 400
    columns = mysql.autocommit.fetch_all(
        "SELECT table_name AS t, column_name AS c FROM information_schema.columns WHERE table_schema = DATABASE()"
    )
    for column in columns:
        sql = f"SELECT COUNT(*) FROM `{column['t']}` WHERE CAST(`{column['c']}` AS BINARY) LIKE %(token)s"
        assert mysql.run_autocommit(partial(Tx.fetch_value, sql=sql, token=f"%{lin.token}%")) == 0
    assert lin.token not in "".join(everything_in_redis())


def everything_in_redis() -> Iterator[str]:
    client = redis.get_client()
    read = {
        "string": client.get,
        "hash": client.hgetall,
        "zset": lambda key: client.zrange(key, 0, -1),
        "stream": client.xrange,
        "none": str,  # it has run out since it was found
    }
    for key in client.scan_iter():
        yield f"{key} {read[client.type(key)](key)}\n"


def test_the_copy_is_of_the_hash_alone(lin: Person) -> None:
    assert status(lin.token) == 400
    assert redis.get_client().get(key_of(lin.token))


def test_flushing_redis_signs_nobody_out(lin: Person) -> None:
    assert status(lin.token) == 400
    redis.get_client().flushdb()
    assert status(lin.token) == 400


@pytest.mark.usefixtures("no_redis")
def test_without_redis_a_token_lives_and_dies_as_ever(lin: Person) -> None:
    assert status(lin.token) == 400
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    assert status(lin.token) == 401


def test_a_token_read_from_its_copy_does_not_ask_mysql(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    session = tokens.find_session(lin.token)
    monkeypatch.setattr(mysql, "run_autocommit", None)
    assert tokens.find_session(lin.token) == session


def test_a_revoked_token_is_dead_at_once_although_it_was_copied(lin: Person) -> None:
    assert status(lin.token) == 400
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    assert status(lin.token) == 401


def test_a_revoked_token_stays_dead_when_redis_is_flushed(lin: Person) -> None:
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    redis.get_client().flushdb()
    assert status(lin.token) == 401


def test_revoking_twice_or_what_never_was_changes_nothing(lin: Person, wang: Person) -> None:
    for token in (lin.token, lin.token, "never was"):
        tokens.revoke_by_hash(tokens.hash_token(token))
    assert (status(lin.token), status(wang.token)) == (401, 400)


def test_who_read_a_token_before_it_was_revoked_does_not_revive_it(
    lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cache.write

    def revoked_meanwhile(key: str, text: str) -> None:
        tokens.revoke_by_hash(tokens.hash_token(lin.token))
        real(key, text)

    monkeypatch.setattr(cache, "write", revoked_meanwhile)
    assert tokens.find_session(lin.token) is not None  # it was alive when MySQL was asked
    monkeypatch.undo()
    assert tokens.find_session(lin.token) is None
    assert redis.get_client().ttl(key_of(lin.token)) > cache.TTL_SECONDS


def test_a_copy_that_came_back_with_another_server_is_not_believed(lin: Person) -> None:
    assert status(lin.token) == 400
    copy = str(redis.get_client().get(key_of(lin.token)))
    server = str(redis.get_client().info("server")["run_id"])
    assert copy.startswith(server)
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    redis.get_client().set(key_of(lin.token), copy.replace(server, "0" * 40))
    assert status(lin.token) == 401


def test_a_token_dies_of_age(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    token, born = lin.token, clock.now()
    monkeypatch.setattr(clock, "now", lambda: born + (settings.token_days * clock.DAY) - clock.SECOND * 60)
    assert status(token) == 400
    monkeypatch.setattr(clock, "now", lambda: born + settings.token_days * clock.DAY)
    assert status(token) == 401
    redis.get_client().flushdb()
    assert status(token) == 401


@pytest.mark.parametrize("token", ["", " ", "x" * 43, "令牌", "\ud800", "\x00", "%s' OR 1=1 --", "a" * 8000])
def test_what_is_no_token_signs_nobody_in(token: str) -> None:
    assert status(token) == 401


def test_disabled_staff_are_signed_out_within_the_minute_of_a_copy(hospital: Hospital) -> None:
    chen = hospital.chen
    disable = "UPDATE staff SET disabled_at = 1 WHERE user_id = %(id)s"
    mysql.autocommit.execute(disable, id=chen.user_id)
    redis.get_client().delete(key_of(chen.token))
    assert tokens.find_session(chen.token) is None


def test_a_token_has_the_role_of_today(hospital: Hospital) -> None:
    change = "UPDATE staff SET role = 'admin' WHERE user_id = %(id)s"
    mysql.autocommit.execute(change, id=hospital.desk.user_id)
    session = tokens.find_session(hospital.desk.token)
    assert session is not None
    assert session.role == "admin"
