"""Connections to MySQL break at any point and the server is killed: each message is stored once."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from pymysql.cursors import DictCursor

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.messaging import log, store
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from devstack.services.control import Control
from tests.support import consult_client, gateway_client
from tests.support.client import ApiResponse
from tests.support.conversation_log import SendMessage, read_newest
from tests.support.factories import Hospital, Person
from tests.support.faults import final_state
from tests.support.faults.tcp_proxy import Proxy
from tests.support.faults.worker_pool import WorkerPool

MIN_RESPONSE_PACKETS = 3  # of a send: at least UPDATE, INSERT and COMMIT are answered
UNUSED_CONVERSATION_ID = 1 << 60
SELECT_WAITING_WRITER = """
    SELECT id FROM information_schema.processlist WHERE info LIKE '%INSERT INTO messages%' AND id <> CONNECTION_ID()
"""


def test_send_is_repeated_after_response_lost_after_commit(mysql_proxy: Proxy, lin: Person, chen: Person) -> None:
    session_no = consult_client.create_session(lin, chen)
    with mysql_proxy.lose_response_to(b"INSERT INTO messages") as lost:
        response = consult_client.send_as_patient(lin, chen, "发烧两天了", key="k1", session_no=session_no)
    assert lost.is_set()
    assert (response.status, response.code) == (503, 10007)
    assert int(response.headers["Retry-After"]) > 0
    # The packet's first result was lost; the server completes it including COMMIT, and then the message is visible.
    final_state.wait_until(
        lambda: consult_client.list_texts(consult_client.list_as_doctor(chen, session_no)) == ["发烧两天了"]
    )
    again = consult_client.send_as_patient(lin, chen, "发烧两天了", key="k1", session_no=session_no)
    [shown] = consult_client.list_as_doctor(chen, session_no).data
    assert shown["msg_id"] == again.data["msg_id"]


@pytest.mark.store
@pytest.mark.parametrize("sender", ["patient", "doctor"])
def test_message_is_stored_once_wherever_its_response_is_cut_off(
    mysql_proxy: Proxy, lin: Person, chen: Person, sender: str
) -> None:
    """Each packet of MySQL's protocol in turn is the last one that arrives, until the whole response does."""
    session_no = consult_client.create_session(lin, chen)

    def send(text: str) -> ApiResponse:
        if sender == "patient":
            return consult_client.send_as_patient(lin, chen, text, key=text, session_no=session_no)
        return consult_client.send_as_doctor(chen, session_no, text, key=text)

    texts = send_with_response_cut_off(mysql_proxy, session_no, send)
    assert list(reversed(consult_client.list_texts(consult_client.list_as_doctor(chen, session_no)))) == texts


@pytest.mark.store
def test_large_conversation_is_notified_once_wherever_the_response_is_cut_off(
    mysql_proxy: Proxy, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    people = [gateway_client.create_external_user(hospital, f"p{n}") for n in range(store.MAX_INLINE_RECIPIENTS + 1)]
    conversation = gateway_client.create_conversation_of(hospital, *people)
    texts = send_with_response_cut_off(
        mysql_proxy, conversation, lambda text: gateway_client.send(people[0], conversation, text, key=text)
    )
    jobs = mysql.autocommit.fetch_all(
        "SELECT payload FROM outbox WHERE tenant_id = %(tenant_id)s AND job = %(job)s",
        tenant_id=hospital.tenant_id,
        job=Job.NOTIFY_CONVERSATION,
    )
    assert sorted(json.loads(one["payload"])["seq"] for one in jobs) == list(range(1, len(texts) + 1))


def send_with_response_cut_off(proxy: Proxy, conversation: str, send: Callable[[str], ApiResponse]) -> list[str]:
    """Send messages whose responses from MySQL break off later and later, repeat each, and return their texts."""
    texts: list[str] = []
    for packets in count():
        texts.append(f"{packets}")
        with proxy.lose_response_to(b"INSERT INTO messages", after_packets=packets) as lost:
            response = send(texts[-1])
        assert response.status == 200 or (lost.is_set() and response.status == 503), response.body
        stored = final_state.list_stored(conversation)
        assert len([one for one in stored if one.text == texts[-1]]) in ([0, 1] if lost.is_set() else [1])
        again = send(texts[-1])
        stored = final_state.list_stored(conversation)
        assert [one.text for one in stored] == texts
        assert [one.seq for one in stored] == list(range(1, len(texts) + 1))
        assert stored[-1].id in again.data.values()
        if not lost.is_set():
            break
    assert packets > MIN_RESPONSE_PACKETS
    return texts


@pytest.fixture
def direct_cursor() -> Iterator[DictCursor]:
    """Return a cursor of a connection that does not use the proxy."""
    connection = mysql._connect()
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


def test_writer_disconnected_while_message_is_numbered_leaves_no_gap(
    direct_cursor: DictCursor, mysql_proxy: Proxy, conversation: str, send_message: SendMessage
) -> None:
    """The server completes the packet, but does not return ROW_COUNT() as it does to a connected client."""
    direct_cursor.execute("BEGIN")
    direct_cursor.execute("SELECT 1 FROM conversations WHERE public_id = %s FOR UPDATE", [conversation.encode()])
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send_message, "发烧两天了", key="k1")
        final_state.wait_until(final_state.is_row_lock_waiting)
        mysql_proxy.reset_connections()
        with pytest.raises(ApiError):
            sent.result()
    direct_cursor.execute("ROLLBACK")
    mysql_proxy.restore()
    check_repetition_is_stored_once(conversation, send_message)


def check_repetition_is_stored_once(conversation: str, send_message: SendMessage) -> None:
    """Send another message, and repeat the one that was interrupted."""
    send_message("还咳嗽")
    send_message("发烧两天了", key="k1")
    assert sorted(entry.text for entry in final_state.list_stored(conversation)) == sorted(["发烧两天了", "还咳嗽"])
    assert [entry.seq for entry in final_state.list_stored(conversation)] == [1, 2]


@pytest.mark.store
@pytest.mark.parametrize("killed_by_server", [True, False])
def test_writer_disconnected_while_message_is_inserted_stores_it_once(
    direct_cursor: DictCursor,
    mysql_proxy: Proxy,
    conversation: str,
    lin: Person,
    send_message: SendMessage,
    killed_by_server: bool,
) -> None:
    """The insert waits for another message with the same idempotency key, which is rolled back."""
    direct_cursor.execute("BEGIN")
    direct_cursor.execute(
        """
        INSERT INTO messages (conversation_id, seq, tenant_id, tick, tag, sender, endpoint, idempotency_key, type,
                              content, sent_at)
        VALUES (%s, 1, %s, 1, 1, %s, 't', 'k1', 0, '', 1)
        """,
        [UNUSED_CONVERSATION_ID, lin.tenant_id, lin.principal.encode()],
    )
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send_message, "发烧两天了", key="k1")
        final_state.wait_until(final_state.is_row_lock_waiting)
        if killed_by_server:
            direct_cursor.execute(SELECT_WAITING_WRITER)
            [writer] = direct_cursor.fetchall()
            direct_cursor.execute("KILL %s", [writer["id"]])
        else:
            mysql_proxy.reset_connections()
        with pytest.raises(ApiError):
            sent.result()
    direct_cursor.execute("ROLLBACK")
    mysql_proxy.restore()
    check_repetition_is_stored_once(conversation, send_message)


def test_withdrawal_with_lost_response_is_visible_to_all(
    mysql_proxy: Proxy, conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    wrong = send_message("说错了", lin)
    read_newest(conversation, chen)
    with mysql_proxy.lose_response_to(b"COMMIT") as lost, pytest.raises(ApiError) as error:
        log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    assert lost.is_set()
    assert error.value.kind is errors.UNAVAILABLE
    assert read_newest(conversation, chen) == [""]
    assert log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal).withdrawn
    assert read_newest(conversation, chen) == [""]


def test_connections_break_at_any_point(worker_pool: WorkerPool, hospital: Hospital) -> None:
    with worker_pool.run_load(hospital, withdraw_every=5):
        worker_pool.wait_for_more(20)
        worker_pool.to_mysql.break_at_random(seed=13, mean=12_000)
        before = worker_pool.to_mysql.broken_count
        worker_pool.wait_for_more(80)
        assert worker_pool.to_mysql.broken_count - before > 20
        worker_pool.to_mysql.restore()
        worker_pool.wait_for_more(50)
    assert worker_pool.count_records("rejected") > 10
    assert_no_problems(worker_pool)


def test_mysql_killed_twice_during_load(worker_pool: WorkerPool, control: Control, hospital: Hospital) -> None:
    with worker_pool.run_load(hospital):
        for _ in range(2):
            worker_pool.wait_for_more(60)
            control.mysql.kill()
            worker_pool.wait_for_more(8, "rejected")
            control.mysql.start()
        worker_pool.wait_for_more(60)
    assert_no_problems(worker_pool)


def assert_no_problems(worker_pool: WorkerPool) -> None:
    assert worker_pool.find_problems() == []
    for side in worker_pool.participants:
        final_state.age_write_intents(side.session_no)
    assert final_state.find_inconsistencies(worker_pool.participants) == []


def test_silent_idle_connections_cost_one_timeout(mysql_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a failover in which the old server does not close its connections."""
    connections = [mysql._connect() for _ in range(3)]
    mysql._idle_connections.extend(
        (clock.monotonic() - mysql.PING_AFTER_SECONDS, connection) for connection in connections
    )
    for connection in connections:
        vars(connection)["_read_timeout"] = 0.1
    pings: list[object] = []
    ping = type(connections[0]).ping

    def ping_and_count(*arguments: Any, **options: Any) -> None:
        pings.append(arguments)
        ping(*arguments, **options)

    monkeypatch.setattr(type(connections[0]), "ping", ping_and_count)
    mysql_proxy.swallow_packets()
    monkeypatch.setattr(
        mysql, "settings", replace(vars(mysql)["settings"], database_url="mysql://root@127.0.0.1:1/zhenxun")
    )
    with pytest.raises(ApiError):
        mysql.autocommit.fetch_value("SELECT 1")
    assert len(pings) == 1
    assert not any(connection.open for connection in connections)


class TakenByOtherThread(list[object]):
    """The idle connections when another thread has just taken the last one."""

    def __len__(self) -> int:
        return 1


def test_two_threads_taking_last_idle_connection_both_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "_idle_connections", TakenByOtherThread())
    assert mysql.autocommit.fetch_value("SELECT 1") == 1
    mysql._discard_connections(None)
