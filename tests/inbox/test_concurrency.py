"""Concurrent requests: a send while all messages are marked as read, two sends with one key."""

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


class InterruptedRequest(Exception):
    """The request that is paused fails."""


@pytest.fixture
def paused_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Pause mark_all_read after it has listed the unread ids. The events: set when paused, and to be set to resume."""
    yield from pause(monkeypatch, store, "list_unread_ids", after=True)


@pytest.fixture
def paused_send(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Pause the first send after it has inserted the message, before it commits."""
    yield from pause(monkeypatch, outbox, "enqueue", after=False)


def pause(patch: pytest.MonkeyPatch, module: Any, name: str, after: bool) -> Iterator[Gate]:
    reached, resume, original = Event(), Event(), getattr(module, name)

    def call_and_wait(*arguments: Any) -> Any:
        result = original(*arguments) if after else None
        if not reached.is_set():
            reached.set()
            assert resume.wait(10)
        return result if after else original(*arguments)

    patch.setattr(module, name, call_and_wait)
    yield reached, resume
    resume.set()


def test_message_sent_while_all_are_marked_read_stays_unread(
    hospital: Hospital, lin: Person, paused_read: Gate
) -> None:
    send(hospital.desk, "旧", lin)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(set_all_read, lin)
        assert paused_read[0].wait(10)
        send(hospital.desk, "新", lin)
        paused_read[1].set()
        assert read.result().data is None
    assert (list_texts(lin), list_texts(lin, status="read")) == (["新"], ["旧"])


def test_message_with_lower_id_committed_later_stays_unread(
    hospital: Hospital, lin: Person, paused_send: Gate, paused_read: Gate
) -> None:
    """Ids are allocated before the commit: a message that is visible may have the higher one."""
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(send, hospital.desk, "慢", lin)
        assert paused_send[0].wait(10)
        send(hospital.admin, "快", lin)
        assert list_texts(lin) == ["快"]
        read = pool.submit(set_all_read, lin)
        assert paused_read[0].wait(10)
        paused_send[1].set()
        assert slow.result().status == 200
        assert list_texts(lin) == ["快", "慢"]
        paused_read[1].set()
        assert read.result().status == 200
    assert list_texts(lin) == ["慢"]


def test_concurrent_requests_with_one_key_send_one_message(hospital: Hospital, lin: Person, wang: Person) -> None:
    responses = run_in_threads([lambda: send(hospital.desk, "明日停水", lin, wang, key="k1")] * 8)
    assert {response.status for response in responses} == {200}
    assert list_texts(lin) == list_texts(wang) == ["明日停水"]
    assert len(list_rows("site_messages", lin.tenant_id)) == 1


def test_request_with_same_key_waits_for_the_first(hospital: Hospital, lin: Person, paused_send: Gate) -> None:
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(send, hospital.desk, "明日停水", lin, key="k1")
        assert paused_send[0].wait(10)
        same = pool.submit(send, hospital.desk, "明日停水", lin, key="k1")
        other = pool.submit(send, hospital.desk, "明日停电", lin, key="k1")
        wait_until(is_row_lock_waiting)
        paused_send[1].set()
        assert [one.result().status for one in (first, same, other)] == [200, 200, 409]
    assert list_texts(lin) == ["明日停水"]


def test_second_request_sends_if_the_first_fails(
    hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, resume, enqueue = Event(), Event(), outbox.enqueue

    def fail_once(*arguments: Any) -> None:
        if not reached.is_set():
            reached.set()
            assert resume.wait(10)
            raise InterruptedRequest
        enqueue(*arguments)

    monkeypatch.setattr(outbox, "enqueue", fail_once)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, hospital.desk, "明日停水", lin, key="k1")
        assert reached.wait(10)
        second = pool.submit(send, hospital.desk, "明日停水", lin, key="k1")
        wait_until(is_row_lock_waiting)
        resume.set()
        assert [one.result().status for one in (first, second)] == [500, 200]
    assert list_texts(lin) == ["明日停水"]
    assert len(list_messages(lin)) == get_unread_count(lin) == 1
