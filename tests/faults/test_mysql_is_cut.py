"""The line to MySQL breaks anywhere, and the server dies: writers send again, and each message is there once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pymysql.cursors import DictCursor

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.messaging import log
from devstack.control import Control
from tests.consult import chat
from tests.faults import aftermath
from tests.faults.crew import Crew
from tests.faults.proxy import Proxy
from tests.messaging.conftest import Say, read
from tests.people import Hospital, Person


def test_an_answer_that_was_lost_after_the_commit_is_asked_for_again(line: Proxy, lin: Person, chen: Person) -> None:
    session_no = chat.opened(lin, chen)
    with line.losing_the_answer_to(b"INSERT INTO messages") as lost:
        answer = chat.ask(lin, chen, "发烧两天了", key="k1", session_no=session_no)
    assert lost.is_set()
    assert (answer.status, answer.code) == (503, 10007)
    assert int(answer.headers["Retry-After"]) > 0
    # The packet's first answer was lost, the server goes on to its COMMIT; then nothing hides the message.
    aftermath.wait_until(lambda: chat.texts(chat.seen_by_doctor(chen, session_no)) == ["发烧两天了"])
    again = chat.ask(lin, chen, "发烧两天了", key="k1", session_no=session_no)
    [shown] = chat.seen_by_doctor(chen, session_no).data
    assert shown["msg_id"] == again.data["msg_id"]


@pytest.fixture
def bystander() -> Iterator[DictCursor]:
    """A connection to MySQL that does not run over the line."""
    connection = mysql._connect()
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


def test_a_writer_who_is_gone_when_the_number_is_drawn_leaves_no_gap(
    bystander: DictCursor, line: Proxy, conversation: str, say: Say
) -> None:
    """The server goes on with the packet, and does not say of each statement what it says to a client that listens."""
    bystander.execute("BEGIN")
    bystander.execute("SELECT 1 FROM conversations WHERE public_id = %s FOR UPDATE", [conversation.encode()])
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(say, "发烧两天了", key="k1")
        aftermath.wait_until(aftermath.somebody_waits)
        line.cut()
        with pytest.raises(ApiError):
            sent.result()
    bystander.execute("ROLLBACK")
    line.mend()
    say("还咳嗽")
    say("发烧两天了", key="k1")
    assert sorted(entry.text for entry in aftermath.stored(conversation)) == sorted(["发烧两天了", "还咳嗽"])
    assert [entry.seq for entry in aftermath.stored(conversation)] == [1, 2]


def test_a_withdrawal_whose_answer_was_lost_is_seen_by_all(
    line: Proxy, conversation: str, lin: Person, chen: Person, say: Say
) -> None:
    wrong = say("说错了", lin)
    read(conversation, chen)
    with line.losing_the_answer_to(b"COMMIT") as lost, pytest.raises(ApiError) as refused:
        log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    assert lost.is_set()
    assert refused.value.kind is errors.UNAVAILABLE
    assert read(conversation, chen) == [""]
    assert log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal).withdrawn
    assert read(conversation, chen) == [""]


def test_connections_break_wherever_they_are(crew: Crew, hospital: Hospital) -> None:
    with crew.storm(hospital, withdraw_every=5):
        crew.after(20)
        crew.to_mysql.break_at_random(seed=13, mean=12_000)
        before = crew.to_mysql.broken
        crew.after(80)
        assert crew.to_mysql.broken - before > 20
        crew.to_mysql.mend()
        crew.after(50)
    assert crew.count("refused") > 10
    assert_sound(crew)


def test_the_server_is_killed_twice(crew: Crew, control: Control, hospital: Hospital) -> None:
    with crew.storm(hospital):
        for _ in range(2):
            crew.after(60)
            control.mysql.kill()
            crew.after(8, "refused")
            control.mysql.start()
        crew.after(60)
    assert_sound(crew)


def assert_sound(crew: Crew) -> None:
    assert crew.complaints() == []
    for side in crew.sides:
        aftermath.minute_later(side.session_no)
    assert aftermath.wrong_at_rest(crew.sides) == []


def test_connections_that_went_silent_while_idle_cost_one_time_out(
    line: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover, when nobody says that the old server is gone."""
    connections = [mysql._connect() for _ in range(3)]
    mysql._idle_connections.extend(
        (clock.monotonic() - mysql.PING_AFTER_SECONDS, connection) for connection in connections
    )
    for connection in connections:
        vars(connection)["_read_timeout"] = 0.1
    asked: list[object] = []
    ping = type(connections[0]).ping

    def counted(*arguments: Any, **options: Any) -> None:
        asked.append(arguments)
        ping(*arguments, **options)

    monkeypatch.setattr(type(connections[0]), "ping", counted)
    line.deafen()
    monkeypatch.setattr(
        mysql, "settings", replace(vars(mysql)["settings"], database_url="mysql://root@127.0.0.1:1/zhenxun")
    )
    with pytest.raises(ApiError):
        mysql.run_autocommit(lambda tx: tx.fetch_value("SELECT 1"))
    assert len(asked) == 1
    assert not any(connection.open for connection in connections)


class JustTaken(list[object]):
    """An idle connection was there when it was asked about, and another thread has it now."""

    def __len__(self) -> int:
        return 1


def test_two_threads_that_reach_for_the_last_idle_connection_are_both_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "_idle_connections", JustTaken())
    assert mysql.run_autocommit(lambda tx: tx.fetch_value("SELECT 1")) == 1
    mysql._discard_connections(None)
