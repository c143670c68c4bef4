"""Write intents that are added before the sender is authenticated, and those of many writers at once."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib import clock, errors
from chalicelib.adapters import mysql, redis
from chalicelib.errors import ApiError
from chalicelib.identity import tokens
from chalicelib.messaging import log, reading_store, recent_cache, store
from chalicelib.messaging.models import Message, NewMessage, StoredMessage
from chalicelib.settings import settings
from tests.support.client import ApiResponse
from tests.support.consult_client import create_session, send_as_doctor, send_as_patient
from tests.support.conversation_log import SendMessage, read_newest
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import send as send_by_gateway

KEYS = recent_cache.build_keys


def count_open(conversation: str) -> int:
    return int(redis.get_client().zcard(KEYS(conversation)[2]))


def was_written(conversation: str) -> bool:
    """Whether any script has changed the cache, as adding an intent does."""
    return bool(redis.get_client().exists(KEYS(conversation)[0]))


def publish(conversation: str, intent: str, seq: int, sender: Person) -> None:
    message = Message(seq, str(seq), sender.principal, 0, str(seq), "", seq)
    redis.run_script(
        *recent_cache.build_publish_call(conversation, intent, StoredMessage(message, "", 0, []), sender.principal)
    )


def is_busy(conversation: str, reader: Person) -> bool:
    reply = redis.run_script(*recent_cache.build_read_call(conversation, 10, reader.principal))
    return recent_cache.parse_view(conversation, reader.principal, reply).verdict == recent_cache.Verdict.BUSY


SENDS: dict[str, Callable[[Person, str], ApiResponse]] = {
    "doctor": lambda chen, session: send_as_doctor(chen, session, "好"),
    "gateway": lambda chen, session: send_by_gateway(chen, session, "好"),
}


@pytest.mark.parametrize("name", SENDS)
def test_revoked_token_leaves_no_intent(lin: Person, chen: Person, name: str) -> None:
    """This process still remembers the token's owner, so the intent is added before the token is found revoked."""
    session = create_session(lin, chen)
    assert SENDS[name](chen, session).status == 200
    redis.get_client().delete(*KEYS(session))
    tokens.revoke_by_hash(tokens.hash_token(chen.token))
    assert tokens.find_last_owner(chen.token)
    assert SENDS[name](chen, session).status == 401
    assert was_written(session), "the intent was never added: the test shows nothing"
    assert count_open(session) == 0
    redis.get_client().delete(*KEYS(session))
    assert SENDS[name](chen, session).status == 401
    assert not was_written(session), "a token that was found invalid is forgotten"


def test_revoked_token_leaves_no_intent_if_the_response_of_redis_is_late(
    lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis has added it, and is otherwise not called for a second."""
    session = create_session(lin, chen)
    assert send_as_doctor(chen, session, "好").status == 200
    tokens.revoke_by_hash(tokens.hash_token(chen.token))
    call_driver = redis._call_driver

    def lose_response(*arguments: Any) -> None:
        call_driver(*arguments)
        assert count_open(session) == 1
        monkeypatch.setattr(redis, "_call_driver", call_driver)
        monkeypatch.setitem(redis._backoff_until, settings.redis_url, clock.monotonic() + 1)
        raise redis.RedisUnavailableError

    monkeypatch.setattr(redis, "_call_driver", lose_response)
    assert send_as_doctor(chen, session, "好").status == 401
    assert count_open(session) == 0


def test_unknown_token_adds_no_intent(lin: Person, chen: Person) -> None:
    session = create_session(lin, chen)
    redis.get_client().delete(*KEYS(session))
    assert send_as_doctor(chen.with_token("a" * 43), session, "好").status == 401
    assert not was_written(session)


def test_rejected_requests_leave_no_intent(hospital: Hospital, lin: Person, chen: Person) -> None:
    session = create_session(lin, chen)
    assert send_as_doctor(chen, session, "好").status == 200
    assert send_as_doctor(chen, session, "好", key="没有").status == 400
    assert send_as_patient(chen, chen, "好", session_no=session).status == 403
    assert send_as_patient(hospital.wang, chen, "好", session_no=session).status == 404
    assert send_by_gateway(hospital.wang, session, "好").status == 404
    assert count_open(session) == 0


def test_request_that_fails_before_it_writes_leaves_no_intent(
    lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = create_session(lin, chen)
    assert send_as_doctor(chen, session, "一").status == 200

    def fail(*_: Any) -> None:
        assert count_open(session) == 1
        raise RuntimeError

    monkeypatch.setattr(log, "append", fail)
    assert send_as_doctor(chen, session, "二").status == 500
    assert count_open(session) == 0


def test_intent_remains_if_the_message_may_have_been_written(
    lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = create_session(lin, chen)
    assert send_as_doctor(chen, session, "一").status == 200
    append = store.append

    def lose_response(*arguments: Any) -> None:
        append(*arguments)
        raise ApiError(errors.UNAVAILABLE)

    monkeypatch.setattr(store, "append", lose_response)
    read_newest(session, lin)
    assert send_as_doctor(chen, session, "二").status == 503
    assert count_open(session) == 1
    assert read_newest(session, lin) == ["二", "一"]


def test_readers_use_mysql_until_the_last_of_many_writers_is_settled(conversation: str, lin: Person) -> None:
    read_newest(conversation, lin)
    names = [f"w{number}" for number in range(12)]
    for name in names:
        recent_cache.add_write_intent(conversation, name)
    for seq, name in enumerate(names[:-1], 1):
        publish(conversation, name, seq, lin)
        assert is_busy(conversation, lin)
    recent_cache.remove_write_intent(conversation, names[-1])
    assert count_open(conversation) == 0
    assert not is_busy(conversation, lin)


def test_script_of_a_writer_that_runs_twice_ends_no_other(conversation: str) -> None:
    """A command is repeated if its connection is lost before the response."""
    for number in [*range(12), 11]:
        recent_cache.add_write_intent(conversation, f"w{number}")
    for number in [*range(11), 10]:
        recent_cache.remove_write_intent(conversation, f"w{number}")
    assert count_open(conversation) == 1
    recent_cache.remove_write_intent(conversation, "w11")
    assert count_open(conversation) == 0


def test_unauthenticated_writers_add_few_intents(conversation: str) -> None:
    for number in range(recent_cache.MAX_OPEN_INTENTS):
        recent_cache.add_write_intent(conversation, f"w{number}")
    batch = recent_cache.prepare_write_intent(conversation)
    assert redis.run_scripts(batch.calls) == [None]
    assert count_open(conversation) == recent_cache.MAX_OPEN_INTENTS


def test_intent_is_added_when_the_writer_is_authenticated(
    lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first round trip adds none, as there are too many."""
    session = create_session(lin, chen)
    send_as_doctor(chen, session, "一")
    for number in range(recent_cache.MAX_OPEN_INTENTS):
        recent_cache.add_write_intent(session, f"w{number}")
    append, open_intents = store.append, list[int]()

    def count_and_append(*arguments: Any) -> StoredMessage | None:
        open_intents.append(count_open(session))
        return append(*arguments)

    monkeypatch.setattr(store, "append", count_and_append)
    assert send_as_doctor(chen, session, "二").status == 200
    assert open_intents == [recent_cache.MAX_OPEN_INTENTS + 1]
    assert count_open(session) == recent_cache.MAX_OPEN_INTENTS
    assert read_newest(session, lin) == ["二", "一"]


def test_intents_of_dead_writers_are_removed_after_a_minute(
    conversation: str, lin: Person, send_message: SendMessage, mysql_reads: list[str]
) -> None:
    for number in range(recent_cache.MAX_OPEN_INTENTS + 2):
        recent_cache.add_write_intent(conversation, f"w{number}")
    send_message("一")
    intents = KEYS(conversation)[2]
    redis.get_client().zadd(intents, dict.fromkeys(redis.get_client().zrange(intents, 0, -1), 1))
    read_newest(conversation, lin)
    mysql_reads.clear()
    assert read_newest(conversation, lin) == ["一"]
    assert mysql_reads == []


def test_refill_that_was_read_before_a_flush_has_no_effect_after_it(
    conversation: str, lin: Person, send_message: SendMessage
) -> None:
    """The intent and the published message of one writer both start a new version of an empty cache."""
    send_message("一")
    redis.get_client().flushall()
    batch = recent_cache.prepare_write_intent(conversation)
    batch.replies = redis.run_scripts(batch.calls)
    reply = redis.run_script(*recent_cache.build_read_call(conversation, 10, lin.principal))
    seen = recent_cache.parse_view(conversation, lin.principal, reply)
    snapshot = reading_store.fetch_snapshot(mysql.autocommit, conversation, lin.principal, 10)
    redis.get_client().flushall()
    log.append(lin.tenant_id, None, conversation, lin.principal, NewMessage("二", "t"), batch)
    assert redis.run_script(*recent_cache.build_refill_call(conversation, seen, snapshot)) is None
    assert read_newest(conversation, lin) == ["二", "一"]


def test_remembered_owners_are_bounded(monkeypatch: pytest.MonkeyPatch, hospital: Hospital) -> None:
    monkeypatch.setattr(tokens, "MAX_REMEMBERED_TOKENS", 2)
    tokens._owners.clear()
    people = [hospital.lin, hospital.wang, hospital.chen]
    for person in people:
        assert tokens.find_session(person.token)
    assert [tokens.find_last_owner(person.token) is not None for person in people] == [False, True, True]
