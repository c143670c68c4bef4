"""Large conversations: participants are notified after the response, by a job enqueued with the message."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.messaging import feed, ids, log, store
from chalicelib.messaging.models import ConversationKind, NewMessage
from chalicelib.outbox import outbox
from tests.support.factories import Hospital

PARTICIPANT_COUNT = 60


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run outbox jobs only when the test does so."""
    mysql.autocommit.execute("DELETE FROM outbox")
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)
    yield
    mysql.autocommit.execute("DELETE FROM outbox")


@pytest.fixture
def conversation(hospital: Hospital) -> str:
    public_id, members = ids.generate_public_id(), [f"session:{number}" for number in range(PARTICIPANT_COUNT)]
    mysql.run_transaction(
        lambda tx: store.create_conversation(tx, hospital.tenant_id, public_id, ConversationKind.SERVICE, members, 1)
    )
    return public_id


def send(hospital: Hospital, conversation: str, text: str, key: str | None = None) -> str:
    return log.append(hospital.tenant_id, None, conversation, "session:0", NewMessage(text, "t", key)).id


def list_events(hospital: Hospital, number: int) -> list[dict[str, Any]]:
    _, stream, _ = feed.build_keys(hospital.tenant_id, f"session:{number}")
    return [json.loads(fields["event"]) for _, fields in redis.get_client().xrange(stream)]


def test_every_participant_is_notified_once_in_order(hospital: Hospital, conversation: str) -> None:
    first, second = send(hospital, conversation, "一"), send(hospital, conversation, "二")
    assert list_events(hospital, 1) == []
    assert outbox.run_due_jobs() == 2
    for number in range(PARTICIPANT_COUNT):
        assert [(event["id"], event["prev_id"]) for event in list_events(hospital, number)] == [
            (first, ""),
            (second, first),
        ]


def test_resend_enqueues_no_second_job(hospital: Hospital, conversation: str) -> None:
    assert send(hospital, conversation, "一", "k1") == send(hospital, conversation, "一", "k1")
    assert outbox.run_due_jobs() == 1
    assert len(list_events(hospital, 1)) == 1


def test_withdrawal_is_notified(hospital: Hospital, conversation: str) -> None:
    message_id = send(hospital, conversation, "说错了")
    for _ in range(2):
        log.withdraw(hospital.tenant_id, conversation, message_id, "session:0")
    payloads = mysql.autocommit.fetch_all("SELECT payload FROM outbox")
    assert len(payloads) == outbox.run_due_jobs() == 2
    assert [event["kind"] for event in list_events(hospital, PARTICIPANT_COUNT - 1)] == ["message", "withdrawn"]
    assert "说错了" not in str(payloads)


def test_notification_is_repeated_when_redis_is_back(hospital: Hospital, conversation: str, cut_redis: Any) -> None:
    send(hospital, conversation, "一")
    cut = cut_redis()
    assert outbox.run_due_jobs() == 0
    cut.__exit__(None, None, None)
    mysql.autocommit.execute("UPDATE outbox SET due_at = 0")
    assert outbox.run_due_jobs() == 1
    assert len(list_events(hospital, 5)) == 1


def test_message_sent_without_redis_is_notified_when_redis_is_back(hospital: Hospital, cut_redis: Any) -> None:
    public_id = create_small_conversation(hospital, 2)
    first = send(hospital, public_id, "一")
    cut = cut_redis()
    second = send(hospital, public_id, "二")
    log.withdraw(hospital.tenant_id, public_id, first, "session:0")
    assert outbox.run_due_jobs() == 0
    cut.__exit__(None, None, None)
    third = send(hospital, public_id, "三")
    mysql.autocommit.execute("UPDATE outbox SET due_at = 0")
    assert outbox.run_due_jobs() == 2
    events = [(event["kind"], event["id"], event["prev_id"]) for event in list_events(hospital, 1)]
    assert sorted(events) == sorted(
        [
            ("message", first, ""),
            ("message", second, first),
            ("withdrawn", first, ""),
            ("message", third, second),
        ]
    )


def test_large_conversation_without_redis_enqueues_no_second_job(
    hospital: Hospital, conversation: str, cut_redis: Any
) -> None:
    cut = cut_redis()
    send(hospital, conversation, "一")
    cut.__exit__(None, None, None)
    assert mysql.autocommit.fetch_value("SELECT COUNT(*) FROM outbox") == 1


def test_message_is_acknowledged_if_its_notification_cannot_be_enqueued(
    hospital: Hospital, cut_redis: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ApiError(UNAVAILABLE)

    public_id = create_small_conversation(hospital, 2)
    monkeypatch.setattr(outbox, "enqueue", fail)
    cut = cut_redis()
    assert send(hospital, public_id, "一")
    cut.__exit__(None, None, None)
    assert "notification not enqueued" in caplog.text


def create_small_conversation(hospital: Hospital, participant_count: int) -> str:
    public_id, members = ids.generate_public_id(), [f"session:{number}" for number in range(participant_count)]
    mysql.run_transaction(
        lambda tx: store.create_conversation(tx, hospital.tenant_id, public_id, ConversationKind.SERVICE, members, 1)
    )
    return public_id


def test_small_conversation_is_notified_at_once_without_job(hospital: Hospital) -> None:
    public_id = create_small_conversation(hospital, 20)
    send(hospital, public_id, "一")
    assert len(list_events(hospital, 19)) == 1
    assert mysql.autocommit.fetch_value("SELECT COUNT(*) FROM outbox") == 0
