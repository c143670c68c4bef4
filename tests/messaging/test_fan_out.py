"""A conversation of many: they are told after the answer, by what was promised in the transaction of the message."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import feed, ids, log, store
from chalicelib.messaging.models import NewMessage
from chalicelib.outbox import outbox
from tests.support.factories import Hospital

MANY = 60


@pytest.fixture(autouse=True)
def nobody_nudges(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Who tells them is this test, when it says so."""
    mysql.autocommit.execute("DELETE FROM outbox")
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)
    yield
    mysql.autocommit.execute("DELETE FROM outbox")


@pytest.fixture
def crowd(hospital: Hospital) -> str:
    public_id, members = ids.generate_public_id(), [f"session:{number}" for number in range(MANY)]
    mysql.run_transaction(
        lambda tx: store.create_conversation(tx, hospital.tenant_id, public_id, "service", members, 1)
    )
    return public_id


def say(hospital: Hospital, crowd: str, text: str, key: str | None = None) -> str:
    return log.append(hospital.tenant_id, None, crowd, "session:0", NewMessage(text, "t", key)).id


def told(hospital: Hospital, number: int) -> list[dict[str, Any]]:
    _, stream, _ = feed.build_keys(hospital.tenant_id, f"session:{number}")
    return [json.loads(fields["event"]) for _, fields in redis.get_client().xrange(stream)]


def test_every_participant_is_notified_once_in_order(hospital: Hospital, crowd: str) -> None:
    first, second = say(hospital, crowd, "一"), say(hospital, crowd, "二")
    assert told(hospital, 1) == []
    assert outbox.run_due_jobs() == 2
    for number in range(MANY):
        assert [(event["id"], event["prev_id"]) for event in told(hospital, number)] == [(first, ""), (second, first)]


def test_resend_enqueues_no_second_job(hospital: Hospital, crowd: str) -> None:
    assert say(hospital, crowd, "一", "k1") == say(hospital, crowd, "一", "k1")
    assert outbox.run_due_jobs() == 1
    assert len(told(hospital, 1)) == 1


def test_withdrawal_is_notified(hospital: Hospital, crowd: str) -> None:
    message_id = say(hospital, crowd, "说错了")
    for _ in range(2):
        log.withdraw(hospital.tenant_id, crowd, message_id, "session:0")
    promised = mysql.autocommit.fetch_all("SELECT payload FROM outbox")
    assert len(promised) == outbox.run_due_jobs() == 2
    assert [event["kind"] for event in told(hospital, MANY - 1)] == ["message", "withdrawn"]
    assert "说错了" not in str(promised)


def test_notification_is_repeated_when_redis_is_back(hospital: Hospital, crowd: str, cut_redis: Any) -> None:
    say(hospital, crowd, "一")
    cut = cut_redis()
    assert outbox.run_due_jobs() == 0
    cut.__exit__(None, None, None)
    mysql.autocommit.execute("UPDATE outbox SET due_at = 0")
    assert outbox.run_due_jobs() == 1
    assert len(told(hospital, 5)) == 1


def test_small_conversation_is_notified_at_once_without_job(hospital: Hospital) -> None:
    public_id = ids.generate_public_id()
    few = [f"session:{number}" for number in range(20)]
    mysql.run_transaction(lambda tx: store.create_conversation(tx, hospital.tenant_id, public_id, "service", few, 1))
    say(hospital, public_id, "一")
    assert len(told(hospital, 19)) == 1
    assert mysql.autocommit.fetch_value("SELECT COUNT(*) FROM outbox") == 0
