"""Write intents that are added before the sender is authenticated, and those of many writers at once."""

from collections.abc import Callable

import pytest

from chalicelib.adapters import redis
from chalicelib.identity import tokens
from chalicelib.messaging import recent_cache
from chalicelib.messaging.models import Message, StoredMessage
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


def is_broken(conversation: str, reader: Person) -> bool:
    reply = redis.run_script(*recent_cache.build_read_call(conversation, 10, reader.principal))
    return recent_cache.parse_view(conversation, reader.principal, reply).verdict == recent_cache.Verdict.BROKEN


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


def test_intents_of_many_writers_are_merged_until_the_last_is_settled(conversation: str, lin: Person) -> None:
    read_newest(conversation, lin)
    names = [recent_cache.add_write_intent(conversation, f"w{number}") for number in range(12)]
    assert names == [*(f"w{number}" for number in range(8)), *["w8"] * 4]
    assert count_open(conversation) == recent_cache.MAX_OPEN_INTENTS + 1
    for seq, name in enumerate(names[:-1], 1):
        publish(conversation, name, seq, lin)
        assert is_broken(conversation, lin)
    recent_cache.remove_write_intent(conversation, names[-1])
    assert count_open(conversation) == 0
    assert not is_broken(conversation, lin)
    assert not redis.get_client().exists(KEYS(conversation)[3])


def test_unauthenticated_writer_is_never_merged(conversation: str) -> None:
    for number in range(recent_cache.MAX_OPEN_INTENTS):
        recent_cache.add_write_intent(conversation, f"w{number}")
    batch = recent_cache.prepare_write_intent(conversation)
    assert redis.run_scripts(batch.calls) == [None]
    assert count_open(conversation) == recent_cache.MAX_OPEN_INTENTS
    assert not redis.get_client().exists(KEYS(conversation)[3])


def test_message_of_merged_writer_is_sent(lin: Person, chen: Person) -> None:
    """Its first round trip adds no intent, as there are too many: it adds one when it is authenticated."""
    session = create_session(lin, chen)
    send_as_doctor(chen, session, "一")
    for number in range(recent_cache.MAX_OPEN_INTENTS):
        recent_cache.add_write_intent(session, f"w{number}")
    assert send_as_doctor(chen, session, "二").status == 200
    assert count_open(session) == recent_cache.MAX_OPEN_INTENTS
    assert read_newest(session, lin) == ["二", "一"]


def test_merged_intent_of_dead_writers_is_removed_after_a_minute(
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
    assert not redis.get_client().exists(KEYS(conversation)[3])


def test_writer_of_a_merged_intent_that_redis_lost_ends_no_other(conversation: str) -> None:
    """After a flush another merged intent has another name."""
    first = [recent_cache.add_write_intent(conversation, f"a{number}") for number in range(10)]
    redis.get_client().flushall()
    second = [recent_cache.add_write_intent(conversation, f"b{number}") for number in range(10)]
    for _ in range(3):
        recent_cache.remove_write_intent(conversation, first[-1])
    assert count_open(conversation) == recent_cache.MAX_OPEN_INTENTS + 1
    for name in second:
        recent_cache.remove_write_intent(conversation, name)
    assert count_open(conversation) == 0


def test_remembered_owners_are_bounded(monkeypatch: pytest.MonkeyPatch, hospital: Hospital) -> None:
    monkeypatch.setattr(tokens, "MAX_REMEMBERED_OWNERS", 2)
    tokens._owners.clear()
    people = [hospital.lin, hospital.wang, hospital.chen]
    for person in people:
        assert tokens.find_session(person.token)
    assert [tokens.find_last_owner(person.token) is not None for person in people] == [False, True, True]
