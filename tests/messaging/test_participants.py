"""Read positions and hidden conversations."""

from typing import Any

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import read_positions, reading
from tests.support.conversation_log import SendMessage, build_redis_keys, count_unread, read_newest
from tests.support.factories import Person


def test_unread_count_is_messages_of_others_since_last_read(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    send_message("一", lin)
    send_message("二", chen)
    send_message("三", lin)
    assert (count_unread(conversation, lin), count_unread(conversation, chen)) == (1, 2)
    read_newest(conversation, chen)
    assert (count_unread(conversation, lin), count_unread(conversation, chen)) == (1, 0)
    send_message("四", chen)
    send_message("五", lin)
    assert (count_unread(conversation, lin), count_unread(conversation, chen)) == (2, 1)


def test_unread_count_is_the_same_after_flush(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    send_message("一", lin)
    read_newest(conversation, lin)
    send_message("二", chen)
    send_message("三", lin)
    before = count_unread(conversation, lin), count_unread(conversation, chen)
    redis.get_client().flushall()
    assert (count_unread(conversation, lin), count_unread(conversation, chen)) == before == (1, 2)


def test_resend_counts_once(conversation: str, lin: Person, chen: Person, send_message: SendMessage) -> None:
    read_newest(conversation, lin)
    for _ in range(3):
        send_message("一", lin, "k1")
    assert (count_unread(conversation, lin), count_unread(conversation, chen)) == (0, 1)


def test_reading_writes_only_if_position_moves(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, monkeypatch: Any
) -> None:
    send_message("一", chen)
    read_newest(conversation, lin)
    monkeypatch.setattr(mysql, "run_autocommit", lambda _: 1 / 0)
    assert read_newest(conversation, lin) == ["一"]


def test_read_position_never_moves_back(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    send_message("一", chen)
    early, _ = reading.fetch_newest_page(conversation, lin.principal, 10)
    send_message("二", chen)
    read_newest(conversation, lin)
    read_positions.mark_read(conversation, early)
    assert count_unread(conversation, lin) == 0


def test_own_messages_after_read_page_are_not_unread(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    send_message("一", chen)
    page, _ = reading.fetch_newest_page(conversation, lin.principal, 10)
    send_message("二", lin)
    read_positions.mark_read(conversation, page)
    assert count_unread(conversation, lin) == 0
    redis.get_client().flushall()
    assert count_unread(conversation, lin) == 0


def test_hidden_entry_stays_hidden_until_next_message(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    send_message("一", chen)
    reading.hide(conversation, lin.principal)
    for flush in (False, True):
        if flush:
            redis.get_client().flushall()
        pages = [reading.fetch_newest_pages([conversation], person.principal)[conversation] for person in (lin, chen)]
        assert [page.participant and page.last_seq > page.participant.hidden_seq for page in pages] == [False, True]


def test_list_after_flush_takes_one_query_and_then_none(
    conversation: str, lin: Person, send_message: SendMessage, mysql_reads: list[str]
) -> None:
    send_message("一", lin)
    redis.get_client().flushall()
    reading.fetch_newest_pages([conversation], lin.principal)
    assert mysql_reads == ["fetch_snapshots"]
    assert reading.fetch_newest_pages([conversation], lin.principal)[conversation].messages[0].content == "一"
    assert mysql_reads == ["fetch_snapshots"]


def test_list_after_page_keeps_cached_page(
    conversation: str, lin: Person, send_message: SendMessage, mysql_reads: list[str]
) -> None:
    send_message("一", lin)
    send_message("二", lin)
    read_newest(conversation, lin)
    redis.get_client().hincrby(build_redis_keys(conversation)[0], "verified_at", -60_000)
    reading.fetch_newest_pages([conversation], lin.principal)
    mysql_reads.clear()
    assert read_newest(conversation, lin) == ["二", "一"]
    assert mysql_reads == []
