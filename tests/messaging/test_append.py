"""A message that meets something else at the row it is numbered by, and what a connection keeps of the one before."""

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
from chalicelib.messaging.models import NewMessage
from chalicelib.outbox import outbox
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until

pytestmark = pytest.mark.store

GUO, HAN = "session:guo", "session:han"


@pytest.fixture
def conversation(hospital: Hospital) -> str:
    return opened(hospital, GUO, HAN)


@pytest.fixture
def send_message(hospital: Hospital, conversation: str) -> Callable[[], int]:
    """Han says something; its number, or 0 where that is refused as to a stranger, -1 as to an archive."""

    def send() -> int:
        try:
            return log.append(hospital.tenant_id, None, conversation, HAN, NewMessage("我", "t")).seq
        except ApiError as refused:
            return {errors.NOT_FOUND: 0, errors.NOT_ALLOWED: -1}[refused.kind]

    return send


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def opened(hospital: Hospital, *principals: str) -> str:
    public_id = ids.generate_public_id()
    mysql.run_transaction(
        lambda tx: store.create_conversation(tx, hospital.tenant_id, public_id, "client", list(principals), 1)
    )
    return public_id


def rows(tx: Tx, hospital: Hospital) -> list[Any]:
    """All that a message changes."""
    return [
        tx.fetch_all(
            "SELECT * FROM conversations WHERE tenant_id = %(id)s ORDER BY conversation_id", id=hospital.tenant_id
        ),
        tx.fetch_all("SELECT * FROM participants WHERE tenant_id = %(id)s ORDER BY 1, 2", id=hospital.tenant_id),
        tx.fetch_all("SELECT * FROM messages WHERE tenant_id = %(id)s ORDER BY 1, 2", id=hospital.tenant_id),
        tx.fetch_all("SELECT * FROM outbox WHERE tenant_id = %(id)s", id=hospital.tenant_id),
    ]


def waiting() -> int:
    """How many wait for a row that another transaction has locked."""
    row = mysql.autocommit.fetch_one("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
    return int(row["Value"]) if row else 0


@contextmanager
def holding(sql: str, **named: Any) -> Iterator[None]:
    """Another connection has done this, and commits at the end."""
    connection = mysql._connect()
    try:
        connection.begin()
        Tx(connection.cursor()).execute(sql, **named)
        yield
        connection.commit()
    finally:
        connection.close()


@pytest.fixture
def in_the_midst_of(monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor) -> Callable[..., list[Future[int]]]:
    """Once the store has done what is named, and before that is committed, the other comes and waits."""

    def in_the_midst_of(name: str, other: Callable[[], int]) -> list[Future[int]]:
        real, came = getattr(membership_store, name), list[Future[int]]()

        def slowly(*arguments: Any, **more: Any) -> Any:
            done = real(*arguments, **more)
            came.append(pool.submit(other))
            wait_until(lambda: came[0].done() or waiting() > 0)
            return done

        monkeypatch.setattr(membership_store, name, slowly)
        return came

    return in_the_midst_of


def test_message_waiting_for_removal_is_rejected(
    hospital: Hospital, conversation: str, send_message: Callable[[], int], in_the_midst_of: Any
) -> None:
    assert send_message() == 1
    late = in_the_midst_of("set_left", send_message)
    membership.remove_participants(hospital.tenant_id, conversation, [HAN])
    assert late[0].result() == 0
    assert last_seq(conversation) == 1


def test_message_waiting_for_archiving_is_rejected(
    hospital: Hospital, conversation: str, send_message: Callable[[], int], in_the_midst_of: Any
) -> None:
    late = in_the_midst_of("set_archived", send_message)
    membership.set_archived(hospital.tenant_id, [conversation], archived=True)
    assert late[0].result() == -1
    assert last_seq(conversation) == 0


def test_message_waiting_for_its_sender_to_be_added_is_stored(
    hospital: Hospital, conversation: str, send_message: Callable[[], int], in_the_midst_of: Any
) -> None:
    membership.remove_participants(hospital.tenant_id, conversation, [HAN])
    assert send_message() == 0
    late = in_the_midst_of("set_joined", send_message)
    membership.add_participants(hospital.tenant_id, conversation, [HAN])
    assert late[0].result() == 1


def test_removal_waits_for_earlier_message(
    hospital: Hospital, conversation: str, send_message: Callable[[], int], pool: ThreadPoolExecutor
) -> None:
    """The message has the conversation, and waits for Han's seat, which somebody reads up to."""
    with holding("UPDATE participants SET read_seq = 0 WHERE principal = %(han)s", han=HAN.encode()):
        message = pool.submit(send_message)
        wait_until(lambda: waiting() == 1)
        kick = pool.submit(membership.remove_participants, hospital.tenant_id, conversation, [HAN])
        wait_until(lambda: waiting() == 2)
        assert not message.done()
        assert not kick.done()
    assert message.result() == 1
    kick.result()
    assert send_message() == 0
    assert last_seq(conversation) == 1


def last_seq(conversation: str) -> int:
    """Which is also how many there are."""
    counted = mysql.autocommit.fetch_all(
        """
            SELECT last_seq, COUNT(seq) AS there
            FROM conversations c LEFT JOIN messages m ON m.conversation_id = c.conversation_id
            WHERE public_id = %(public_id)s GROUP BY last_seq
            """,
        public_id=conversation.encode(),
    )
    assert [row["last_seq"] for row in counted] == [row["there"] for row in counted]
    return int(counted[0]["last_seq"])


@pytest.mark.parametrize("before", ["stored", "refused half-way"])
def test_rejected_sender_changes_nothing_on_used_connection(
    hospital: Hospital, other_hospital: Hospital, conversation: str, before: str
) -> None:
    other = opened(hospital, HAN)
    here, draft = hospital.tenant_id, NewMessage("我", "t", "k1")
    connection = mysql.autocommit.fetch_value("SELECT CONNECTION_ID()")
    assert store.append(mysql.autocommit, here, None, conversation, HAN, draft, 1)
    if before == "refused half-way":
        with pytest.raises(mysql.DuplicateKeyError):
            store.append(mysql.autocommit, here, None, other, HAN, draft, 1)

    def try_all(tx: Tx) -> None:
        assert tx.fetch_value("SELECT CONNECTION_ID()") == connection
        left = rows(tx, hospital)
        for tenant_id, kind, public_id, sender in (
            (here, None, other, GUO),
            (here, None, other, "session:HAN"),
            (here, "consult", other, HAN),
            (other_hospital.tenant_id, None, other, HAN),
            (here, None, ids.generate_public_id(), HAN),
        ):
            assert store.append(tx, tenant_id, kind, public_id, sender, NewMessage("我", "t"), 2) is None
        assert rows(tx, hospital) == left

    mysql.run_autocommit(try_all)


@pytest.mark.parametrize(("seated", "left", "promised"), [(20, 0, 0), (21, 1, 0), (21, 0, 1)])
def test_conversation_of_more_than_twenty_is_notified_by_job(
    hospital: Hospital, seated: int, left: int, promised: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)
    crowd = [f"session:{number}" for number in range(seated)]
    conversation = opened(hospital, *crowd)
    for who in crowd[seated - left :]:
        membership.leave(hospital.tenant_id, conversation, who)
    draft = NewMessage("一", "t", "k1")
    for _ in range(2):
        log.append(hospital.tenant_id, None, conversation, crowd[0], draft)
    count = "SELECT COUNT(*) FROM outbox WHERE tenant_id = %(id)s AND job = 'notify_large_conversation'"
    assert mysql.autocommit.fetch_value(count, id=hospital.tenant_id) == promised


def test_ids_ascend_when_clock_goes_back_and_collisions_are_detected(hospital: Hospital) -> None:
    """Two conversations whose ids have one tag draw the same tick."""
    one, other = opened(hospital, HAN), opened(hospital, HAN)
    mysql.autocommit.execute("UPDATE conversations SET tag = 5 WHERE tenant_id = %(t)s", t=hospital.tenant_id)

    def stored(public_id: str, now: int) -> str:
        written = store.append(mysql.autocommit, hospital.tenant_id, None, public_id, HAN, NewMessage("我", "t"), now)
        assert written
        return written.message.id

    first = stored(one, 2_000_000)
    with pytest.raises(mysql.DuplicateKeyError, match="message_id"):
        stored(other, 2_000_000)
    assert stored(one, 1_000_000) > first
    assert (last_seq(one), last_seq(other)) == (2, 0)
