"""What WeChat issues is asked for once by however many processes, and kept until shortly before it ends."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.adapters.wechat_api import Issued, Refusal
from chalicelib.errors import Refused
from chalicelib.official import account, credentials, kept
from devstack import wechat as fake
from devstack.wechat import WeChat
from tests import processes
from tests.messaging.conftest import redis_is_cut
from tests.people import Hospital
from tests.wechat.desk import APP_ID

__all__ = ["redis_is_cut"]
TOKEN, TICKET = "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket"
EACH = 13  # threads of each process


def tickets(tenant_id: int, url: str) -> list[str]:
    """In another process: ask as that many requests in the same moment."""
    fake.point_at(url)
    ours, start = account.required(tenant_id), Barrier(EACH)

    def ask(_: int) -> str:
        start.wait(20)
        return credentials.ticket(ours)

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


def once(text: str, life: int = 7200) -> Issued:
    return Issued(text, life)


def never() -> Issued:
    raise AssertionError("it is kept")


def test_a_hundred_who_ask_at_once_make_one_call(known: Hospital, wechat: WeChat) -> None:
    asked = [(known.tenant_id, wechat.url)] * processes.PROCESSES
    found = [one for several in processes.at_once(tickets, asked) for one in several]
    assert len(found) == EACH * processes.PROCESSES >= 100
    assert set(found) == {wechat.tickets[APP_ID]}
    assert wechat.calls == {TOKEN: 1, TICKET: 1}


def test_it_is_kept_until_five_minutes_before_it_ends(key: str) -> None:
    assert kept.read(key, lambda: once("first")) == "first"
    assert kept.read(key, never) == "first"
    assert 6_890_000 < redis.client().pttl(key) <= 6_900_000


def test_what_ends_within_five_minutes_is_not_kept(key: str) -> None:
    assert kept.read(key, lambda: once("first", 300)) == "first"
    assert kept.read(key, lambda: once("second")) == "second"


def test_a_flushed_redis_is_one_more_call(known: Hospital, wechat: WeChat) -> None:
    ours = account.required(known.tenant_id)
    first = credentials.ticket(ours)
    redis.client().flushall()
    assert credentials.ticket(ours) == first
    assert wechat.calls == {TOKEN: 2, TICKET: 2}


def test_without_redis_each_asks_for_itself(known: Hospital, wechat: WeChat, redis_is_cut: Any) -> None:
    ours = account.required(known.tenant_id)
    cut = redis_is_cut()
    found = [credentials.ticket(ours) for _ in range(2)]
    cut.__exit__(None, None, None)
    assert found == [wechat.tickets[APP_ID]] * 2
    assert wechat.calls == {TOKEN: 2, TICKET: 2}


def test_who_was_slow_writes_over_nothing(key: str, slow: Event) -> None:
    begun = Event()

    def late() -> Issued:
        begun.set()
        assert slow.wait(20)
        return once("late")

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(kept.read, key, late)
        assert begun.wait(10)
        redis.client().delete(f"{key}:lease")  # it has run out
        assert kept.read(key, lambda: once("in time")) == "in time"
        slow.set()
        assert waiting.result(10) == "late"
    assert kept.read(key, never) == "in time"


def test_who_was_slow_does_not_end_anothers_lease(key: str, slow: Event) -> None:
    def late() -> Issued:
        redis.client().set(f"{key}:lease", "another")
        raise Refusal(-1)

    assert not slow.is_set()
    with pytest.raises(Refusal):
        kept.read(key, late)
    assert redis.client().get(f"{key}:lease") == "another"
    assert redis.client().get(f"{key}:failed") is None


def test_the_lease_of_who_died_runs_out(key: str) -> None:
    def dies() -> Issued:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.read(key, dies)
    assert 0 < redis.client().pttl(f"{key}:lease") <= kept.LEASE
    redis.client().delete(f"{key}:lease")
    assert kept.read(key, lambda: once("next")) == "next"


def test_who_waits_in_vain_is_told_to_come_again(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PATIENCE", 0.0)
    redis.client().set(f"{key}:lease", "somebody", px=5_000)
    with pytest.raises(Refused) as refused:
        kept.read(key, never)
    assert refused.value.retry_after == 2


def test_others_hear_of_a_failure_without_asking(key: str) -> None:
    def refuses() -> Issued:
        raise Refusal(40164)

    for ask in (refuses, never):
        with pytest.raises(Refusal) as refusal:
            kept.read(key, ask)
        assert refusal.value.number == 40164
    assert 0 < redis.client().pttl(f"{key}:failed") <= kept.PAUSE


def test_what_is_forgotten_is_what_was_named(key: str) -> None:
    kept.read(key, lambda: once("first"))
    kept.forget(key, "another")
    assert kept.read(key, never) == "first"
    kept.forget(key, "first")
    assert kept.read(key, lambda: once("second")) == "second"
