"""Concurrent operations: each test produces one exact interleaving."""

from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.messaging import log, reading, recent_cache
from tests.support.conversation_log import SendMessage, count_unread, read_newest
from tests.support.factories import Person
from tests.support.faults.final_state import age_cache
from tests.support.faults.interleaving import (
    as_other_process,
    delay_read_positions,
    is_listed,
    list_newest,
    read_cache_view,
    read_mysql_snapshot,
)


def test_send_published_after_its_withdrawal_keeps_text_withdrawn(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_newest(conversation, chen)
    late: list[tuple[Any, ...]] = []
    with monkeypatch.context() as slow:
        slow.setattr(log, "_publish", lambda *arguments: late.append(arguments))
        wrong = send_message("说错了", lin)
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    log._publish(*late[0])
    assert read_newest(conversation, chen) == [""]


def test_resend_overtaken_by_withdrawal_keeps_text_withdrawn(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = send_message("说错了", lin, "k1")
    read_newest(conversation, chen)
    find_duplicate = log._find_duplicate

    def withdraw_after(*arguments: Any) -> Any:
        sent = find_duplicate(*arguments)
        log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
        return sent

    monkeypatch.setattr(log, "_find_duplicate", withdraw_after)
    send_message("说错了", lin, "k1")
    assert read_newest(conversation, chen) == [""]


@pytest.mark.parametrize("next_write", ["send", "withdrawal", "withdrawal again"])
def test_withdrawal_without_redis_is_not_undone_by_next_write(
    conversation: str,
    lin: Person,
    chen: Person,
    send_message: SendMessage,
    monkeypatch: pytest.MonkeyPatch,
    next_write: str,
) -> None:
    wrong, other = send_message("说错了", lin), send_message("嗯？", chen)
    if next_write == "withdrawal again":
        log.withdraw(lin.tenant_id, conversation, other.id, chen.principal)
    read_newest(conversation, chen)
    with as_other_process(monkeypatch, cut=True):
        log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    if next_write == "send":
        send_message("好", chen)
    else:
        log.withdraw(lin.tenant_id, conversation, other.id, chen.principal)
    age_cache(conversation)
    assert "说错了" not in read_newest(conversation, chen)


def test_process_that_withdrew_without_redis_does_not_show_text_again(
    conversation: str, lin: Person, send_message: SendMessage, cut_redis: Any
) -> None:
    wrong = send_message("说错了", lin)
    read_newest(conversation, lin)
    cut = cut_redis()
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    cut.__exit__(None, None, None)
    assert read_newest(conversation, lin) == [""]


def test_refill_read_before_deletion_does_not_undo_it(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    send_message("一", chen)
    redis.get_client().flushall()
    seen, before = read_cache_view(conversation, chen), read_mysql_snapshot(conversation, chen)
    reading.hide(conversation, lin.principal)
    redis.run_script(*recent_cache.build_refill_call(conversation, seen, before))
    assert not is_listed(conversation, lin)


def test_refill_read_before_page_does_not_make_it_unread(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    send_message("一", chen)
    redis.get_client().flushall()
    seen, before = read_cache_view(conversation, chen), read_mysql_snapshot(conversation, chen)
    read_newest(conversation, lin)
    redis.run_script(*recent_cache.build_refill_call(conversation, seen, before))
    assert count_unread(conversation, lin) == 0


def test_late_read_position_does_not_undo_deletion(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_message("一", chen)
    reading.fetch_newest_pages([conversation], lin.principal)
    with delay_read_positions(monkeypatch) as late:
        read_newest(conversation, lin)
    reading.hide(conversation, lin.principal)
    assert not is_listed(conversation, lin)
    redis.run_script(*late[0])
    assert not is_listed(conversation, lin)


def test_page_is_not_forgotten_when_its_refill_is_too_late(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One writer has no Redis; the intents of two rejected writers keep the reader's refill from taking effect."""
    read_newest(conversation, lin)
    with as_other_process(monkeypatch, cut=True):
        send_message("一", chen)
    recent_cache.add_write_intent(conversation, "rejected 1")
    build_refill_call = recent_cache.build_refill_call

    def add_intent_first(*arguments: Any) -> Any:
        recent_cache.add_write_intent(conversation, "rejected 2")
        return build_refill_call(*arguments)

    with monkeypatch.context() as slow:
        slow.setattr(recent_cache, "build_refill_call", add_intent_first)
        assert list_newest(conversation, lin) == ["一"]
    for writer in ("rejected 1", "rejected 2"):
        recent_cache.remove_write_intent(conversation, writer)
    assert list_newest(conversation, lin) == ["一"]


def test_list_read_without_redis_is_not_forgotten(
    conversation: str,
    lin: Person,
    chen: Person,
    send_message: SendMessage,
    monkeypatch: pytest.MonkeyPatch,
    cut_redis: Any,
) -> None:
    read_newest(conversation, lin)
    with as_other_process(monkeypatch, cut=True):
        send_message("一", chen)
    cut = cut_redis()
    assert count_unread(conversation, lin) == 1
    cut.__exit__(None, None, None)
    assert count_unread(conversation, lin) == 1
