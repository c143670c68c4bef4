"""Two who meet: a send and who reads everything, two sends under one key."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from chalicelib.inbox import store
from chalicelib.outbox import outbox
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.inbox_client import get_unread_count, list_messages, list_rows, list_texts, send, set_all_read
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
Gate = tuple[Event, Event]


class Held(Exception):
    """What was held breaks off."""


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Whoever reads everything has seen what is there: sets the first, and waits for the second."""
    yield from held(monkeypatch, store, "list_unread_ids", after=True)


@pytest.fixture
def sending(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """The first who sends has written, and is about to commit."""
    yield from held(monkeypatch, outbox, "enqueue", after=False)


def held(patch: pytest.MonkeyPatch, module: Any, name: str, after: bool) -> Iterator[Gate]:
    there, go, do = Event(), Event(), getattr(module, name)

    def waits(*arguments: Any) -> Any:
        answer = do(*arguments) if after else None
        if not there.is_set():
            there.set()
            assert go.wait(10)
        return answer if after else do(*arguments)

    patch.setattr(module, name, waits)
    yield there, go
    go.set()


def test_what_is_sent_while_all_is_read_stays_unread(hospital: Hospital, lin: Person, reading: Gate) -> None:
    send(hospital.desk, "旧", lin)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(set_all_read, lin)
        assert reading[0].wait(10)
        send(hospital.desk, "新", lin)
        reading[1].set()
        assert read.result().data is None
    assert (list_texts(lin), list_texts(lin, status="read")) == (["新"], ["旧"])


def test_a_lower_id_that_comes_later_stays_unread(
    hospital: Hospital, lin: Person, sending: Gate, reading: Gate
) -> None:
    """An id is drawn before the commit: what is there may have the higher one."""
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(send, hospital.desk, "慢", lin)
        assert sending[0].wait(10)
        send(hospital.chen, "快", lin)
        assert list_texts(lin) == ["快"]
        read = pool.submit(set_all_read, lin)
        assert reading[0].wait(10)
        sending[1].set()
        assert slow.result().status == 200
        assert list_texts(lin) == ["快", "慢"]
        reading[1].set()
        assert read.result().status == 200
    assert list_texts(lin) == ["慢"]


def test_one_key_sent_many_times_at_once_is_one_message(hospital: Hospital, lin: Person, wang: Person) -> None:
    answers = run_in_threads([lambda: send(hospital.desk, "明日停水", lin, wang, key="k1")] * 8)
    assert {answer.status for answer in answers} == {200}
    assert list_texts(lin) == list_texts(wang) == ["明日停水"]
    assert len(list_rows("site_messages", lin.tenant_id)) == 1


def test_who_sends_the_same_key_waits_for_the_first(hospital: Hospital, lin: Person, sending: Gate) -> None:
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(send, hospital.desk, "明日停水", lin, key="k1")
        assert sending[0].wait(10)
        same = pool.submit(send, hospital.desk, "明日停水", lin, key="k1")
        other = pool.submit(send, hospital.desk, "明日停电", lin, key="k1")
        wait_until(is_row_lock_waiting)
        sending[1].set()
        assert [one.result().status for one in (first, same, other)] == [200, 200, 409]
    assert list_texts(lin) == ["明日停水"]


def test_where_the_first_breaks_off_the_second_sends_it(
    hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, go, put = Event(), Event(), outbox.enqueue

    def breaks(*arguments: Any) -> None:
        if not there.is_set():
            there.set()
            assert go.wait(10)
            raise Held
        put(*arguments)

    monkeypatch.setattr(outbox, "enqueue", breaks)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, hospital.desk, "明日停水", lin, key="k1")
        assert there.wait(10)
        second = pool.submit(send, hospital.desk, "明日停水", lin, key="k1")
        wait_until(is_row_lock_waiting)
        go.set()
        assert [one.result().status for one in (first, second)] == [500, 200]
    assert list_texts(lin) == ["明日停水"]
    assert len(list_messages(lin)) == get_unread_count(lin) == 1
