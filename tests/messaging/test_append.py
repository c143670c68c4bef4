"""Messages that wait for the row lock under which they are numbered, and session state between two messages."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.messaging import ids, log, membership, membership_store, store
from chalicelib.messaging.models import ConversationKind, NewMessage
from chalicelib.outbox import outbox
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until

pytestmark = pytest.mark.store

GUO, HAN = "session:guo", "session:han"


@pytest.fixture
def conversation(hospital: Hospital) -> str:
    return create_conversation(hospital, GUO, HAN)


@pytest.fixture
def send_message(hospital: Hospital, conversation: str) -> Callable[[], int]:
    """Return a function with which Han sends a message: its seq, 0 if Han does not take part, -1 if it is archived."""

    def send() -> int:
        try:
            return log.append(hospital.tenant_id, None, conversation, HAN, NewMessage("我", "t")).seq
        except ApiError as error:
            return {errors.NOT_FOUND: 0, errors.NOT_ALLOWED: -1}[error.kind]

    return send


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def create_conversation(hospital: Hospital, *principals: str) -> str:
    public_id = ids.generate_public_id()
    mysql.run_transaction(
        lambda tx: store.create_conversation(
            tx, hospital.tenant_id, public_id, ConversationKind.CLIENT, list(principals), 1
        )
    )
    return public_id


def fetch_rows(tx: Tx, hospital: Hospital) -> list[Any]:
    """Return all rows that a message changes."""
    return [
        tx.fetch_all(
            "SELECT * FROM conversations WHERE tenant_id = %(id)s ORDER BY conversation_id", id=hospital.tenant_id
        ),
        tx.fetch_all("SELECT * FROM participants WHERE tenant_id = %(id)s ORDER BY 1, 2", id=hospital.tenant_id),
        tx.fetch_all("SELECT * FROM messages WHERE tenant_id = %(id)s ORDER BY 1, 2", id=hospital.tenant_id),
        tx.fetch_all("SELECT * FROM outbox WHERE tenant_id = %(id)s", id=hospital.tenant_id),
    ]


def count_row_lock_waits() -> int:
    """Return how many transactions wait for a row lock."""
    row = mysql.autocommit.fetch_one("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
    return int(row["Value"]) if row else 0


@contextmanager
def hold_lock(sql: str, **named: Any) -> Iterator[None]:
    """Execute a statement on another connection, which commits at the end."""
    connection = mysql._connect()
    try:
        connection.begin()
        Tx(connection.cursor()).execute(sql, **named)
        yield
        connection.commit()
    finally:
        connection.close()


@pytest.fixture
def run_before_commit(monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor) -> Callable[..., list[Future[int]]]:
    """Return a function that starts `other` after a function of the store has run and before its commit."""

    def run_before_commit(name: str, other: Callable[[], int]) -> list[Future[int]]:
        real, futures = getattr(membership_store, name), list[Future[int]]()

        def call_and_wait(*arguments: Any, **more: Any) -> Any:
            done = real(*arguments, **more)
            futures.append(pool.submit(other))
            wait_until(lambda: futures[0].done() or count_row_lock_waits() > 0)
            return done

        monkeypatch.setattr(membership_store, name, call_and_wait)
        return futures

    return run_before_commit


def test_message_waiting_for_removal_is_rejected(
    hospital: Hospital, conversation: str, send_message: Callable[[], int], run_before_commit: Any
) -> None:
    assert send_message() == 1
    late = run_before_commit("set_left", send_message)
    membership.remove_participants(hospital.tenant_id, conversation, [HAN])
    assert late[0].result() == 0
    assert get_last_seq(conversation) == 1


def test_message_waiting_for_archiving_is_rejected(
    hospital: Hospital, conversation: str, send_message: Callable[[], int], run_before_commit: Any
) -> None:
    late = run_before_commit("set_archived", send_message)
    membership.set_archived(hospital.tenant_id, [conversation], archived=True)
    assert late[0].result() == -1
    assert get_last_seq(conversation) == 0


def test_message_waiting_for_its_sender_to_be_added_is_stored(
    hospital: Hospital, conversation: str, send_message: Callable[[], int], run_before_commit: Any
) -> None:
    membership.remove_participants(hospital.tenant_id, conversation, [HAN])
    assert send_message() == 0
    late = run_before_commit("set_joined", send_message)
    membership.add_participants(hospital.tenant_id, conversation, [HAN])
    assert late[0].result() == 1


def test_removal_waits_for_earlier_message(
    hospital: Hospital, conversation: str, send_message: Callable[[], int], pool: ThreadPoolExecutor
) -> None:
    """The message has locked the conversation and waits for Han's row, which another connection holds."""
    with hold_lock("UPDATE participants SET read_seq = 0 WHERE principal = %(han)s", han=HAN.encode()):
        message = pool.submit(send_message)
        wait_until(lambda: count_row_lock_waits() == 1)
        removal = pool.submit(membership.remove_participants, hospital.tenant_id, conversation, [HAN])
        wait_until(lambda: count_row_lock_waits() == 2)
        assert not message.done()
        assert not removal.done()
    assert message.result() == 1
    removal.result()
    assert send_message() == 0
    assert get_last_seq(conversation) == 1


def get_last_seq(conversation: str) -> int:
    """Return last_seq, which equals the number of messages."""
    counted = mysql.autocommit.fetch_all(
        """
            SELECT last_seq, COUNT(seq) AS messages
            FROM conversations c LEFT JOIN messages m ON m.conversation_id = c.conversation_id
            WHERE public_id = %(public_id)s GROUP BY last_seq
            """,
        public_id=conversation.encode(),
    )
    assert [row["last_seq"] for row in counted] == [row["messages"] for row in counted]
    return int(counted[0]["last_seq"])


@pytest.mark.parametrize("before", ["stored", "rejected half-way"])
def test_rejected_sender_changes_nothing_on_used_connection(
    hospital: Hospital, other_hospital: Hospital, conversation: str, before: str
) -> None:
    other = create_conversation(hospital, HAN)
    tenant_id, new_message = hospital.tenant_id, NewMessage("我", "t", "k1")
    connection = mysql.autocommit.fetch_value("SELECT CONNECTION_ID()")
    assert store.append(mysql.autocommit, tenant_id, None, conversation, HAN, new_message, 1)
    if before == "rejected half-way":
        with pytest.raises(mysql.DuplicateKeyError):
            store.append(mysql.autocommit, tenant_id, None, other, HAN, new_message, 1)

    def try_all(tx: Tx) -> None:
        assert tx.fetch_value("SELECT CONNECTION_ID()") == connection
        before = fetch_rows(tx, hospital)
        for tenant, kind, public_id, sender in (
            (tenant_id, None, other, GUO),
            (tenant_id, None, other, "session:HAN"),
            (tenant_id, ConversationKind.CONSULT, other, HAN),
            (other_hospital.tenant_id, None, other, HAN),
            (tenant_id, None, ids.generate_public_id(), HAN),
        ):
            assert store.append(tx, tenant, kind, public_id, sender, NewMessage("我", "t"), 2) is None
        assert fetch_rows(tx, hospital) == before

    mysql.run_autocommit(try_all)


@pytest.mark.parametrize(("participants", "left", "jobs"), [(20, 0, 0), (21, 1, 0), (21, 0, 1)])
def test_conversation_of_more_than_twenty_is_notified_by_job(
    hospital: Hospital, participants: int, left: int, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)
    principals = [f"session:{number}" for number in range(participants)]
    conversation = create_conversation(hospital, *principals)
    for principal in principals[participants - left :]:
        membership.leave(hospital.tenant_id, conversation, principal)
    new_message = NewMessage("一", "t", "k1")
    for _ in range(2):
        log.append(hospital.tenant_id, None, conversation, principals[0], new_message)
    count = "SELECT COUNT(*) FROM outbox WHERE tenant_id = %(id)s AND job = 'notify_conversation'"
    assert mysql.autocommit.fetch_value(count, id=hospital.tenant_id) == jobs


def test_ids_ascend_when_clock_goes_back_and_collisions_are_detected(hospital: Hospital) -> None:
    """Two conversations with the same tag choose the same tick."""
    one, other = create_conversation(hospital, HAN), create_conversation(hospital, HAN)
    mysql.autocommit.execute("UPDATE conversations SET tag = 5 WHERE tenant_id = %(t)s", t=hospital.tenant_id)

    def append(public_id: str, now: int) -> str:
        stored = store.append(mysql.autocommit, hospital.tenant_id, None, public_id, HAN, NewMessage("我", "t"), now)
        assert stored
        return stored.message.id

    first = append(one, 2_000_000)
    with pytest.raises(mysql.DuplicateKeyError, match="message_id"):
        append(other, 2_000_000)
    assert append(one, 1_000_000) > first
    assert (get_last_seq(one), get_last_seq(other)) == (2, 0)
