"""Large conversations: participants are notified after the response, by a job enqueued with the message."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
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


def test_small_conversation_is_notified_at_once_without_job(hospital: Hospital) -> None:
    public_id = ids.generate_public_id()
    few = [f"session:{number}" for number in range(20)]
    mysql.run_transaction(
        lambda tx: store.create_conversation(tx, hospital.tenant_id, public_id, ConversationKind.SERVICE, few, 1)
    )
    send(hospital, public_id, "一")
    assert len(list_events(hospital, 19)) == 1
    assert mysql.autocommit.fetch_value("SELECT COUNT(*) FROM outbox") == 0
