"""Requests with few connections, contended rows or a server that goes away."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, BoundedSemaphore
from typing import Any

import pytest

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Connection, StatementError, Tx
from chalicelib.adapters.mysql_statements import ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT
from chalicelib.errors import ApiError
from chalicelib.settings import settings
from devstack.services.control import attach
from tests.support.client import post
from tests.support.factories import Hospital

pytestmark = pytest.mark.store

OCCUPY = "UPDATE beds SET person = %(person)s WHERE bed_id = %(bed)s"
SIGNAL = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {}, MESSAGE_TEXT = 'as the server would say it'"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Connection]]:
    """An empty pool of two; the list contains all connections that it opens."""
    connections: list[Connection] = []
    real = mysql._connect

    def counted() -> Connection:
        connections.append(real())
        return connections[-1]

    monkeypatch.setattr(mysql, "_connect", counted)
    monkeypatch.setattr(mysql, "_pool_slots", BoundedSemaphore(2))
    monkeypatch.setattr(mysql, "_idle_connections", [])
    yield connections
    for connection in connections:
        mysql._close(connection)


def get_connection_id(tx: Tx) -> int:
    return int(tx.fetch_value("SELECT CONNECTION_ID()"))


def kill(connection_id: int) -> None:
    """Kill a connection from another one, as an administrator would."""
    connection = mysql._connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(f"KILL {connection_id}")


def assert_unavailable(work: Callable[[Tx], object]) -> None:
    with pytest.raises(ApiError) as raised:
        mysql.run_autocommit(work)
    assert raised.value.kind is errors.UNAVAILABLE
    assert raised.value.retry_after


def test_successive_requests_use_one_connection(opened: list[Connection]) -> None:
    assert (
        len(
            {mysql.run_autocommit(get_connection_id) for _ in range(5)}
            | {mysql.run_transaction(get_connection_id) for _ in range(5)}
        )
        == 1
    )
    assert len(opened) == 1


def test_rejected_statement_does_not_close_the_connection(opened: list[Connection]) -> None:
    first = mysql.run_autocommit(get_connection_id)
    with pytest.raises(StatementError):
        mysql.run_transaction(lambda tx: tx.execute("SELECT nonsense"))
    assert mysql.run_autocommit(get_connection_id) == first
    assert len(opened) == 1


def test_concurrent_requests_share_the_connections_of_the_pool(opened: list[Connection]) -> None:
    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(lambda _: mysql.run_transaction(get_connection_id), range(80)))
    assert len(set(used)) == len(opened) <= 2


def test_waiting_too_long_for_a_connection_is_unavailable(
    opened: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "settings", replace(settings, database_wait_seconds=0.05))
    started = time.monotonic()
    mysql.run_autocommit(lambda _: mysql.run_autocommit(lambda _: assert_unavailable(get_connection_id)))
    assert time.monotonic() - started < settings.database_wait_seconds
    assert mysql.run_autocommit(get_connection_id)
    assert len(opened) == 2


def test_waiting_request_gets_the_returned_connection(
    opened: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "_pool_slots", BoundedSemaphore(1))
    with ThreadPoolExecutor(1) as pool:
        first, waiting = mysql.run_autocommit(
            lambda tx: (get_connection_id(tx), pool.submit(mysql.run_autocommit, get_connection_id))
        )
        assert waiting.result(5) == first
    assert len(opened) == 1


@pytest.mark.usefixtures("beds_table")
def test_deadlock_victim_is_retried() -> None:
    both_have_a_lock = Barrier(2, timeout=5)
    tries: list[str] = []

    def swap(first: int, second: int, person: str) -> None:
        def work(tx: Tx) -> None:
            tries.append(person)
            tx.execute(OCCUPY, bed=first, person=f"{person}{first}")
            if tries.count(person) == 1:
                both_have_a_lock.wait()
            tx.execute(OCCUPY, bed=second, person=f"{person}{second}")

        mysql.run_transaction(work)

    with ThreadPoolExecutor(2) as pool:
        for ended in [pool.submit(swap, 1, 2, "林"), pool.submit(swap, 2, 1, "王")]:
            ended.result(10)
    assert len(tries) == 3
    taken = mysql.autocommit.fetch_all("SELECT person FROM beds WHERE bed_id < 3 ORDER BY bed_id")
    assert [row["person"] for row in taken] in (["林1", "林2"], ["王1", "王2"])


@pytest.mark.parametrize("number", [ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT])
def test_contended_row_is_given_up_after_three_attempts(number: int) -> None:
    tries: list[int] = []

    def work(tx: Tx) -> None:
        tries.append(number)
        tx.execute(SIGNAL.format(number))

    assert_unavailable(work)
    assert len(tries) == mysql.MAX_ATTEMPTS


def test_other_error_is_not_retried() -> None:
    tries: list[int] = []

    def work(tx: Tx) -> None:
        tries.append(0)
        tx.execute(SIGNAL.format(1644))

    with pytest.raises(StatementError):
        mysql.run_transaction(work)
    assert len(tries) == 1


def test_killed_connection_is_not_used_again(opened: list[Connection]) -> None:
    def work(tx: Tx) -> None:
        kill(get_connection_id(tx))
        tx.fetch_value("SELECT 1")

    assert_unavailable(work)
    assert mysql.run_autocommit(get_connection_id) == opened[-1].thread_id()  # type: ignore[no-untyped-call]  # PyMySQL has no types
    assert not opened[0].open


@pytest.mark.usefixtures("beds_table")
def test_transaction_of_a_killed_connection_is_rolled_back(opened: list[Connection]) -> None:
    def work(tx: Tx) -> None:
        tx.execute(OCCUPY, bed=1, person="王强")
        kill(get_connection_id(tx))

    with pytest.raises(ApiError):
        mysql.run_transaction(work)
    assert mysql.autocommit.fetch_value("SELECT person FROM beds WHERE bed_id = 1") is None
    assert len(opened) == 3  # the pool's two, and the one that killed


def test_connection_closed_while_idle_is_replaced(opened: list[Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    first = mysql.run_autocommit(get_connection_id)
    kill(first)
    later = time.perf_counter() + mysql.PING_AFTER_SECONDS + 1
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert mysql.run_autocommit(get_connection_id) not in (0, first)
    assert not opened[0].open


@pytest.mark.parametrize("number", [1040, 1053, 1203, 1927])
def test_full_or_stopping_server_is_unavailable(number: int, opened: list[Connection]) -> None:
    assert_unavailable(lambda tx: tx.execute(SIGNAL.format(number)))
    assert not opened[0].open


def test_slow_statement_times_out(opened: list[Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "settings", replace(settings, database_timeout_seconds=0.1))
    started = time.monotonic()
    assert_unavailable(lambda tx: tx.fetch_value("SELECT SLEEP(3)"))
    assert time.monotonic() - started < 1.5
    assert not opened[0].open


@pytest.mark.usefixtures("opened")
def test_unreachable_server_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "settings", replace(settings, database_url="mysql://root@127.0.0.1:1/zhenxun"))
    assert_unavailable(get_connection_id)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # the restarted server
def test_requests_are_503_while_the_server_is_down(hospital: Hospital) -> None:
    lin, path = hospital.lin, "/msg_service/msg/patient/insert_session"
    fields: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": hospital.chen.user_id}
    session_no = post(path, lin.token, **fields).data["session_no"]
    server = attach().mysql
    server.kill()
    try:
        responses = [post(path, lin.token, **fields) for _ in range(3)]
    finally:
        server.start()
    assert {(response.status, response.code) for response in responses} == {(503, 10007)}
    assert all(int(response.headers["Retry-After"]) > 0 for response in responses)
    assert post(path, lin.token, **fields).data["session_no"] == session_no
