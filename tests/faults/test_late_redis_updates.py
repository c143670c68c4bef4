"""Updates that reach Redis late, twice or not at all, and when readers notice."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.messaging import log, read_positions, reading, reading_store, recent_cache
from chalicelib.messaging.models import ConversationKind, NewMessage, Snapshot
from tests.support.conversation_log import (
    SendMessage,
    build_redis_keys,
    count_unread,
    raise_redis_unavailable,
    read_newest,
)
from tests.support.factories import Person
from tests.support.faults.final_state import age_cache, wait_until
from tests.support.faults.interleaving import as_other_process, is_listed


@pytest.mark.parametrize("same_process", [True, False])
def test_deletion_without_redis_is_visible_after_ten_seconds(
    conversation: str,
    lin: Person,
    chen: Person,
    send_message: SendMessage,
    monkeypatch: pytest.MonkeyPatch,
    same_process: bool,
) -> None:
    send_message("一", chen)
    read_newest(conversation, lin)
    read_newest(conversation, chen)
    if same_process:
        with monkeypatch.context() as cut:
            cut.setattr(redis, "_call_driver", raise_redis_unavailable)
            reading.hide(conversation, lin.principal)
    else:
        with as_other_process(monkeypatch, cut=True):
            reading.hide(conversation, lin.principal)
        age_cache(conversation)
        read_newest(conversation, chen)  # this comparison with MySQL does not include her state
    assert not is_listed(conversation, lin)


@pytest.mark.parametrize("again", ["page", "list"])
def test_read_position_moved_without_redis_is_visible_after_ten_seconds(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    send_message("一", chen)
    reading.fetch_newest_page(conversation, lin.principal, 10)
    with as_other_process(monkeypatch, cut=True):
        read_newest(conversation, lin)
    age_cache(conversation)
    if again == "page":
        read_newest(conversation, lin)
    assert [count_unread(conversation, lin) for _ in range(2)] == [0, 0]


def test_resend_after_cache_loss_counts_once(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    send_message("一", lin, "k1")
    send_message("二", chen)
    reading.fetch_newest_page(conversation, lin.principal, 10)
    redis.get_client().delete(build_redis_keys(conversation)[1])
    send_message("一", lin, "k1")
    send_message("三", lin, "k3")
    assert count_unread(conversation, lin) == 1


def test_message_without_write_intent_counts_once(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_message("一", chen)
    page, _ = reading.fetch_newest_page(conversation, lin.principal, 10)
    publish = log._publish

    def read_before(*arguments: Any) -> None:
        read_positions.mark_read(conversation, page)  # counts her own message, which is committed
        publish(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(recent_cache, "add_write_intent", lambda *_: False)
        patch.setattr(log, "_publish", read_before)
        send_message("二", lin)
    send_message("三", chen)
    assert count_unread(conversation, lin) == 1


@pytest.mark.parametrize("earlier_messages", [0, 2])
def test_list_detects_missing_message_below_newest(
    conversation: str,
    lin: Person,
    chen: Person,
    send_message: SendMessage,
    monkeypatch: pytest.MonkeyPatch,
    earlier_messages: int,
) -> None:
    for _ in range(earlier_messages):
        send_message("〇", chen)
    read_newest(conversation, lin)
    with as_other_process(monkeypatch, cut=True):
        send_message("一", lin)
    send_message("二", chen)
    assert [count_unread(conversation, lin) for _ in range(2)] == [1, 1]


def test_clock_set_back_does_not_extend_trust_in_cache(conversation: str, lin: Person, mysql_reads: list[str]) -> None:
    read_newest(conversation, lin)
    age_cache(conversation, -3600)
    mysql_reads.clear()
    read_newest(conversation, lin)
    assert mysql_reads == ["fetch_head"]


def test_rejected_send_keeps_cache_trusted(
    conversation: str, lin: Person, wang: Person, mysql_reads: list[str]
) -> None:
    read_newest(conversation, lin)
    with pytest.raises(ApiError):
        log.append(wang.tenant_id, ConversationKind.DIRECT, conversation, wang.principal, NewMessage("我", "t"))
    mysql_reads.clear()
    assert read_newest(conversation, lin) == []
    assert mysql_reads == []
    assert clock.now()


def test_snapshot_is_consistent(conversation: str, lin: Person, send_message: SendMessage) -> None:
    """Lin sends while a reader is between reading the messages and reading the participants."""
    send_message("一", lin)
    name = conversation[:32]

    def fetch_slowly(tx: Tx) -> Snapshot:
        slow_tx = Tx(tx._cursor)
        slow_tx.execute_packet = lambda sql, **params: tx.execute_packet(  # type: ignore[method-assign]  # of this one alone
            sql.replace("m.withdrawn_at", f"m.withdrawn_at, GET_LOCK('{name}', 10) AS held"), **params
        )
        return reading_store.fetch_snapshot(slow_tx, conversation, lin.principal, 200)

    def hold(tx: Tx) -> Snapshot:
        assert tx.fetch_value("SELECT GET_LOCK(%(name)s, 0)", name=name) == 1
        reader = another.submit(mysql.run_on_own_connection, fetch_slowly, 10)
        wait_until(lambda: tx.fetch_value(WAITING, pattern=f"%GET_LOCK('{name}%") == 1)
        send_message("二", lin)
        tx.fetch_value("SELECT RELEASE_LOCK(%(name)s)", name=name)
        return reader.result(10)

    with ThreadPoolExecutor(1) as another:
        found = mysql.run_on_own_connection(hold, 10)
    state = found.find_participant(lin.principal)
    assert state
    assert (found.last_seq, state.uncounted_after_read) == (len(found.messages), len(found.messages))


WAITING = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock' AND info LIKE %(pattern)s"
