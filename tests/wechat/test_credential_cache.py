"""Credentials are fetched once for all processes and cached until shortly before they expire."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.adapters.wechat_api import IssuedCredential, WechatApiError
from chalicelib.errors import ApiError
from chalicelib.wechat_account import account, credential_cache, credentials
from devstack.fakes import wechat as fake
from devstack.fakes.wechat import WeChat
from tests.support import processes
from tests.support.conversation_log import cut_redis
from tests.support.factories import Hospital
from tests.support.wechat_client import APP_ID

__all__ = ["cut_redis"]
TOKEN_PATH, TICKET_PATH = "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket"
THREAD_COUNT = 13  # of each process


def fetch_tickets(tenant_id: int, url: str) -> list[str]:
    """Run in another process: request the ticket in all threads at once."""
    fake.set_api_url(url)
    official_account, start = account.require(tenant_id), Barrier(THREAD_COUNT)

    def get_ticket(_: int) -> str:
        start.wait(20)
        return credentials.get_ticket(official_account)

    with ThreadPoolExecutor(THREAD_COUNT) as pool:
        return list(pool.map(get_ticket, range(THREAD_COUNT)))


@pytest.fixture
def key(hospital: Hospital) -> str:
    return f"test:{{{hospital.tenant_id}}}:thing"


@pytest.fixture
def release() -> Iterator[Event]:
    """Set to let a slow fetch continue; set at the latest after the test."""
    event = Event()
    yield event
    event.set()


def get_or_fetch(key: str, fetch: Callable[[], IssuedCredential], rejected_value: str = "") -> str:
    return credential_cache.get_or_fetch(1, key, fetch, rejected_value)


def issue(text: str, lifetime: int = 7200) -> IssuedCredential:
    return IssuedCredential(text, lifetime)


def fail_if_called() -> IssuedCredential:
    raise AssertionError("the cached value is used")


def test_hundred_concurrent_requests_make_one_call(configured_hospital: Hospital, wechat: WeChat) -> None:
    arguments = [(configured_hospital.tenant_id, wechat.url)] * processes.PROCESS_COUNT
    found = [one for several in processes.run_in_processes(fetch_tickets, arguments) for one in several]
    assert len(found) == THREAD_COUNT * processes.PROCESS_COUNT >= 100
    assert set(found) == {wechat.tickets[APP_ID]}
    assert wechat.calls == {TOKEN_PATH: 1, TICKET_PATH: 1}


def test_value_is_cached_until_five_minutes_before_expiry(key: str) -> None:
    assert get_or_fetch(key, lambda: issue("first")) == "first"
    assert get_or_fetch(key, fail_if_called) == "first"
    assert 6_890_000 < redis.get_client().pttl(key) <= 6_900_000


def test_value_that_expires_within_five_minutes_is_not_cached(key: str) -> None:
    assert get_or_fetch(key, lambda: issue("first", 300)) == "first"
    assert get_or_fetch(key, lambda: issue("second")) == "second"


def test_flushed_redis_causes_one_more_call(configured_hospital: Hospital, wechat: WeChat) -> None:
    official_account = account.require(configured_hospital.tenant_id)
    first = credentials.get_ticket(official_account)
    redis.get_client().flushall()
    assert credentials.get_ticket(official_account) == first
    assert wechat.calls == {TOKEN_PATH: 2, TICKET_PATH: 2}


def test_without_redis_every_request_fetches(configured_hospital: Hospital, wechat: WeChat, cut_redis: Any) -> None:
    official_account = account.require(configured_hospital.tenant_id)
    cut = cut_redis()
    found = [credentials.get_ticket(official_account) for _ in range(2)]
    cut.__exit__(None, None, None)
    assert found == [wechat.tickets[APP_ID]] * 2
    assert wechat.calls == {TOKEN_PATH: 2, TICKET_PATH: 2}


def test_slow_fetch_does_not_overwrite_a_newer_value(key: str, release: Event) -> None:
    started = Event()

    def fetch_slowly() -> IssuedCredential:
        started.set()
        assert release.wait(20)
        return issue("late")

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get_or_fetch, key, fetch_slowly)
        assert started.wait(10)
        redis.get_client().delete(f"{key}:lease")  # it has expired
        assert get_or_fetch(key, lambda: issue("in time")) == "in time"
        release.set()
        assert waiting.result(10) == "late"
    assert get_or_fetch(key, fail_if_called) == "in time"


def test_slow_failure_does_not_release_the_lease_of_another(key: str, release: Event) -> None:
    def fetch_slowly() -> IssuedCredential:
        redis.get_client().set(f"{key}:lease", "another")
        raise WechatApiError(-1)

    assert not release.is_set()
    with pytest.raises(WechatApiError):
        get_or_fetch(key, fetch_slowly)
    assert redis.get_client().get(f"{key}:lease") == "another"
    assert redis.get_client().get(f"{key}:failed") is None


def test_lease_of_a_crashed_process_expires(key: str) -> None:
    def crash() -> IssuedCredential:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get_or_fetch(key, crash)
    assert 0 < redis.get_client().pttl(f"{key}:lease") <= credential_cache.LEASE_MILLISECONDS
    redis.get_client().delete(f"{key}:lease")
    assert get_or_fetch(key, lambda: issue("next")) == "next"


def test_waiting_too_long_raises_unavailable(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential_cache, "WAIT_TIMEOUT_SECONDS", 0.0)
    redis.get_client().set(f"{key}:lease", "another", px=5_000)
    with pytest.raises(ApiError) as error_info:
        get_or_fetch(key, fail_if_called)
    assert error_info.value.retry_after == 2


def test_failure_is_shared_without_another_call(key: str) -> None:
    def reject() -> IssuedCredential:
        raise WechatApiError(40164)

    for fetch in (reject, fail_if_called):
        with pytest.raises(WechatApiError) as error_info:
            get_or_fetch(key, fetch)
        assert error_info.value.errcode == 40164
    assert 0 < redis.get_client().pttl(f"{key}:failed") <= credential_cache.FAILURE_TTL_MILLISECONDS


def test_rejected_value_is_replaced_once(key: str) -> None:
    get_or_fetch(key, lambda: issue("first"))
    assert get_or_fetch(key, fail_if_called, rejected_value="older") == "first"
    assert get_or_fetch(key, lambda: issue("second"), rejected_value="first") == "second"
    assert get_or_fetch(key, fail_if_called, rejected_value="first") == "second", (
        "a later caller with the old value gets the new one"
    )
    assert get_or_fetch(key, fail_if_called) == "second"


def test_rejected_value_is_removed_if_its_successor_is_not_cached(key: str) -> None:
    get_or_fetch(key, lambda: issue("first"))
    assert get_or_fetch(key, lambda: issue("second", 300), rejected_value="first") == "second"
    assert get_or_fetch(key, lambda: issue("third")) == "third"


def test_refetched_rejected_value_does_not_replace_its_successor(key: str, release: Event) -> None:
    """WeChat issues the same value again to a caller who does not force a refresh."""
    started = Event()
    get_or_fetch(key, lambda: issue("first"))

    def refresh() -> IssuedCredential:
        started.set()
        assert release.wait(20)
        return issue("second")

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get_or_fetch, key, refresh, "first")
        assert started.wait(10)
        assert get_or_fetch(key, lambda: issue("first")) == "first"
        release.set()
        assert waiting.result(10) == "second"
    assert get_or_fetch(key, fail_if_called) == "second"


def test_values_in_redis_are_encrypted(configured_hospital: Hospital, wechat: WeChat) -> None:
    credentials.get_ticket(account.require(configured_hospital.tenant_id))
    cached = [
        redis.get_client().get(name)
        for name in redis.get_client().scan_iter(f"wechat:*:{{{configured_hospital.tenant_id}:*")
    ]
    assert len(cached) == 2
    for secret in (wechat.tokens[APP_ID], wechat.tickets[APP_ID]):
        assert secret not in str(cached)


def test_value_that_cannot_be_decrypted_is_fetched_again(key: str) -> None:
    for text in ("not encrypted", "2026:AAAA", ""):
        redis.get_client().set(key, text)
        assert get_or_fetch(key, lambda: issue("first")) == "first"
        assert get_or_fetch(key, fail_if_called) == "first"


def test_value_of_another_hospital_cannot_be_decrypted(key: str) -> None:
    assert credential_cache.get_or_fetch(2, key, lambda: issue("theirs")) == "theirs"
    assert credential_cache.get_or_fetch(1, key, lambda: issue("ours")) == "ours"
