import json
from typing import Any

from chalicelib.adapters import redis
from chalicelib.messaging import feed, log
from tests.messaging.conftest import Say
from tests.people import Person


def events(who: Person) -> list[tuple[str, dict[str, Any]]]:
    _, stream = feed.keys(who.principal)
    return [(at, json.loads(fields["event"])) for at, fields in redis.client().xrange(stream)]


def generation(who: Person) -> str:
    head, _ = feed.keys(who.principal)
    return str(redis.client().hget(head, "generation"))


def test_every_participant_is_told_in_order(conversation: str, lin: Person, chen: Person, say: Say) -> None:
    first, second = say("一", lin), say("二", chen)
    for person in (lin, chen):
        (at_1, one), (at_2, two) = events(person)
        assert (at_1, at_2) == ("1-0", "2-0")
        assert (one["kind"], one["conversation"], one["message"][1], one["prev_id"]) == (
            *("message", conversation, first.id),
            "",
        )
        assert (two["message"][1], two["message"][4], two["prev_id"]) == (second.id, "二", first.id)


def test_a_stranger_is_told_nothing(wang: Person, lin: Person, say: Say) -> None:
    say("一", lin)
    assert events(wang) == []


def test_a_withdrawal_is_told_without_the_text(conversation: str, lin: Person, chen: Person, say: Say) -> None:
    wrong = say("说错了", lin)
    log.withdraw(conversation, wrong.id, lin.principal)
    (_, _), (_, told) = events(chen)
    assert (told["kind"], told["message"][1], told["message"][4]) == ("withdrawn", wrong.id, "")


def test_a_flushed_stream_begins_another_generation(lin: Person, say: Say) -> None:
    say("一", lin)
    before = generation(lin)
    redis.client().flushall()
    say("二", lin)
    assert generation(lin) != before
    assert [at for at, _ in events(lin)] == ["1-0"]


def test_a_stream_that_another_server_left_begins_another_generation(lin: Person, say: Say) -> None:
    say("一", lin)
    before = generation(lin)
    redis.client().hset(feed.keys(lin.principal)[0], "server", "0" * 40)
    say("二", lin)
    assert generation(lin) != before


def test_a_stream_is_bounded(lin: Person, say: Say) -> None:
    for n in range(feed.KEPT + 3):
        say(str(n), lin)
    told = events(lin)
    assert len(told) == feed.KEPT
    assert told[-1][0] == f"{feed.KEPT + 3}-0"
