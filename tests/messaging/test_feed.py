import json
from functools import partial
from typing import Any

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import feed, ids, log, store
from chalicelib.messaging.models import ConversationKind, NewMessage
from tests.support.conversation_log import SendMessage
from tests.support.factories import Hospital, Person


def list_events(person: Person) -> list[tuple[str, dict[str, Any]]]:
    _, stream, _ = feed.build_keys(person.tenant_id, person.principal)
    return [(at, json.loads(fields["event"])) for at, fields in redis.get_client().xrange(stream)]


def get_generation(person: Person) -> str:
    head, *_ = feed.build_keys(person.tenant_id, person.principal)
    return str(redis.get_client().hget(head, "generation"))


def test_every_participant_receives_events_in_order(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    first, second = send_message("一", lin), send_message("二", chen)
    expected = [
        ("1-0", {"kind": "message", "conversation": conversation, "seq": 1, "id": first.id, "prev_id": ""}),
        ("2-0", {"kind": "message", "conversation": conversation, "seq": 2, "id": second.id, "prev_id": first.id}),
    ]
    assert list_events(lin) == list_events(chen) == expected


def test_stream_never_holds_message_text(lin: Person, send_message: SendMessage) -> None:
    send_message("私密", lin)
    _, stream, _ = feed.build_keys(lin.tenant_id, lin.principal)
    assert "私密" not in str(redis.get_client().xrange(stream))


def test_same_session_in_two_hospitals_has_two_feeds(hospital: Hospital, other_hospital: Hospital) -> None:
    for place in (hospital, other_hospital):
        public_id = ids.generate_public_id()
        abc = partial(store.create_conversation, tenant_id=place.tenant_id, principals=["session:abc"])
        mysql.run_transaction(partial(abc, public_id=public_id, kind=ConversationKind.DIRECT, now=1))
        log.append(place.tenant_id, ConversationKind.DIRECT, public_id, "session:abc", NewMessage("我", "t"))
    for place in (hospital, other_hospital):
        assert redis.get_client().xlen(feed.build_keys(place.tenant_id, "session:abc")[1]) == 1


def test_non_member_receives_no_event(wang: Person, lin: Person, send_message: SendMessage) -> None:
    send_message("一", lin)
    assert list_events(wang) == []


def test_withdrawal_event_does_not_contain_text(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    wrong = send_message("说错了", lin)
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    (_, _), (_, event) = list_events(chen)
    assert (event["kind"], event["seq"], event["id"]) == ("withdrawn", 1, wrong.id)


def test_flushed_stream_starts_new_generation(lin: Person, send_message: SendMessage) -> None:
    send_message("一", lin)
    before = get_generation(lin)
    redis.get_client().flushall()
    send_message("二", lin)
    assert get_generation(lin) != before
    assert [at for at, _ in list_events(lin)] == ["1-0"]


def test_stream_of_another_server_starts_new_generation(lin: Person, send_message: SendMessage) -> None:
    send_message("一", lin)
    before = get_generation(lin)
    redis.get_client().hset(feed.build_keys(lin.tenant_id, lin.principal)[0], "server", "0" * 40)
    send_message("二", lin)
    assert get_generation(lin) != before


def test_stream_length_is_bounded(lin: Person, send_message: SendMessage) -> None:
    for n in range(feed.MAX_STREAM_LENGTH + 3):
        send_message(str(n), lin)
    found = list_events(lin)
    assert len(found) == feed.MAX_STREAM_LENGTH
    assert found[-1][0] == f"{feed.MAX_STREAM_LENGTH + 3}-0"
