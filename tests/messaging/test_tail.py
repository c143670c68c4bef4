"""Redis is disposable: whatever it has lost, keeps or makes up, a reader sees what MySQL holds."""

from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import ids, log, store, tail
from chalicelib.messaging.models import Draft, Message
from tests.people import Hospital


@pytest.fixture
def conversation(hospital: Hospital) -> str:
    """A conversation of Lin and Doctor Chen."""
    public_id, members = ids.new_conversation(), [hospital.lin.principal, hospital.chen.principal]
    mysql.transact(lambda tx: store.create(tx, hospital.tenant_id, public_id, "direct", members, 1))
    return public_id


@pytest.fixture
def say(hospital: Hospital, conversation: str) -> Any:
    return lambda text: log.append(hospital.tenant_id, "direct", conversation, hospital.lin.principal, Draft(text, "t"))


@pytest.fixture
def mysql_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the store's readings that took place."""
    seen: list[str] = []
    for name in ("newest", "last_seq"):
        real = getattr(store, name)
        monkeypatch.setattr(store, name, lambda *a, real=real, name=name: (seen.append(name), real(*a))[1])
    return seen


def read(conversation: str, limit: int = 100) -> list[str]:
    messages, _ = log.newest(conversation, limit)
    return [message.content for message in messages]


def keys(conversation: str) -> list[str]:
    return [f"log:{{{conversation}}}:{part}" for part in ("state", "tail", "marks")]


def test_the_newest_page_comes_from_redis_alone(conversation: str, say: Any, mysql_reads: list[str]) -> None:
    read(conversation)
    say("一"), say("二")
    mysql_reads.clear()
    assert read(conversation) == ["二", "一"]
    assert mysql_reads == []


@pytest.mark.parametrize("part", [0, 1, 2])
def test_whatever_key_is_deleted_nothing_is_missing(conversation: str, say: Any, part: int) -> None:
    read(conversation)
    say("一"), say("二")
    redis.client().delete(keys(conversation)[part])
    assert read(conversation) == ["二", "一"]
    say("三")
    assert read(conversation) == ["三", "二", "一"]


def test_a_flushed_redis_is_filled_again(conversation: str, say: Any, mysql_reads: list[str]) -> None:
    say("一")
    redis.client().flushall()
    assert read(conversation) == ["一"]
    mysql_reads.clear()
    assert read(conversation) == ["一"]
    assert mysql_reads == []


def test_a_tail_with_a_hole_is_not_believed(conversation: str, say: Any) -> None:
    read(conversation)
    say("一"), say("二"), say("三")
    redis.client().zremrangebyscore(keys(conversation)[1], 2, 2)
    assert read(conversation) == ["三", "二", "一"]


def test_a_tail_that_another_server_made_is_not_believed(conversation: str, say: Any) -> None:
    read(conversation)
    say("一")
    client, (state, kept, _) = redis.client(), keys(conversation)
    older = client.zrange(kept, 0, -1, withscores=True)
    say("二")
    client.delete(kept)
    client.zadd(kept, dict(older))
    client.hset(state, mapping={"server": "0" * 40, "last_seq": 1})
    assert read(conversation) == ["二", "一"]


def test_an_open_mark_sends_readers_to_mysql(conversation: str, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer dies between its commit and Redis."""
    read(conversation)
    monkeypatch.setattr(tail, "publish", lambda *_: False)
    say("一")
    assert read(conversation) == ["一"]


def test_a_dead_writers_mark_falls_after_a_minute(conversation: str, say: Any, mysql_reads: list[str]) -> None:
    tail.mark(conversation, "dead")
    say("一")
    read(conversation)
    assert redis.client().zscore(keys(conversation)[2], "dead")
    redis.client().zadd(keys(conversation)[2], {"dead": 1})
    read(conversation)
    mysql_reads.clear()
    assert read(conversation) == ["一"]
    assert mysql_reads == []


def test_a_writer_who_was_refused_leaves_no_mark(hospital: Hospital, conversation: str) -> None:
    with pytest.raises(Exception, match="会话不存在"):
        log.append(hospital.tenant_id, "direct", conversation, hospital.wang.principal, Draft("我", "t"))
    assert redis.client().zcard(keys(conversation)[2]) == 0


def test_after_ten_seconds_a_tail_is_compared_with_mysql(
    conversation: str, say: Any, mysql_reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(conversation)
    with monkeypatch.context() as cut:  # a writer who cannot reach Redis
        cut.setattr(tail, "mark", lambda *_: False)
        cut.setattr(tail, "publish", lambda *_: False)
        say("一")
    redis.client().hincrby(keys(conversation)[0], "checked", -(tail.BELIEVED + 1) * 1000)
    assert read(conversation) == ["一"]
    redis.client().hincrby(keys(conversation)[0], "checked", -(tail.BELIEVED + 1) * 1000)
    mysql_reads.clear()
    assert read(conversation) == read(conversation) == ["一"]
    assert mysql_reads == ["last_seq"]


def test_a_late_refill_does_not_cover_what_was_written_meanwhile(conversation: str, say: Any) -> None:
    say("一")
    redis.client().delete(keys(conversation)[0])
    seen = tail.view(redis.run(*tail.reading(conversation, 100, "n1")))
    before = mysql.autocommit(lambda tx: store.newest(tx, conversation, 200))
    say("二")
    tail.refill(conversation, seen, before)
    assert read(conversation) == ["二", "一"]


def test_a_refill_read_before_two_flushes_changes_nothing(conversation: str, say: Any) -> None:
    """The version after a flush is never the one before it."""
    redis.client().flushall()
    seen = tail.view(redis.run(*tail.reading(conversation, 100, ids.nonce())))
    say("一")
    redis.client().flushall()
    redis.run(*tail.reading(conversation, 100, ids.nonce()))
    tail.refill(conversation, seen, [])
    assert read(conversation) == ["一"]


def test_of_two_refills_the_one_that_read_less_loses(conversation: str, say: Any) -> None:
    redis.client().flushall()
    seen = tail.view(redis.run(*tail.reading(conversation, 100, "n1")))
    newer = [Message(2, "b", "user:1", 0, "二", 2), Message(1, "a", "user:1", 0, "一", 1)]
    tail.refill(conversation, seen, newer)
    tail.refill(conversation, seen, newer[1:])
    assert read(conversation) == ["二", "一"]


def test_messages_that_arrive_out_of_order_wait_for_the_missing_one(conversation: str) -> None:
    """Two writers commit 1 and 2; the second reaches Redis first."""
    assert read(conversation) == []
    first, second = Message(1, "a", "user:1", 0, "一", 1), Message(2, "b", "user:1", 0, "二", 2)
    tail.publish(conversation, "w2", second)
    assert tail.view(redis.run(*tail.reading(conversation, 100, "n"))).verdict == "broken"
    tail.publish(conversation, "w1", first)
    assert read(conversation) == ["二", "一"]


def test_without_redis_the_service_goes_on(conversation: str, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise redis.Down("cut")

    monkeypatch.setattr(redis, "_call", refused)
    say("一")
    assert read(conversation) == ["一"]


def test_a_long_log_keeps_its_newest_two_hundred_in_redis(conversation: str, say: Any) -> None:
    read(conversation)
    for n in range(tail.KEPT + 5):
        say(str(n))
    assert redis.client().zcard(keys(conversation)[1]) == tail.KEPT
    assert read(conversation, 2) == [str(tail.KEPT + 4), str(tail.KEPT + 3)]
