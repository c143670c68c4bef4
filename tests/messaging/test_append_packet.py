"""The packet that writes a message: what it returns, and that it never writes for a sender who may not.

An INSERT that follows an UPDATE matching no row must not write. Here other connections change who may write between
the statements of the packet, and the statements run on fresh connections, where LAST_INSERT_ID() is 0.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import errors
from chalicelib.adapters import mysql, mysql_statements
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.messaging import ids, log, membership, store
from chalicelib.messaging.models import ConversationKind, Message, NewMessage, StoredMessage
from tests.messaging.test_append import count_row_lock_waits
from tests.support.conversation_log import find_wrong_copies
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until

pytestmark = pytest.mark.store

GUO, HAN, STRANGER = "session:guo", "session:han", "session:stranger"
ANY, SMALL = NewMessage("我", "t"), NewMessage("我", "t", few_recipients=True)
each_form = pytest.mark.parametrize("message", [ANY, SMALL], ids=["any", "small"])


@pytest.fixture
def conversation(hospital: Hospital) -> str:
    return create_conversation(hospital, ids.generate_public_id())


@pytest.fixture
def fresh_tx() -> Iterator[Tx]:
    """A connection on which nothing has run."""
    connection = mysql._connect()
    yield Tx(connection.cursor())
    connection.close()


def create_conversation(hospital: Hospital, public_id: str) -> str:
    mysql.run_transaction(
        lambda tx: store.create_conversation(tx, hospital.tenant_id, public_id, ConversationKind.CLIENT, [GUO, HAN], 1)
    )
    return public_id


def append(
    tx: Tx, hospital: Hospital, conversation: str, sender: str, now: int = 5_000_000, message: NewMessage = ANY
) -> StoredMessage | None:
    return store.append(tx, hospital.tenant_id, None, conversation, sender, message, now)


def fetch_messages(conversation: str) -> list[dict[str, Any]]:
    return mysql.autocommit.fetch_all(
        """
        SELECT m.seq, m.tick, m.sender FROM messages m JOIN conversations c ON c.conversation_id = m.conversation_id
        WHERE c.public_id = %(public_id)s ORDER BY m.seq
        """,
        public_id=conversation.encode(),
    )


def fetch_head(conversation: str) -> dict[str, Any]:
    row = mysql.autocommit.fetch_one(
        "SELECT last_seq, last_tick, prev_tick FROM conversations WHERE public_id = %(public_id)s",
        public_id=conversation.encode(),
    )
    assert row
    return row


@pytest.mark.parametrize("earlier_messages", [0, 2])
def test_stranger_writes_nothing_on_fresh_connection(
    hospital: Hospital, conversation: str, fresh_tx: Tx, earlier_messages: int
) -> None:
    for _ in range(earlier_messages):
        append(mysql.autocommit, hospital, conversation, HAN)
    assert append(fresh_tx, hospital, conversation, STRANGER) is None
    assert append(fresh_tx, hospital, conversation, STRANGER) is None
    assert [row["seq"] for row in fetch_messages(conversation)] == list(range(1, earlier_messages + 1))
    assert fetch_head(conversation)["last_seq"] == earlier_messages


@pytest.mark.parametrize("earlier_messages", [0, 2])
def test_stranger_writes_nothing_in_a_small_conversation(
    hospital: Hospital, conversation: str, earlier_messages: int
) -> None:
    for number in range(earlier_messages):
        append(mysql.autocommit, hospital, conversation, HAN, number)
    before = fetch_head(conversation)
    with pytest.raises(mysql.NullViolationError):
        append(mysql.autocommit, hospital, conversation, STRANGER, message=SMALL)
    assert fetch_head(conversation) == before
    with pytest.raises(ApiError) as error:
        log.append(hospital.tenant_id, None, conversation, STRANGER, SMALL)
    assert error.value.kind is errors.NOT_FOUND
    assert fetch_head(conversation) == before
    assert find_wrong_copies(hospital.tenant_id) == []
    assert append(mysql.autocommit, hospital, conversation, GUO, message=SMALL), "the lock is released"


def test_who_has_left_a_small_conversation_writes_nothing(hospital: Hospital, conversation: str) -> None:
    membership.leave(hospital.tenant_id, conversation, HAN)
    with pytest.raises(ApiError):
        log.append(hospital.tenant_id, None, conversation, HAN, SMALL)
    assert log.append(hospital.tenant_id, None, conversation, GUO, SMALL).seq == 1
    membership.leave(hospital.tenant_id, conversation, GUO)
    with pytest.raises(ApiError):
        log.append(hospital.tenant_id, None, conversation, GUO, SMALL)
    assert fetch_head(conversation)["last_seq"] == 1


@each_form
def test_first_message_of_fresh_connection(
    hospital: Hospital, conversation: str, fresh_tx: Tx, message: NewMessage
) -> None:
    stored = append(fresh_tx, hospital, conversation, HAN, message=message)
    assert stored
    assert (stored.message.seq, stored.prev_id, sorted(stored.recipients)) == (1, "", [GUO, HAN])


@each_form
def test_assignments_are_evaluated_from_left_to_right(
    hospital: Hospital, conversation: str, fresh_tx: Tx, message: NewMessage
) -> None:
    """MySQL does not guarantee it for an UPDATE of two tables: prev_tick is the last_tick before it was assigned."""
    stored = [
        append(fresh_tx, hospital, conversation, sender, now, message)
        for sender, now in ((HAN, 2_000_000), (GUO, 9_000_000), (HAN, 3_000_000), (GUO, 9_000_000))
    ]
    messages = [one.message for one in stored if one]
    assert [message.seq for message in messages] == [1, 2, 3, 4]
    assert [one.prev_id for one in stored if one] == ["", *(message.id for message in messages[:-1])]
    ticks = [row["tick"] for row in fetch_messages(conversation)]
    assert ticks == sorted(set(ticks))
    assert [ids.decode(message.id)[0] for message in messages] == ticks
    assert fetch_head(conversation) == {"last_seq": 4, "last_tick": ticks[3], "prev_tick": ticks[2]}


@pytest.fixture
def create_after_update(monkeypatch: pytest.MonkeyPatch, hospital: Hospital) -> Callable[[int], str]:
    """Return a function that creates a conversation, and n messages, between UPDATE and INSERT of the next packet.

    Of a conversation that exists, the UPDATE would have locked the row (see the test below).
    """
    original = mysql_statements._run_lean_packet

    def prepare(messages: int) -> str:
        public_id = ids.generate_public_id()

        def run_in_two(cursor: Any, sql: str, params: Any) -> Any:
            monkeypatch.setattr(mysql_statements, "_run_lean_packet", original)
            update, insert = sql.split("INSERT INTO messages", 1)
            counts, _ = original(cursor, update.rstrip().rstrip(";"), params)
            create_conversation(hospital, public_id)
            for _ in range(messages):
                append(mysql.autocommit, hospital, public_id, HAN)
            more, values = original(cursor, f"INSERT INTO messages{insert}", params)
            return counts + more, values

        monkeypatch.setattr(mysql_statements, "_run_lean_packet", run_in_two)
        return public_id

    return prepare


@each_form
@pytest.mark.parametrize("earlier_messages", [0, 2])
def test_conversation_that_is_created_inside_the_packet(
    hospital: Hospital, create_after_update: Callable[[int], str], earlier_messages: int, message: NewMessage
) -> None:
    """The INSERT would take the seq of another message, or 0: it fails. The next attempt writes the message once."""
    conversation = create_after_update(earlier_messages)
    expected = mysql.DuplicateKeyError if earlier_messages else mysql.CheckViolationError
    with pytest.raises(expected, match="PRIMARY" if earlier_messages else "seq_is_positive"):
        append(mysql.autocommit, hospital, conversation, GUO, message=message)
    assert len(fetch_messages(conversation)) == earlier_messages
    conversation = create_after_update(earlier_messages)
    sent: Message = log.append(hospital.tenant_id, None, conversation, GUO, replace(message, idempotency_key="k1"))
    assert sent.seq == earlier_messages + 1
    assert [row["sender"] for row in fetch_messages(conversation)] == [HAN.encode()] * earlier_messages + [GUO.encode()]


def test_sender_cannot_join_inside_the_packet(hospital: Hospital, conversation: str, fresh_tx: Tx) -> None:
    """The UPDATE that finds no sender has locked the conversation: a change of its participants waits."""
    fresh_tx.execute_lean_packet("START TRANSACTION")
    condition = {"public_id": conversation.encode(), "tenant_id": hospital.tenant_id, "sender": STRANGER.encode()}
    update = f"UPDATE {store.FROM_SENDER} SET c.last_seq = 9 WHERE {store.SENDER_MAY_WRITE}"
    assert fresh_tx.execute_lean_packet(update, **condition, kind=None) == ([0], [])
    with ThreadPoolExecutor(1) as pool:
        change = pool.submit(membership.add_participants, hospital.tenant_id, conversation, [STRANGER])
        wait_until(lambda: count_row_lock_waits() > 0)
        assert not change.done()
        fresh_tx.execute_lean_packet("ROLLBACK")
        change.result()


def test_closing_message_archives_in_its_packet(hospital: Hospital, conversation: str, fresh_tx: Tx) -> None:
    closing = NewMessage("再见", "t", closes_conversation=True)
    arguments = (hospital.tenant_id, None, conversation)
    assert store.append(fresh_tx, *arguments, STRANGER, closing, 1_000_000) is None
    assert store.append(fresh_tx, *arguments, HAN, closing, 1_000_000)
    assert append(fresh_tx, hospital, conversation, GUO) is None
    assert [row["seq"] for row in fetch_messages(conversation)] == [1]


@each_form
def test_participants_get_the_new_values_of_the_conversation(
    hospital: Hospital, conversation: str, fresh_tx: Tx, message: NewMessage
) -> None:
    """MySQL does not guarantee it for an UPDATE of several tables: see `append`."""
    for sender, now in ((HAN, 2_000_000), (GUO, 9_000_000), (HAN, 3_000_000)):
        assert append(fresh_tx, hospital, conversation, sender, now, message)
        assert find_wrong_copies(hospital.tenant_id) == []
    own = mysql.autocommit.fetch_all(
        """
        SELECT p.principal, p.own_after_read, p.unread FROM participants p
        JOIN conversations c ON c.conversation_id = p.conversation_id
        WHERE c.public_id = %(public_id)s ORDER BY p.principal
        """,
        public_id=conversation.encode(),
    )
    assert [(row["principal"].decode(), row["own_after_read"], row["unread"]) for row in own] == [
        (GUO, 1, 2),
        (HAN, 2, 1),
    ]
