"""Read positions and single messages in MySQL, and what is published about them."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.messaging import ids, log, read_positions, reading, reading_store, store
from chalicelib.messaging.models import ConversationKind, NewMessage
from chalicelib.outbox import outbox
from tests.support.conversation_log import SendMessage, count_unread
from tests.support.factories import Hospital, Person


def test_unchanged_position_is_published_to_no_participant(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    send_message("一", lin)
    moves = [reading_store.advance_read_position(mysql.autocommit, conversation, chen.principal, 1) for _ in range(2)]
    assert moves[0]
    assert moves[1]
    assert sorted(moves[0][1]) == sorted([lin.principal, chen.principal])
    assert moves[1][1] == []
    assert moves[0][0] == moves[1][0]


def test_message_that_does_not_exist_yet_is_not_found(
    lin: Person, conversation: str, send_message: SendMessage
) -> None:
    send_message("一")
    assert reading_store.find_message(mysql.autocommit, lin.tenant_id, conversation, 1)
    assert reading_store.find_message(mysql.autocommit, lin.tenant_id, conversation, 2) is None
    assert reading_store.find_message(mysql.autocommit, lin.tenant_id, conversation, 3) is None


def test_unknown_conversation_has_a_head_of_zeros(lin: Person) -> None:
    assert reading_store.fetch_head(mysql.autocommit, ids.generate_public_id(), lin.principal) == (0, 0, None)


def test_position_moved_without_redis_is_seen_afterwards(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, cut_redis: Any
) -> None:
    send_message("一", chen)
    page, _ = reading.fetch_newest_page(conversation, lin.principal, 10)
    assert count_unread(conversation, lin) == 1
    context = cut_redis()
    read_positions.mark_read(conversation, page)
    context.__exit__(None, None, None)
    assert count_unread(conversation, lin) == 0


LARGEST_INLINE = store.MAX_INLINE_RECIPIENTS


@pytest.mark.parametrize(("participants", "wakes"), [(2, 0), (LARGEST_INLINE, 0), (LARGEST_INLINE + 1, 1)])
def test_worker_is_woken_for_a_large_conversation_only(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, participants: int, wakes: int
) -> None:
    woken: list[None] = []
    monkeypatch.setattr(outbox, "wake_worker", lambda: woken.append(None))
    public_id, members = ids.generate_public_id(), [f"session:{number}" for number in range(participants)]
    mysql.run_transaction(
        lambda tx: store.create_conversation(tx, hospital.tenant_id, public_id, ConversationKind.SERVICE, members, 1)
    )
    sent = log.append(hospital.tenant_id, None, public_id, "session:0", NewMessage("一", "t", None))
    assert len(woken) == wakes
    log.withdraw(hospital.tenant_id, public_id, sent.id, "session:0")
    assert len(woken) == 2 * wakes
    mysql.autocommit.execute("DELETE FROM outbox WHERE pending = 1")
