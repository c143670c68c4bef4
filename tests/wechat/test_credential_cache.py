"""What WeChat issues is asked for once by however many processes, and kept until shortly before it ends."""

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
TOKEN, TICKET = "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket"
EACH = 13  # threads of each process


def tickets(tenant_id: int, url: str) -> list[str]:
    """In another process: ask as that many requests in the same moment."""
    fake.set_api_url(url)
    ours, start = account.require(tenant_id), Barrier(EACH)

    def ask(_: int) -> str:
        start.wait(20)
        return credentials.get_ticket(ours)

    with ThreadPoolExecutor(EACH) as pool:
        return list(pool.map(ask, range(EACH)))


@pytest.fixture
def key(hospital: Hospital) -> str:
    return f"test:{{{hospital.tenant_id}}}:thing"


@pytest.fixture
def slow() -> Iterator[Event]:
    """What a holder waits for."""
    event = Event()
    yield event
    event.set()


def read(key: str, ask: Callable[[], IssuedCredential], instead_of: str = "") -> str:
    return credential_cache.get_or_fetch(1, key, ask, instead_of)


def once(text: str, life: int = 7200) -> IssuedCredential:
    return IssuedCredential(text, life)


def never() -> IssuedCredential:
    raise AssertionError("it is kept")


def test_a_hundred_who_ask_at_once_make_one_call(configured_hospital: Hospital, wechat: WeChat) -> None:
    asked = [(configured_hospital.tenant_id, wechat.url)] * processes.PROCESS_COUNT
    found = [one for several in processes.run_in_processes(tickets, asked) for one in several]
    assert len(found) == EACH * processes.PROCESS_COUNT >= 100
    assert set(found) == {wechat.tickets[APP_ID]}
    assert wechat.calls == {TOKEN: 1, TICKET: 1}


def test_it_is_kept_until_five_minutes_before_it_ends(key: str) -> None:
    assert read(key, lambda: once("first")) == "first"
    assert read(key, never) == "first"
    assert 6_890_000 < redis.get_client().pttl(key) <= 6_900_000


def test_what_ends_within_five_minutes_is_not_kept(key: str) -> None:
    assert read(key, lambda: once("first", 300)) == "first"
    assert read(key, lambda: once("second")) == "second"


def test_a_flushed_redis_is_one_more_call(configured_hospital: Hospital, wechat: WeChat) -> None:
    ours = account.require(configured_hospital.tenant_id)
    first = credentials.get_ticket(ours)
    redis.get_client().flushall()
    assert credentials.get_ticket(ours) == first
    assert wechat.calls == {TOKEN: 2, TICKET: 2}


def test_without_redis_each_asks_for_itself(configured_hospital: Hospital, wechat: WeChat, cut_redis: Any) -> None:
    ours = account.require(configured_hospital.tenant_id)
    cut = cut_redis()
    found = [credentials.get_ticket(ours) for _ in range(2)]
    cut.__exit__(None, None, None)
    assert found == [wechat.tickets[APP_ID]] * 2
    assert wechat.calls == {TOKEN: 2, TICKET: 2}


def test_who_was_slow_writes_over_nothing(key: str, slow: Event) -> None:
    begun = Event()

    def late() -> IssuedCredential:
        begun.set()
        assert slow.wait(20)
        return once("late")

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(read, key, late)
        assert begun.wait(10)
        redis.get_client().delete(f"{key}:lease")  # it has run out
        assert read(key, lambda: once("in time")) == "in time"
        slow.set()
        assert waiting.result(10) == "late"
    assert read(key, never) == "in time"


def test_who_was_slow_does_not_end_anothers_lease(key: str, slow: Event) -> None:
    def late() -> IssuedCredential:
        redis.get_client().set(f"{key}:lease", "another")
        raise WechatApiError(-1)

    assert not slow.is_set()
    with pytest.raises(WechatApiError):
        read(key, late)
    assert redis.get_client().get(f"{key}:lease") == "another"
    assert redis.get_client().get(f"{key}:failed") is None


def test_the_lease_of_who_died_runs_out(key: str) -> None:
    def dies() -> IssuedCredential:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(key, dies)
    assert 0 < redis.get_client().pttl(f"{key}:lease") <= credential_cache.LEASE_MILLISECONDS
    redis.get_client().delete(f"{key}:lease")
    assert read(key, lambda: once("next")) == "next"


def test_who_waits_in_vain_is_told_to_come_again(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential_cache, "WAIT_TIMEOUT_SECONDS", 0.0)
    redis.get_client().set(f"{key}:lease", "somebody", px=5_000)
    with pytest.raises(ApiError) as refused:
        read(key, never)
    assert refused.value.retry_after == 2


def test_others_hear_of_a_failure_without_asking(key: str) -> None:
    def refuses() -> IssuedCredential:
        raise WechatApiError(40164)

    for ask in (refuses, never):
        with pytest.raises(WechatApiError) as refusal:
            read(key, ask)
        assert refusal.value.errcode == 40164
    assert 0 < redis.get_client().pttl(f"{key}:failed") <= credential_cache.FAILURE_TTL_MILLISECONDS


def test_what_is_good_no_more_is_replaced_once(key: str) -> None:
    read(key, lambda: once("first"))
    assert read(key, never, instead_of="older") == "first"
    assert read(key, lambda: once("second"), instead_of="first") == "second"
    assert read(key, never, instead_of="first") == "second", "who comes late with the old one has the new one"
    assert read(key, never) == "second"


def test_what_is_good_no_more_does_not_outlive_one_that_is_not_kept(key: str) -> None:
    read(key, lambda: once("first"))
    assert read(key, lambda: once("second", 300), instead_of="first") == "second"
    assert read(key, lambda: once("third")) == "third"


def test_who_does_not_know_that_it_is_useless_cannot_bring_it_back(key: str, slow: Event) -> None:
    """WeChat itself gives it out again to whoever asks without saying what is wrong with it."""
    begun = Event()
    read(key, lambda: once("first"))

    def anew() -> IssuedCredential:
        begun.set()
        assert slow.wait(20)
        return once("second")

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(read, key, anew, "first")
        assert begun.wait(10)
        assert read(key, lambda: once("first")) == "first"
        slow.set()
        assert waiting.result(10) == "second"
    assert read(key, never) == "second"


def test_redis_holds_no_token_and_no_ticket(configured_hospital: Hospital, wechat: WeChat) -> None:
    credentials.get_ticket(account.require(configured_hospital.tenant_id))
    held = [
        redis.get_client().get(name)
        for name in redis.get_client().scan_iter(f"wechat:*:{{{configured_hospital.tenant_id}:*")
    ]
    assert len(held) == 2
    for secret in (wechat.tokens[APP_ID], wechat.tickets[APP_ID]):
        assert secret not in str(held)


def test_what_cannot_be_opened_is_asked_for(key: str) -> None:
    for text in ("no seal", "2026:AAAA", ""):
        redis.get_client().set(key, text)
        assert read(key, lambda: once("first")) == "first"
        assert read(key, never) == "first"


def test_what_is_another_hospitals_does_not_open(key: str) -> None:
    assert credential_cache.get_or_fetch(2, key, lambda: once("theirs")) == "theirs"
    assert credential_cache.get_or_fetch(1, key, lambda: once("ours")) == "ours"
