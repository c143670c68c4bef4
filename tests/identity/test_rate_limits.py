"""Token buckets, and the settings with their rates."""

from dataclasses import replace

import pytest

from chalicelib import clock, errors
from chalicelib.adapters import redis
from chalicelib.adapters.redis import ScriptBatch
from chalicelib.errors import ApiError
from chalicelib.identity import rate_limits
from chalicelib.identity.rate_limits import DEFAULT_RATES, Rate, RateLimit, read_rates
from chalicelib.identity.tokens import Owner
from tests.support.conversation_log import raise_redis_unavailable
from tests.support.factories import Hospital
from tests.support.threads import run_in_threads


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now(self) -> int:
        return round(self.seconds * clock.SECOND)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let buckets hold three tokens and gain one in 500 s: Redis must not forget them while a test runs."""
    time = Clock()
    monkeypatch.setattr(clock, "now", time.now)
    monkeypatch.setattr(rate_limits, "rates", dict.fromkeys(RateLimit, Rate(0.002, 3)))
    return time


@pytest.fixture
def owner(hospital: Hospital) -> Owner:
    return Owner(hospital.tenant_id, hospital.lin.principal)


def take(owner: Owner, limit: RateLimit = RateLimit.MESSAGES) -> int | None:
    """Take a token; return the seconds of Retry-After if there is none."""
    try:
        rate_limits.require(owner, limit)
    except ApiError as error:
        return error.retry_after
    return None


def take_many(owner: Owner, count: int) -> int:
    """Return how many of the requests are accepted."""
    return sum(take(owner) is None for _ in range(count))


def test_bucket_holds_its_burst_and_gains_tokens(time: Clock, owner: Owner) -> None:
    assert take_many(owner, 10) == 3
    with pytest.raises(ApiError) as rejection:
        rate_limits.require(owner, RateLimit.MESSAGES)
    assert (rejection.value.kind, rejection.value.retry_after) == (errors.RATE_LIMITED, 500)
    time.seconds += 499
    assert take(owner) == 1
    time.seconds += 1
    assert take_many(owner, 10) == 1
    time.seconds += 1000
    assert take_many(owner, 10) == 2
    time.seconds += 86_400
    assert take_many(owner, 10) == 3, "a full bucket gains no more"


def test_retry_after_is_rounded_up(monkeypatch: pytest.MonkeyPatch, time: Clock, owner: Owner) -> None:
    assert time.seconds
    monkeypatch.setattr(rate_limits, "rates", {RateLimit.MESSAGES: Rate(0.003, 1)})
    assert [take(owner), take(owner)] == [None, 334]


def test_buckets_of_principals_hospitals_and_limits_are_separate(
    time: Clock, owner: Owner, other_hospital: Hospital
) -> None:
    assert time.seconds
    assert take_many(owner, 4) == 3
    assert take(replace(owner, principal="session:abc")) is None
    assert take(replace(owner, tenant_id=other_hospital.tenant_id)) is None
    assert take(owner, RateLimit.SEARCHES) is None


@pytest.mark.usefixtures("time")
def test_concurrent_requests_do_not_share_a_token(owner: Owner) -> None:
    assert run_in_threads([lambda: take(owner)] * 20).count(None) == 3


def test_process_remembers_that_a_bucket_is_empty(time: Clock, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rate_limits.find_rejection(owner, RateLimit.MESSAGES) is None
    assert take_many(owner, 4) == 3
    with monkeypatch.context() as patch:
        patch.setattr(redis, "run_scripts", None)
        assert take(owner) == 500
        time.seconds += 499
        assert take(owner) == 1
    time.seconds += 1
    assert take(owner) is None
    assert rate_limits.build_key(owner, RateLimit.MESSAGES) not in rate_limits._empty_until


def test_process_remembers_a_limited_number_of_buckets(
    time: Clock, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "MAX_REMEMBERED_REJECTIONS", 2)
    owners = [replace(owner, principal=f"session:{n}") for n in range(3)]
    for one in owners:
        assert take_many(one, 4) == 3
    found = [rate_limits.find_rejection(one, RateLimit.MESSAGES) is not None for one in owners]
    assert (found, bool(time.seconds)) == ([False, True, True], True)


@pytest.mark.usefixtures("time")
def test_undone_batch_returns_the_token(owner: Owner) -> None:
    for _ in range(10):
        batch = ScriptBatch([])
        rate_limits.add_to_batch(batch, owner, RateLimit.MESSAGES)
        assert redis.run_scripts(batch.calls) == [0]
        redis.undo_batch(batch)
    assert take_many(owner, 10) == 3


def test_full_bucket_takes_no_memory(time: Clock, owner: Owner) -> None:
    assert time.seconds
    take(owner)
    assert 0 < redis.get_client().pttl(rate_limits.build_key(owner, RateLimit.MESSAGES)) <= 500_000


@pytest.mark.usefixtures("time")
def test_nothing_is_limited_without_redis(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "_call_driver", raise_redis_unavailable)
    assert take_many(owner, 10) == 10


@pytest.mark.usefixtures("time")
def test_batch_that_did_not_run_limits_nothing(owner: Owner) -> None:
    batch = ScriptBatch([])
    rate_limits.add_to_batch(batch, owner, RateLimit.MESSAGES)
    rate_limits.require_within(batch)
    assert (batch.calls, batch.undo) == ([], [])


def test_every_limit_has_a_rate() -> None:
    assert set(DEFAULT_RATES) == set(RateLimit)
    assert {rate.burst for rate in rate_limits.rates.values()} == {100_000}, "tests act faster than people"


def test_a_setting_replaces_single_rates() -> None:
    rates = read_rates("messages=0.5/7  searches=20/30")
    assert rates == {**DEFAULT_RATES, RateLimit.MESSAGES: Rate(0.5, 7), RateLimit.SEARCHES: Rate(20, 30)}
    assert read_rates("") == DEFAULT_RATES


@pytest.mark.parametrize(
    "text", ["letters=1/1", "messages", "messages=1", "messages=0/1", "messages=1/0", "messages=x/1"]
)
def test_invalid_setting_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"RATE_LIMITS|RateLimit|invalid literal|could not convert"):
        read_rates(text)
