"""A listener of a conversation in which many write at once reads the messages that it receives, and no more."""

from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.messaging import log, reading, reading_store, recent_cache
from chalicelib.messaging.reading import MessagePage
from tests.support.conversation_log import raise_redis_unavailable
from tests.support.factories import Hospital
from tests.support.gateway_client import (
    ExternalUser,
    call_on_conversation,
    get_last_30,
    remove_participants,
    send,
    send_all,
)
from tests.support.notify_client import conversation, list_contents, poll_messages

__all__ = ["conversation"]

INTENTS = 2  # of recent_cache.build_keys


@pytest.fixture
def snapshots(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the conversations of which a snapshot is read to refill their caches."""
    found: list[str] = []
    fetch_snapshot = reading_store.fetch_snapshot

    def record(tx: Any, public_id: str, *arguments: Any) -> Any:
        found.append(public_id)
        return fetch_snapshot(tx, public_id, *arguments)

    monkeypatch.setattr(reading_store, "fetch_snapshot", record)
    return found


def open_write_intent(conversation: str, seconds_ago: int = 0) -> None:
    recent_cache.add_write_intent(conversation, "w1")
    redis.get_client().zincrby(recent_cache.build_keys(conversation)[INTENTS], -seconds_ago, "w1")


def fetch_page(conversation: str, user: ExternalUser) -> MessagePage | None:
    return reading.fetch_newest_page_unless_busy(conversation, user.principal, 10)


def test_listener_of_a_busy_conversation_reads_no_snapshot(
    guo: ExternalUser, han: ExternalUser, conversation: str, snapshots: list[str]
) -> None:
    send_all(guo, conversation, *map(str, range(20)))
    _, cursor, _ = poll_messages(han.token)
    sent = send_all(guo, conversation, "一", "二")
    snapshots.clear()
    open_write_intent(conversation)
    found, _, _ = poll_messages(han.token, after=cursor)
    assert [(one["MsgId"], one["Content"]) for one in found] == list(zip(sent, ("一", "二"), strict=True))
    assert snapshots == []


def test_cache_is_used_again_when_the_writers_are_done(
    guo: ExternalUser, han: ExternalUser, conversation: str, snapshots: list[str]
) -> None:
    get_last_30(guo, conversation)
    _, cursor, _ = poll_messages(han.token)
    send_all(guo, conversation, "一")
    open_write_intent(conversation)
    poll_messages(han.token, after=cursor)
    recent_cache.remove_write_intent(conversation, "w1")
    snapshots.clear()
    assert list_contents(poll_messages(han.token, after=cursor)[0]) == ["一"]
    page = fetch_page(conversation, han)
    assert page
    assert [message.content for message in page.messages] == ["一"]
    assert snapshots == [], "what the listener has read is in the cache"


def test_writer_that_may_be_dead_does_not_keep_a_cache_busy(
    guo: ExternalUser, conversation: str, snapshots: list[str]
) -> None:
    send_all(guo, conversation, "一")
    snapshots.clear()
    open_write_intent(conversation, recent_cache.BUSY_SECONDS - 2)
    assert fetch_page(conversation, guo) is None
    open_write_intent(conversation, recent_cache.BUSY_SECONDS)
    page = fetch_page(conversation, guo)
    assert page
    assert [message.content for message in page.messages] == ["一"]
    assert snapshots == [conversation]


def test_removed_participant_receives_nothing_of_a_busy_conversation(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    _, cursor, _ = poll_messages(han.token)
    send_all(guo, conversation, "一")
    remove_participants(hospital, conversation, han)
    open_write_intent(conversation)
    assert poll_messages(han.token, after=cursor)[0] == []


def test_withdrawn_text_of_a_busy_conversation_is_not_delivered(
    guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    _, cursor, _ = poll_messages(han.token)
    [message_id] = send_all(guo, conversation, "说错了")
    log.withdraw(guo.tenant_id, conversation, message_id, guo.principal)
    open_write_intent(conversation)
    assert [(one["Status"], one["Content"]) for one in poll_messages(han.token, after=cursor)[0]] == [(-1, "")]


def test_without_redis_the_page_is_read_from_mysql(
    guo: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_all(guo, conversation, "一")
    monkeypatch.setattr(redis, "_call_driver", raise_redis_unavailable)
    page = fetch_page(conversation, guo)
    assert page
    assert [message.content for message in page.messages] == ["一"]


def test_a_page_is_not_older_than_what_a_listener_has_read(
    guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that could not be published is not in the cache, which another writer keeps busy."""
    get_last_30(guo, conversation)
    first = send(guo, conversation, "一").data["MsgID"]
    monkeypatch.setattr(recent_cache, "_distrusted", {})
    cut = pytest.MonkeyPatch()
    cut.setattr(redis, "_call_driver", raise_redis_unavailable)
    second = send(guo, conversation, "二").data["MsgID"]
    cut.undo()
    recent_cache._distrusted.clear()  # as in another process
    open_write_intent(conversation)
    found = call_on_conversation(
        han, "get_conversation_msg_by_range", conversation, start_msg_id=first, end_msg_id=second
    )
    assert list_contents(found.data["Msg"]) == ["一", "二"]
    recent_cache.remove_write_intent(conversation, "w1")
    page = fetch_page(conversation, han)
    assert page
    assert [message.content for message in page.messages] == ["二", "一"]
