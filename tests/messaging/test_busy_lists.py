"""A list shows a conversation in which many write at once as MySQL has it, and leaves its cache to the writers."""

from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.messaging import log, reading, reading_store, recent_cache
from tests.support import consult_client
from tests.support.client import get
from tests.support.consult_client import send_as_doctor, send_as_patient
from tests.support.conversation_log import raise_redis_unavailable, read_newest
from tests.support.factories import Hospital

pytestmark = pytest.mark.store


@pytest.fixture
def session(hospital: Hospital) -> str:
    session = consult_client.create_session(hospital.lin, hospital.chen)
    for text in ("一", "二", "三"):
        assert send_as_patient(hospital.lin, hospital.chen, text, session_no=session).status == 200
    assert read_newest(session, hospital.chen) == ["三", "二", "一"]
    return session


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


def list_newest(hospital: Hospital) -> list[str]:
    """Return the last messages in the doctor's list."""
    response = get(consult_client.DOCTOR_SESSIONS, hospital.chen.token, page_size=20)
    return [entry["last_message"] for entry in response.data]


def dump_cache(session: str) -> list[Any]:
    state, messages, intents = recent_cache.build_keys(session)
    client = redis.get_client()
    return [client.hgetall(state), client.zrange(messages, 0, -1), client.zrange(intents, 0, -1)]


def test_list_leaves_the_cache_to_the_writers(hospital: Hospital, session: str, snapshots: list[str]) -> None:
    recent_cache.add_write_intent(session, "w1")
    cached = dump_cache(session)
    assert list_newest(hospital) == ["三"]
    assert dump_cache(session) == cached
    recent_cache.remove_write_intent(session, "w1")
    assert list_newest(hospital) == ["三"]
    assert read_newest(session, hospital.chen) == ["三", "二", "一"]
    assert snapshots == [], "the cache still has all messages, and is used again"


def test_page_is_not_older_than_the_list(
    hospital: Hospital, session: str, snapshots: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that could not be published is not in the cache, which another writer keeps busy."""
    with monkeypatch.context() as cut:
        cut.setattr(redis, "_call_driver", raise_redis_unavailable)
        assert send_as_doctor(hospital.chen, session, "四").status == 200
    monkeypatch.setattr(recent_cache, "_distrusted", {})  # as in another process
    monkeypatch.setattr(redis, "_backoff_until", {})
    recent_cache.add_write_intent(session, "w1")
    assert list_newest(hospital) == ["四"]
    recent_cache.remove_write_intent(session, "w1")
    assert read_newest(session, hospital.chen) == ["四", "三", "二", "一"]
    assert snapshots == [session]
    assert list_newest(hospital) == ["四"]


def test_page_shows_a_message_as_withdrawn_that_the_list_did(
    hospital: Hospital, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = reading.fetch_newest_page(session, hospital.chen.principal, 1)[0].messages[0]
    with monkeypatch.context() as cut:
        cut.setattr(redis, "_call_driver", raise_redis_unavailable)
        log.withdraw(hospital.tenant_id, session, newest.id, hospital.lin.principal)
    monkeypatch.setattr(recent_cache, "_distrusted", {})
    monkeypatch.setattr(redis, "_backoff_until", {})
    recent_cache.add_write_intent(session, "w1")
    assert list_newest(hospital) == [""]
    recent_cache.remove_write_intent(session, "w1")
    page, _ = reading.fetch_newest_page(session, hospital.chen.principal, 1)
    assert page.messages[0].withdrawn


def test_writer_that_may_be_dead_does_not_keep_a_list_from_refilling(hospital: Hospital, session: str) -> None:
    recent_cache.add_write_intent(session, "w1")
    intents = recent_cache.build_keys(session)[2]
    redis.get_client().zincrby(intents, -recent_cache.BUSY_SECONDS, "w1")
    revision = dump_cache(session)[0]
    assert list_newest(hospital) == ["三"]
    assert dump_cache(session)[0] != revision
