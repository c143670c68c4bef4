from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.errors import ApiError
from chalicelib.messaging import log, read_positions, reading, reading_store, recent_cache, withdrawal_store
from tests.support.conversation_log import SendMessage, build_redis_keys, count_unread, read_newest
from tests.support.factories import Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until


def test_withdrawn_message_keeps_place_and_loses_text(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    wrong = send_message("说错了", lin)
    send_message("嗯？", chen)
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    assert read_newest(conversation, chen) == ["嗯？", ""]
    redis.get_client().flushall()
    assert read_newest(conversation, chen) == ["嗯？", ""]
    later = send_message("好", chen)
    assert [m.content for m in reading.list_older(conversation, later.id, 10)] == ["嗯？", ""]
    assert [m.withdrawn for m in reading.list_older(conversation, later.id, 10)] == [False, True]


def test_withdrawn_text_is_retained_for_audit(conversation: str, lin: Person, send_message: SendMessage) -> None:
    wrong = send_message("说错了", lin)
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    query = "SELECT m.content FROM messages m WHERE m.sender = %(lin)s"
    assert mysql.autocommit.fetch_value(query, lin=lin.principal.encode()) == "说错了"


def test_withdrawing_twice_changes_nothing(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    wrong = send_message("说错了", lin)
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    assert log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal).withdrawn
    send_message("对的", lin)
    assert count_unread(conversation, chen) == 1


def test_only_administrator_withdraws_after_two_minutes(
    conversation: str, lin: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, now = send_message("说错了", lin), clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + log.WITHDRAWAL_WINDOW)
    with pytest.raises(ApiError, match="2分钟"):
        log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    assert read_newest(conversation, lin) == ["说错了"]
    log.withdraw(lin.tenant_id, conversation, wrong.id, "user:1", sender=log.ANY_SENDER)
    assert read_newest(conversation, lin) == [""]


def test_withdrawal_records_who_when_and_why(
    conversation: str, lin: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red team M6. Withdrawing again, by anybody, changes nothing."""
    first, second = send_message("说错了", lin), send_message("也错了", lin)
    log.withdraw(lin.tenant_id, conversation, first.id, lin.principal)
    log.withdraw(lin.tenant_id, conversation, second.id, "user:1", sender=log.ANY_SENDER, reason="发错了人")
    recorded = list_withdrawals(lin)
    assert [(row["seq"], row["withdrawn_by"], row["reason"]) for row in recorded] == [
        (1, lin.principal.encode(), ""),
        (2, b"user:1", "发错了人"),
    ]
    withdrawn_at = "SELECT withdrawn_at FROM messages WHERE sender = %(sender)s ORDER BY seq"
    stored = mysql.autocommit.fetch_all(withdrawn_at, sender=lin.principal.encode())
    assert [row["at"] for row in recorded] == [row["withdrawn_at"] for row in stored]
    later = clock.now() + clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: later)
    log.withdraw(lin.tenant_id, conversation, first.id, "user:1", sender=log.ANY_SENDER, reason="再撤一次")
    assert list_withdrawals(lin) == recorded


def test_rejected_withdrawal_is_not_recorded(conversation: str, lin: Person, send_message: SendMessage) -> None:
    message = send_message("一", lin)
    for sender in (None, "user:0"):
        with pytest.raises(ApiError):
            log.withdraw(lin.tenant_id, conversation, message.id, "user:1", sender=sender)
    assert list_withdrawals(lin) == []


def list_withdrawals(person: Person) -> list[Row]:
    sql = "SELECT * FROM withdrawals WHERE tenant_id = %(tenant_id)s ORDER BY withdrawal_id"
    return mysql.autocommit.fetch_all(sql, tenant_id=person.tenant_id)


def test_message_of_another_cannot_be_withdrawn(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    message = send_message("一", lin)
    with pytest.raises(ApiError):
        log.withdraw(lin.tenant_id, conversation, message.id, chen.principal)
    assert read_newest(conversation, lin) == ["一"]


def test_resend_does_not_restore_withdrawn_text(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    wrong = send_message("说错了", lin, "k1")
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    assert send_message("说错了", lin, "k1").withdrawn
    assert read_newest(conversation, chen) == [""]


def test_rejected_withdrawal_leaves_no_write_intent(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    message = send_message("一", lin)
    with pytest.raises(ApiError):
        log.withdraw(lin.tenant_id, conversation, message.id, chen.principal)
    assert redis.get_client().zcard(build_redis_keys(conversation)[2]) == 0


@pytest.mark.parametrize("is_cached", [True, False])
def test_withdrawn_message_is_not_unread(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, is_cached: bool
) -> None:
    read_newest(conversation, chen)
    messages = [send_message(text, lin) for text in ("一", "二", "三")]
    send_message("嗯", chen)
    counts = []
    for message in [*messages, messages[0]]:  # the last one for the second time
        assert count_unread(conversation, lin) == 1, "the sender's own count does not change"
        log.withdraw(lin.tenant_id, conversation, message.id, lin.principal)
        if not is_cached:
            redis.get_client().flushall()
        counts.append(count_unread(conversation, chen))
    assert counts == [2, 1, 0, 0]


def test_withdrawal_of_a_read_message_does_not_hide_an_unread_one(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    wrong = send_message("说错了", lin)
    read_newest(conversation, chen)
    send_message("对的", lin)
    log.withdraw(lin.tenant_id, conversation, wrong.id, "user:1", sender=log.ANY_SENDER)
    assert count_unread(conversation, chen) == 1
    assert read_newest(conversation, chen) == ["对的", ""]
    assert count_unread(conversation, chen) == 0
    send_message("再说一句", lin)
    assert count_unread(conversation, chen) == 1


def test_reading_up_to_a_page_counts_later_withdrawn_messages(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    """A page is marked as read after a later message was sent and withdrawn."""
    send_message("一", lin)
    page, _ = reading.fetch_newest_page(conversation, chen.principal, 10)
    later = [send_message(text, lin) for text in ("二", "三")]
    log.withdraw(lin.tenant_id, conversation, later[0].id, lin.principal)
    read_positions.mark_read(conversation, page)
    assert count_unread(conversation, chen) == 1
    log.withdraw(lin.tenant_id, conversation, later[1].id, lin.principal)
    assert count_unread(conversation, chen) == 0


def test_withdrawal_older_than_the_cached_messages_is_not_unread(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_cache, "MAX_MESSAGES", 3)  # of which a refill takes so many
    messages = [send_message(str(number), lin) for number in range(5)]
    redis.get_client().flushall()
    assert count_unread(conversation, chen) == 5
    log.withdraw(lin.tenant_id, conversation, messages[0].id, lin.principal)
    assert count_unread(conversation, chen) == 4


def pause_after(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> tuple[Event, Event]:
    """Let a function of a store set the first event, and wait for the second, before its transaction commits."""
    reached, proceed, work = Event(), Event(), getattr(module, name)

    def pause(tx: Tx, *arguments: Any) -> Any:
        result = work(tx, *arguments)
        reached.set()
        assert proceed.wait(10)
        return result

    monkeypatch.setattr(module, name, pause)
    return reached, proceed


@pytest.mark.store
@pytest.mark.parametrize("is_reader_first", [True, False])
def test_message_that_is_withdrawn_while_it_is_read_is_counted_right(
    conversation: str,
    lin: Person,
    chen: Person,
    send_message: SendMessage,
    monkeypatch: pytest.MonkeyPatch,
    is_reader_first: bool,
) -> None:
    """The withdrawal comes before the reader's update of Redis, or the reader waits for the withdrawal's commit."""
    send_message("一", lin)
    page, _ = reading.fetch_newest_page(conversation, chen.principal, 10)
    wrong = send_message("二", lin)
    paused = (reading_store, "advance_read_position") if is_reader_first else (withdrawal_store, "withdraw")
    reached, proceed = pause_after(monkeypatch, *paused)
    calls: list[Callable[[], Any]] = [
        lambda: read_positions.mark_read(conversation, page),
        lambda: log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal),
    ]
    first, second = calls if is_reader_first else calls[::-1]
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(first)]
        assert reached.wait(10)
        done.append(pool.submit(second))
        wait_until(done[1].done if is_reader_first else is_row_lock_waiting)
        proceed.set()
        assert [one.exception() for one in done] == [None, None]
    assert count_unread(conversation, chen) == 0
    redis.get_client().flushall()
    assert count_unread(conversation, chen) == 0
    send_message("三", lin)
    assert count_unread(conversation, chen) == 1
