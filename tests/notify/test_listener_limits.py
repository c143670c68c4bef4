"""At most five requests of a principal wait at the same time."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import pytest

from chalicelib import clock
from chalicelib.adapters import redis
from chalicelib.identity import tokens
from chalicelib.messaging import delivery, feed
from chalicelib.messaging.feed import MAX_LISTENERS, Listener
from chalicelib.notify import http
from chalicelib.settings import settings
from tests.support.client import ApiResponse, call
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until
from tests.support.gateway_client import ExternalUser, create_external_user, send
from tests.support.notify_client import NOTIFY_PATH, conversation, list_contents, poll, poll_messages

__all__ = ["conversation"]


@pytest.fixture
def long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let polls wait as long as in production."""
    monkeypatch.setattr(http, "settings", replace(settings, long_poll_seconds=20))


def build_key(user: ExternalUser) -> str:
    return feed.build_listeners_key(Listener(user.tenant_id, user.principal, ""))


def count_waiting(user: ExternalUser) -> int:
    return int(redis.get_client().zcard(build_key(user)))


def register_listeners(user: ExternalUser, seconds: float, count: int = MAX_LISTENERS) -> None:
    """Register listeners of other processes that are gone after so many seconds."""
    gone_at = clock.now() // 1000 + int(seconds * 1000)
    redis.get_client().zadd(build_key(user), {f"other-{number}": gone_at for number in range(count)})


@contextmanager
def five_waiting(user: ExternalUser, transport: str = "poll") -> Iterator[list[Future[ApiResponse]]]:
    """Let five requests of a user wait. They end with the block, because of a message or a sign-out."""
    with ThreadPoolExecutor(MAX_LISTENERS) as pool:
        query = {"token": user.token, "protoc": transport}
        waiting = [pool.submit(call, "GET", NOTIFY_PATH, query=query) for _ in range(MAX_LISTENERS)]
        wait_until(lambda: count_waiting(user) == MAX_LISTENERS)
        yield waiting


@pytest.mark.usefixtures("long_wait")
def test_of_220_polls_of_one_token_five_wait(guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    with ThreadPoolExecutor(220) as pool:
        polls = [pool.submit(poll, han.token) for _ in range(220)]
        rejected = [one.result() for one in islice(as_completed(polls), 220 - MAX_LISTENERS)]
        send(guo, conversation, "在吗")
    assert {(one.status, one.code) for one in rejected} == {(429, 10012)}
    assert all(1 <= int(one.headers["Retry-After"]) <= 23 for one in rejected)
    delivered = [response for one in polls if (response := one.result()).status == 200]
    assert [one.data["Content"] for one in delivered] == ["在吗"] * MAX_LISTENERS
    assert count_waiting(han) == 0


@pytest.mark.usefixtures("long_wait")
@pytest.mark.parametrize("transport", ["poll", "sse"])
def test_sixth_request_is_rejected_whatever_its_token(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str, transport: str
) -> None:
    tablet = create_external_user(hospital, han.session).token
    poll_messages(tablet)
    with five_waiting(han, transport):
        response = poll(tablet, protoc="sse" if transport == "poll" else "poll")
        assert (response.status, response.code) == (429, 10012)
        assert "5" in response.error
        send(guo, conversation, "在吗")


def test_other_users_are_not_affected(guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    assert conversation
    register_listeners(han, 60)
    assert poll(guo.token).status == 200
    assert poll(han.token).status == 429


def test_request_with_something_to_deliver_does_not_wait(
    guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    _, cursor, _ = poll_messages(han.token)
    register_listeners(han, 60)
    send(guo, conversation, "在吗")
    assert list_contents(poll_messages(han.token, after=cursor)[0]) == ["在吗"]
    assert poll_messages(han.token, after="0.0")[2], "a gap is delivered at once, too"


def test_polls_one_after_another_are_not_limited(han: ExternalUser, conversation: str) -> None:
    assert conversation
    assert [poll(han.token).status for _ in range(MAX_LISTENERS + 1)] == [200] * (MAX_LISTENERS + 1)
    assert count_waiting(han) == 0


def test_event_that_the_listener_does_not_want_ends_no_wait(
    guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    """The first page has only an event that is no message; the listener then waits, and is registered."""
    _, cursor, _ = poll_messages(han.token)
    event = feed.build_read_event(conversation, "", guo.principal, 1)
    redis.run_scripts(feed.build_publish_calls(han.tenant_id, [han.principal], event))
    register_listeners(han, 60, MAX_LISTENERS - 1)
    assert poll_messages(han.token, after=cursor)[0] == []
    register_listeners(han, 60)
    assert poll(han.token, after=cursor).status == 429


def test_listeners_whose_process_ended_expire(han: ExternalUser, conversation: str) -> None:
    assert conversation
    register_listeners(han, 7)
    assert poll(han.token).headers["Retry-After"] == "7"
    register_listeners(han, -0.001)
    assert poll(han.token).status == 200
    assert count_waiting(han) == 0
    register_listeners(han, 60, MAX_LISTENERS - 1)
    poll(han.token)
    assert 0 < redis.get_client().ttl(build_key(han)) <= 60


@pytest.mark.usefixtures("long_wait")
def test_rejected_listener_no_longer_counts(
    han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert conversation
    monkeypatch.setattr(delivery, "WAIT_SLICE_SECONDS", 20.0)
    with five_waiting(han) as waiting:
        tokens.revoke_by_hash(tokens.hash_token(han.token))
    assert {one.result().status for one in waiting} == {401}
    assert count_waiting(han) == 0
