"""A feed that does not reach back to the cursor reports a gap; messages are never skipped silently."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.messaging import feed
from tests.support.client import call
from tests.support.conversation_log import raise_redis_unavailable
from tests.support.gateway_client import ExternalUser, create_conversation, join, send
from tests.support.notify_client import conversation, list_contents, poll, poll_messages, read_events

__all__ = ["conversation"]


def delete_feed(user: ExternalUser) -> None:
    redis.get_client().delete(*feed.build_keys(user.tenant_id, f"session:{user.session}"))


def shorten_stream(user: ExternalUser) -> None:
    redis.get_client().xtrim(feed.build_keys(user.tenant_id, f"session:{user.session}")[1], maxlen=1, approximate=False)


@pytest.mark.parametrize("lose", [delete_feed, shorten_stream])
def test_shortened_stream_is_reported_as_gap(
    guo: ExternalUser, han: ExternalUser, conversation: str, lose: Callable[[ExternalUser], None]
) -> None:
    _, start, _ = poll_messages(han.token)
    for number in range(3):
        send(guo, conversation, str(number))
    lose(han)
    messages, cursor, gap = poll_messages(han.token, after=start)
    assert (messages, gap) == ([], True)
    send(guo, conversation, "3")
    assert (list_contents(poll_messages(han.token, after=cursor)[0]), poll_messages(han.token, after=cursor)[2]) == (
        ["3"],
        False,
    )
    [(kind, _, data)], _ = read_events(han.token, start)
    assert (kind, data["gap"]) == ("gap", True)
    assert poll(han.token, after=start).data["gap"] is True


def test_cursor_ahead_of_stream_is_a_gap(han: ExternalUser, conversation: str) -> None:
    assert conversation
    generation = poll_messages(han.token)[1].partition(".")[0]
    assert poll_messages(han.token, after=f"{generation}.99")[2] is True


def test_unknown_last_event_id_is_a_gap(han: ExternalUser, conversation: str) -> None:
    assert conversation
    [(kind, _, _)], last = read_events(han.token, "12")
    assert kind == "gap"
    assert read_events(han.token, last) == ([], last)


def test_flushed_redis_is_reported_as_gap_without_cursor(
    guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    send(guo, conversation, "一")
    redis.get_client().flushall()
    send(guo, conversation, "二")
    assert poll_messages(han.token)[2] is True
    send(guo, conversation, "三")
    messages, _, gap = poll_messages(han.token)
    assert (list_contents(messages), gap) == (["三"], False)


def test_single_poll_reports_possible_gap_with_next_message(
    guo: ExternalUser, han: ExternalUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = create_conversation(guo)
    join(han, conversation)
    assert poll(han.token).data is None
    wait = redis.wait_for_streams

    def send_and_wait(*arguments: Any) -> None:
        send(guo, conversation, "一", "k1")
        wait(*arguments)

    redis.get_client().flushall()
    monkeypatch.setattr(redis, "wait_for_streams", send_and_wait)
    response = poll(han.token).data
    assert (response["Content"], response["gap"]) == ("一", True)


def test_all_old_messages_of_long_conversation_are_delivered(
    guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    _, start, _ = poll_messages(han.token)
    for number in range(130):
        send(guo, conversation, str(number))
    first, cursor, _ = poll_messages(han.token, after=start)
    second, _, _ = poll_messages(han.token, after=cursor)
    assert list_contents(first + second) == [str(number) for number in range(130)]


def test_without_redis_poll_returns_503_with_retry_after(han: ExternalUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "_call_driver", raise_redis_unavailable)
    response = poll(han.token)
    assert (response.status, response.headers["Retry-After"]) == (503, "2")


def test_without_redis_event_source_keeps_reconnecting(han: ExternalUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "_call_driver", raise_redis_unavailable)
    response = call("GET", "/notify", query={"token": han.token, "protoc": "sse"})
    assert (response.status, response.content) == (200, b"retry: 2000\n\n")
