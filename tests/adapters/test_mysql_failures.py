"""What becomes of requests when connections are few, rows are fought over, or the server goes away."""

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
    """A pool of two, still empty; the list is of all connections it opens."""
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


def who(tx: Tx) -> int:
    return int(tx.fetch_value("SELECT CONNECTION_ID()"))


def killed(connection_id: int) -> None:
    """End a connection from another one, as an administrator would."""
    connection = mysql._connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(f"KILL {connection_id}")


def assert_unavailable(work: Callable[[Tx], object]) -> None:
    with pytest.raises(ApiError) as raised:
        mysql.run_autocommit(work)
    assert raised.value.kind is errors.UNAVAILABLE
    assert raised.value.retry_after


def test_one_request_after_another_uses_one_connection(opened: list[Connection]) -> None:
    assert len({mysql.run_autocommit(who) for _ in range(5)} | {mysql.run_transaction(who) for _ in range(5)}) == 1
    assert len(opened) == 1


def test_a_refused_statement_does_not_cost_the_connection(opened: list[Connection]) -> None:
    first = mysql.run_autocommit(who)
    with pytest.raises(StatementError):
        mysql.run_transaction(lambda tx: tx.execute("SELECT nonsense"))
    assert mysql.run_autocommit(who) == first
    assert len(opened) == 1


def test_many_requests_at_once_share_as_many_connections_as_the_pool_has(opened: list[Connection]) -> None:
    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(lambda _: mysql.run_transaction(who), range(80)))
    assert len(set(used)) == len(opened) <= 2


def test_who_waits_too_long_for_a_connection_is_refused(
    opened: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "settings", replace(settings, database_wait_seconds=0.05))
    started = time.monotonic()
    mysql.run_autocommit(lambda _: mysql.run_autocommit(lambda _: assert_unavailable(who)))
    assert time.monotonic() - started < settings.database_wait_seconds
    assert mysql.run_autocommit(who)
    assert len(opened) == 2


def test_who_waits_gets_the_connection_that_comes_back(
    opened: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "_pool_slots", BoundedSemaphore(1))
    with ThreadPoolExecutor(1) as pool:
        first, waiting = mysql.run_autocommit(lambda tx: (who(tx), pool.submit(mysql.run_autocommit, who)))
        assert waiting.result(5) == first
    assert len(opened) == 1


@pytest.mark.usefixtures("beds_table")
def test_the_victim_of_a_deadlock_is_run_again() -> None:
    both_hold_one = Barrier(2, timeout=5)
    tries: list[str] = []

    def swap(first: int, second: int, person: str) -> None:
        def work(tx: Tx) -> None:
            tries.append(person)
            tx.execute(OCCUPY, bed=first, person=f"{person}{first}")
            if tries.count(person) == 1:
                both_hold_one.wait()
            tx.execute(OCCUPY, bed=second, person=f"{person}{second}")

        mysql.run_transaction(work)

    with ThreadPoolExecutor(2) as pool:
        for ended in [pool.submit(swap, 1, 2, "林"), pool.submit(swap, 2, 1, "王")]:
            ended.result(10)
    assert len(tries) == 3
    taken = mysql.autocommit.fetch_all("SELECT person FROM beds WHERE bed_id < 3 ORDER BY bed_id")
    assert [row["person"] for row in taken] in (["林1", "林2"], ["王1", "王2"])


@pytest.mark.parametrize("number", [ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT])
def test_a_row_that_stays_fought_over_is_given_up_after_three_tries(number: int) -> None:
    tries: list[int] = []

    def work(tx: Tx) -> None:
        tries.append(number)
        tx.execute(SIGNAL.format(number))

    assert_unavailable(work)
    assert len(tries) == mysql.MAX_ATTEMPTS


def test_another_error_is_not_tried_again() -> None:
    tries: list[int] = []

    def work(tx: Tx) -> None:
        tries.append(0)
        tx.execute(SIGNAL.format(1644))

    with pytest.raises(StatementError):
        mysql.run_transaction(work)
    assert len(tries) == 1


def test_a_killed_connection_refuses_its_request_and_serves_no_other(opened: list[Connection]) -> None:
    def work(tx: Tx) -> None:
        killed(who(tx))
        tx.fetch_value("SELECT 1")

    assert_unavailable(work)
    assert mysql.run_autocommit(who) == opened[-1].thread_id()  # type: ignore[no-untyped-call]  # PyMySQL has no types
    assert not opened[0].open


@pytest.mark.usefixtures("beds_table")
def test_a_transaction_whose_connection_is_killed_leaves_nothing(opened: list[Connection]) -> None:
    def work(tx: Tx) -> None:
        tx.execute(OCCUPY, bed=1, person="王强")
        killed(who(tx))

    with pytest.raises(ApiError):
        mysql.run_transaction(work)
    assert mysql.autocommit.fetch_value("SELECT person FROM beds WHERE bed_id = 1") is None
    assert len(opened) == 3  # the pool's two, and the one that killed


def test_a_connection_that_died_idle_is_replaced_without_a_word(
    opened: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mysql.run_autocommit(who)
    killed(first)
    later = time.perf_counter() + mysql.PING_AFTER_SECONDS + 1
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert mysql.run_autocommit(who) not in (0, first)
    assert not opened[0].open


@pytest.mark.parametrize("number", [1040, 1053, 1203, 1927])
def test_a_server_that_is_full_or_going_down_is_unavailable(number: int, opened: list[Connection]) -> None:
    assert_unavailable(lambda tx: tx.execute(SIGNAL.format(number)))
    assert not opened[0].open


def test_a_statement_that_takes_too_long_is_given_up(opened: list[Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "settings", replace(settings, database_timeout_seconds=0.1))
    started = time.monotonic()
    assert_unavailable(lambda tx: tx.fetch_value("SELECT SLEEP(3)"))
    assert time.monotonic() - started < 1.5
    assert not opened[0].open


@pytest.mark.usefixtures("opened")
def test_where_nobody_listens_the_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "settings", replace(settings, database_url="mysql://root@127.0.0.1:1/zhenxun"))
    assert_unavailable(who)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # the server, started again
def test_while_the_server_is_gone_lin_is_asked_to_come_back_and_then_served(hospital: Hospital) -> None:
    lin, path = hospital.lin, "/msg_service/msg/patient/insert_session"
    fields: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": hospital.chen.user_id}
    session_no = post(path, lin.token, **fields).data["session_no"]
    server = attach().mysql
    server.kill()
    try:
        answers = [post(path, lin.token, **fields) for _ in range(3)]
    finally:
        server.start()
    assert {(answer.status, answer.code) for answer in answers} == {(503, 10007)}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert post(path, lin.token, **fields).data["session_no"] == session_no
