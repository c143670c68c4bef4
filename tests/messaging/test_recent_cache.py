"""Readers see what MySQL holds, even if Redis has lost data or holds outdated data."""

from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import log, reading_store, recent_cache
from chalicelib.messaging.models import ConversationKind, Message, NewMessage, Snapshot, StoredMessage
from tests.support.conversation_log import SendMessage, build_redis_keys, read_newest
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import age_cache


def read_view(conversation: str, reader: Person) -> recent_cache.CacheView:
    call = recent_cache.build_read_call(conversation, 100, reader.principal)
    return recent_cache.parse_view(conversation, reader.principal, redis.run_script(*call))


def refill(conversation: str, seen: recent_cache.CacheView, found: Snapshot) -> None:
    redis.run_script(*recent_cache.build_refill_call(conversation, seen, found))


def read_snapshot(conversation: str, reader: Person) -> Snapshot:
    return reading_store.fetch_snapshot(mysql.autocommit, conversation, reader.principal, 200)


def test_newest_page_is_read_from_redis_alone(
    conversation: str, lin: Person, send_message: SendMessage, mysql_reads: list[str]
) -> None:
    read_newest(conversation, lin)
    send_message("一")
    send_message("二")
    mysql_reads.clear()
    assert read_newest(conversation, lin) == ["二", "一"]
    assert mysql_reads == []


@pytest.mark.parametrize("part", [0, 1, 2])
def test_deleted_key_hides_no_message(conversation: str, lin: Person, send_message: SendMessage, part: int) -> None:
    read_newest(conversation, lin)
    send_message("一")
    send_message("二")
    redis.get_client().delete(build_redis_keys(conversation)[part])
    assert read_newest(conversation, lin) == ["二", "一"]
    send_message("三")
    assert read_newest(conversation, lin) == ["三", "二", "一"]


def test_flushed_cache_is_refilled(
    conversation: str, lin: Person, send_message: SendMessage, mysql_reads: list[str]
) -> None:
    send_message("一")
    redis.get_client().flushall()
    assert read_newest(conversation, lin) == ["一"]
    mysql_reads.clear()
    assert read_newest(conversation, lin) == ["一"]
    assert mysql_reads == []


def test_cache_with_gap_is_not_trusted(conversation: str, lin: Person, send_message: SendMessage) -> None:
    read_newest(conversation, lin)
    for text in ("一", "二", "三"):
        send_message(text)
    redis.get_client().zremrangebyscore(build_redis_keys(conversation)[1], 2, 2)
    assert read_newest(conversation, lin) == ["三", "二", "一"]


def test_cache_of_another_server_is_not_trusted(conversation: str, lin: Person, send_message: SendMessage) -> None:
    read_newest(conversation, lin)
    send_message("一")
    client, (state, messages, _) = redis.get_client(), build_redis_keys(conversation)
    older, fields = client.zrange(messages, 0, -1, withscores=True), client.hgetall(state)
    send_message("二")
    client.delete(messages)
    client.zadd(messages, dict(older))
    client.hset(state, mapping={**fields, "server": "0" * 40})
    assert read_newest(conversation, lin) == ["二", "一"]


def test_open_write_intent_makes_readers_use_mysql(
    conversation: str, lin: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer fails between its commit and its update of Redis."""
    read_newest(conversation, lin)
    monkeypatch.setattr(log, "_publish", lambda *_: None)
    send_message("一")
    assert read_newest(conversation, lin) == ["一"]


def test_write_intent_of_dead_writer_is_removed_after_a_minute(
    conversation: str, lin: Person, send_message: SendMessage, mysql_reads: list[str]
) -> None:
    recent_cache.add_write_intent(conversation, "dead")
    send_message("一")
    read_newest(conversation, lin)
    assert redis.get_client().zscore(build_redis_keys(conversation)[2], "dead")
    redis.get_client().zadd(build_redis_keys(conversation)[2], {"dead": 1})
    read_newest(conversation, lin)
    mysql_reads.clear()
    assert read_newest(conversation, lin) == ["一"]
    assert mysql_reads == []


def test_rejected_writer_leaves_no_write_intent(hospital: Hospital, conversation: str) -> None:
    with pytest.raises(Exception, match="会话不存在"):
        log.append(
            hospital.tenant_id, ConversationKind.DIRECT, conversation, hospital.wang.principal, NewMessage("我", "t")
        )
    assert redis.get_client().zcard(build_redis_keys(conversation)[2]) == 0


def test_cache_is_compared_with_mysql_after_ten_seconds(
    conversation: str, lin: Person, send_message: SendMessage, mysql_reads: list[str]
) -> None:
    send_message("一")
    read_newest(conversation, lin)
    age_cache(conversation)
    mysql_reads.clear()
    assert read_newest(conversation, lin) == read_newest(conversation, lin) == ["一"]
    assert mysql_reads == ["fetch_head"]


def test_comparison_with_mysql_finds_message_written_without_redis(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_newest(conversation, lin)
    with monkeypatch.context() as elsewhere:  # another process, without Redis
        elsewhere.setattr(redis, "run_scripts", lambda calls, *_, **__: [["0", 1, None]] * len(calls))
        send_message("一", chen)
    assert read_newest(conversation, lin) == []
    age_cache(conversation)
    assert read_newest(conversation, lin) == ["一"]


def test_process_distrusts_cache_after_failed_publish(
    conversation: str, lin: Person, send_message: SendMessage, cut_redis: Any
) -> None:
    read_newest(conversation, lin)
    cut = cut_redis()
    send_message("一")
    assert read_newest(conversation, lin) == ["一"]
    cut.__exit__(None, None, None)
    assert read_newest(conversation, lin) == ["一"]


def test_late_refill_does_not_hide_newer_message(conversation: str, lin: Person, send_message: SendMessage) -> None:
    send_message("一")
    redis.get_client().delete(build_redis_keys(conversation)[0])
    seen, before = read_view(conversation, lin), read_snapshot(conversation, lin)
    send_message("二")
    refill(conversation, seen, before)
    assert read_newest(conversation, lin) == ["二", "一"]


def test_late_refill_does_not_restore_withdrawn_text(conversation: str, lin: Person, send_message: SendMessage) -> None:
    message = send_message("说错了")
    redis.get_client().delete(build_redis_keys(conversation)[0])
    seen, before = read_view(conversation, lin), read_snapshot(conversation, lin)
    log.withdraw(lin.tenant_id, conversation, message.id, lin.principal)
    refill(conversation, seen, before)
    assert read_newest(conversation, lin) == [""]


def test_refill_read_before_two_flushes_has_no_effect(
    conversation: str, lin: Person, send_message: SendMessage
) -> None:
    """A version never returns after a flush."""
    redis.get_client().flushall()
    seen, before = read_view(conversation, lin), read_snapshot(conversation, lin)
    send_message("一")
    redis.get_client().flushall()
    read_view(conversation, lin)
    refill(conversation, seen, before)
    assert read_newest(conversation, lin) == ["一"]


def test_older_of_two_refills_has_no_effect(conversation: str, lin: Person, send_message: SendMessage) -> None:
    send_message("一")
    less = read_snapshot(conversation, lin)
    send_message("二")
    redis.get_client().flushall()
    seen = read_view(conversation, lin)
    refill(conversation, seen, read_snapshot(conversation, lin))
    refill(conversation, seen, less)
    assert read_newest(conversation, lin) == ["二", "一"]


def test_messages_published_out_of_order_wait_for_missing_one(conversation: str, lin: Person) -> None:
    """Two writers commit 1 and 2; the second reaches Redis first."""
    assert read_newest(conversation, lin) == []
    for writer in ("w1", "w2"):
        recent_cache.add_write_intent(conversation, writer)
    first, second = (Message(n, str(n), lin.principal, 0, str(n), "", n) for n in (1, 2))
    redis.run_script(
        *recent_cache.build_publish_call(conversation, "w2", StoredMessage(second, "", 0, []), lin.principal)
    )
    assert read_view(conversation, lin).verdict == recent_cache.Verdict.BUSY
    redis.run_script(
        *recent_cache.build_publish_call(conversation, "w1", StoredMessage(first, "", 0, []), lin.principal)
    )
    assert [message.content for message in read_view(conversation, lin).page.messages] == ["2", "1"]


def test_service_works_without_redis(conversation: str, lin: Person, send_message: SendMessage, cut_redis: Any) -> None:
    cut_redis()
    send_message("一")
    assert read_newest(conversation, lin) == ["一"]


def test_cache_keeps_newest_two_hundred_messages(conversation: str, lin: Person, send_message: SendMessage) -> None:
    read_newest(conversation, lin)
    for n in range(recent_cache.MAX_MESSAGES + 5):
        send_message(str(n))
    assert redis.get_client().zcard(build_redis_keys(conversation)[1]) == recent_cache.MAX_MESSAGES
    assert read_newest(conversation, lin, 2) == [str(recent_cache.MAX_MESSAGES + 4), str(recent_cache.MAX_MESSAGES + 3)]
