"""Redis accepts commands and never responds: a request waits for it once or twice, not at every step."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib import clock
from chalicelib.adapters import redis
from chalicelib.messaging import recent_cache
from chalicelib.settings import settings
from tests.support import consult_client
from tests.support.conversation_log import SendMessage, read_newest
from tests.support.factories import Person
from tests.support.faults.tcp_proxy import Proxy
from tests.support.faults.worker_pool import route_through


@pytest.fixture
def redis_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Route this process's connections to Redis through a proxy.

    The timeout is longer than a busy machine takes; the backoff is longer than a test takes, but shorter than the
    distrust of a cache.
    """
    with Proxy(urlsplit(settings.redis_url).port or 0) as proxy:
        over_line = replace(settings, redis_url=route_through(settings.redis_url, proxy), redis_timeout_seconds=1.0)
        monkeypatch.setattr(redis, "settings", over_line)
        monkeypatch.setattr(redis, "BACKOFF_SECONDS", 15)
        redis.close_connections()
        yield proxy
        redis.close_connections()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the errors of calls that waited for Redis in vain."""
    errors: list[str] = []
    call = redis._call_driver

    def call_and_record(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except redis.RedisUnavailableError as error:
            errors.append(str(error))
            raise

    monkeypatch.setattr(redis, "_call_driver", call_and_record)
    return errors


def advance_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monotonic = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + seconds)


def test_read_waits_for_redis_once_and_send_twice(
    redis_proxy: Proxy, lin: Person, chen: Person, waits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session_no = consult_client.create_session(lin, chen)
    consult_client.send_as_patient(lin, chen, "一", session_no=session_no)
    consult_client.list_as_doctor(chen, session_no)
    redis_proxy.swallow_packets()
    assert consult_client.list_texts(consult_client.list_as_doctor(chen, session_no)) == ["一"]
    assert waits == ["TimeoutError"]
    advance_clock(monkeypatch, redis.BACKOFF_SECONDS)
    assert consult_client.send_as_patient(lin, chen, "二", session_no=session_no).status == 200
    assert waits == ["TimeoutError"] * 3  # the last of them to publish, which is always tried
    assert consult_client.list_texts(consult_client.list_as_doctor(chen, session_no)) == ["二", "一"]
    assert len(consult_client.list_doctor_sessions(chen)) == 1
    assert len(waits) == 3


def test_redis_is_used_again_after_backoff(
    redis_proxy: Proxy,
    conversation: str,
    lin: Person,
    send_message: SendMessage,
    mysql_reads: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send_message("一")
    redis_proxy.swallow_packets()
    read_newest(conversation, lin)
    redis_proxy.restore()
    mysql_reads.clear()
    assert read_newest(conversation, lin) == ["一"]
    assert mysql_reads == ["fetch_snapshot"]
    advance_clock(monkeypatch, redis.BACKOFF_SECONDS)
    read_newest(conversation, lin)
    mysql_reads.clear()
    assert read_newest(conversation, lin) == ["一"]
    assert mysql_reads == []


def test_message_sent_during_backoff_is_published(
    redis_proxy: Proxy,
    conversation: str,
    lin: Person,
    chen: Person,
    send_message: SendMessage,
    mysql_reads: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_newest(conversation, chen)
    redis_proxy.swallow_packets()
    read_newest(conversation, lin)
    redis_proxy.restore()
    send_message("一", lin)
    monkeypatch.setattr(recent_cache, "_distrusted", {})  # as in another process, which was not cut off
    monkeypatch.setattr(redis, "_backoff_until", {})
    mysql_reads.clear()
    assert read_newest(conversation, chen) == ["一"]
    assert mysql_reads == []


def test_closed_port_starts_no_backoff(
    redis_proxy: Proxy, conversation: str, lin: Person, send_message: SendMessage, mysql_reads: list[str]
) -> None:
    """A killed Redis costs no time and is tried again at once."""
    send_message("一")
    redis_proxy.reset_connections()
    read_newest(conversation, lin)
    redis_proxy.restore()
    read_newest(conversation, lin)
    mysql_reads.clear()
    assert read_newest(conversation, lin) == ["一"]
    assert mysql_reads == []
