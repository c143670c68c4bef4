"""Concurrent requests: caps hold, a chat is created once, and closing ends one session."""

from collections import Counter
from threading import Barrier
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.helpdesk import queue_store, store
from chalicelib.helpdesk.queue_store import Agent, DeskChat
from chalicelib.people import persons
from chalicelib.people.roles import PersonKind
from tests.support import factories
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.helpdesk_client import (
    HelpDesk,
    add_message,
    call_messagecenter,
    close_session,
    create_session,
    find_messages,
    get_agent_or_place,
    list_rows,
    request_assignment,
    send_all,
)
from tests.support.processes import run_in_processes
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def create_unnamed_patients(hospital: Hospital, size: int) -> list[Person]:
    """Return patients without a name, which are quicker to create."""

    def create(tx: Tx) -> int:
        return persons.create(tx, hospital.tenant_id, PersonKind.PATIENT)

    ids = [mysql.run_transaction(create) for _ in range(size)]
    return [Person(hospital.tenant_id, one, "") for one in ids]


def request_in_process(token: str) -> tuple[int, str, int]:
    """Request an agent; run in a process of its own. Returns status, agent's name and position."""
    person = Person(0, 0, "").with_token(token)
    response = request_assignment(person)
    session = response.data
    return response.status, session["agent"]["name"] if session["agent"] else "", session["place"]


def test_hundred_concurrent_requests_do_not_exceed_a_cap(
    hospital: Hospital, help_desk: HelpDesk, li: Person, sun: Person
) -> None:
    """From several processes, each with connections of its own."""
    help_desk.create_post(li, cap=7), help_desk.create_post(sun, cap=11)
    patients = create_unnamed_patients(hospital, 100)
    responses = run_in_processes(request_in_process, [(one.token,) for one in patients])
    served = Counter(name for _, name, _ in responses)
    assert served == {"客服小李": 7, "客服小孙": 11, "": 82}
    assert sorted(place for _, name, place in responses if not name) == list(range(1, 83))
    assert help_desk.list_open_counts() == {"客服小李": 7, "客服小孙": 11}


def let_callers_meet(monkeypatch: pytest.MonkeyPatch, module: object, name: str, number: int) -> None:
    """Make this number of callers of a function wait for each other after it has returned."""
    barrier, original = Barrier(number, timeout=10), getattr(module, name)
    remaining = [number]

    def call_and_wait(*arguments: object, **named: object) -> object:
        found = original(*arguments, **named)
        if remaining[0] > 0:
            remaining[0] -= 1
            barrier.wait()
        return found

    monkeypatch.setattr(module, name, call_and_wait)


def test_last_free_place_is_assigned_once(
    help_desk: HelpDesk, li: Person, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the desk's lock, both requests would see the same load at the same time."""
    help_desk.create_post(li, cap=1)
    for one in (lin, wang):
        close_session(one, request_assignment(one).data["sessionId"])
    running_calls: list[int] = []
    concurrent_calls: list[int] = []
    original = queue_store.list_agents

    def list_agents_and_wait(tx: Tx, tenant_id: int) -> list[Agent]:
        running_calls.append(1)
        concurrent_calls.append(len(running_calls))
        found = original(tx, tenant_id)
        if len(concurrent_calls) == 1:  # the other request is here too, or waits for the lock
            wait_until(lambda: is_row_lock_waiting() or len(concurrent_calls) > 1)
        running_calls.pop()
        return found

    monkeypatch.setattr(queue_store, "list_agents", list_agents_and_wait)
    responses = run_in_threads([lambda: request_assignment(lin), lambda: request_assignment(wang)])
    assert sorted(get_agent_or_place(one) for one in responses) == ["1", "客服小李"]
    assert max(concurrent_calls) == 1


def test_concurrent_requests_of_one_patient_open_one_session(
    help_desk: HelpDesk, li: Person, sun: Person, lin: Person
) -> None:
    help_desk.create_post(li, cap=5), help_desk.create_post(sun, cap=5)
    responses = run_in_threads([lambda: request_assignment(lin)] * 10)
    assert len({(one.data["sessionId"], get_agent_or_place(one)) for one in responses}) == 1
    assert sum(help_desk.list_open_counts().values()) == 1


def test_concurrent_closing_assigns_one_patient(
    hospital: Hospital, help_desk: HelpDesk, li: Person, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both requests have read that the session is open."""
    help_desk.create_post(li, cap=1)
    session = request_assignment(lin).data["sessionId"]
    waiting = create_unnamed_patients(hospital, 3)
    for one in waiting:
        request_assignment(one)
    let_callers_meet(monkeypatch, store, "list_conversations", 2)
    responses = run_in_threads([lambda: close_session(li, session), lambda: close_session(lin, session)])
    assert [one.status for one in responses] == [200, 200]
    assert help_desk.list_open_counts() == {"客服小李": 1}
    assert [get_agent_or_place(request_assignment(one)) for one in waiting] == ["客服小李", "1", "2"]
    assert len([one for one in find_messages(lin, 3).data if one["content"] == "会话已结束"]) == 1


def test_chat_opened_by_both_concurrently_is_created_once(
    hospital: Hospital, lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both requests have read that there is no chat yet."""
    factories.let_treat(chen, lin)
    let_callers_meet(monkeypatch, store, "get_session_ids", 2)
    responses = run_in_threads(
        [lambda: create_session(lin, 2, receiveId=chen.user_id), lambda: create_session(chen, 2, receiveId=lin.user_id)]
    )
    assert len({one.data["sessionId"] for one in responses}) == 1
    assert len(list_rows("chats", hospital)) == len(list_rows("conversations", hospital)) == 1


def test_concurrent_requests_with_one_key_send_one_message(
    hospital: Hospital, lin: Person, wang: Person, chen: Person
) -> None:
    factories.let_treat(chen, lin, wang)
    both = {"receiverIds": [lin.user_id, wang.user_id]}
    responses = run_in_threads([lambda: add_message(chen, "明天停诊", "k1", **both)] * 8)
    assert len({str(one.data) for one in responses}) == 1
    assert len(list_rows("messages", hospital)) == 2


def test_concurrent_requests_with_one_key_and_two_texts_send_one_message(
    hospital: Hospital, lin: Person, chen: Person
) -> None:
    create_session(lin, 2, receiveId=chen.user_id)
    calls = [
        lambda: add_message(chen, "一", "k1", receiveId=lin.user_id),
        lambda: add_message(chen, "二", "k1", receiveId=lin.user_id),
    ]
    assert Counter(one.status for one in run_in_threads(calls * 4)) == {200: 4, 409: 4}
    assert len(list_rows("messages", hospital)) == 1


def test_concurrent_ratings_are_one(hospital: Hospital, lin: Person, chen: Person) -> None:
    factories.let_treat(chen, lin)
    [sent] = send_all(chen, lin, "多喝水")
    responses = run_in_threads([lambda: call_messagecenter(lin, "appraiseMessage", messageId=sent, appraise=1)] * 6)
    assert {one.status for one in responses} == {200}
    assert [one["rating"] for one in list_rows("ratings", hospital)] == [1]


def test_patient_taken_by_two_agents_concurrently_has_one(
    help_desk: HelpDesk, li: Person, sun: Person, lin: Person
) -> None:
    help_desk.create_post(li, cap=1), help_desk.create_post(sun, cap=1)
    close_session(lin, request_assignment(lin).data["sessionId"])
    responses = run_in_threads(
        [lambda: create_session(li, 3, receiveId=lin.user_id), lambda: create_session(sun, 3, receiveId=lin.user_id)]
    )
    assert Counter(one.status for one in responses) == {200: 1, 409: 1}
    assert sum(help_desk.list_open_counts().values()) == 1


def test_doctor_does_not_reopen_the_session_of_a_patient_who_has_just_left(
    hospital: Hospital, help_desk: HelpDesk, chen: Person, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    help_desk.create_post(chen, on_duty=False)
    session, find, left = request_assignment(lin).data["sessionId"], queue_store.find_chat, list[int]()

    def find_then_leave(*arguments: Any) -> DeskChat | None:
        found = find(*arguments)
        if not left:
            left.append(close_session(lin, session).status)
        return found

    monkeypatch.setattr(queue_store, "find_chat", find_then_leave)
    assert (create_session(chen, 3, receiveId=lin.user_id).status, left) == (409, [200])
    assert [row["state"] for row in list_rows("chats", hospital)] == ["closed"]
    assert create_session(chen, 3, receiveId=lin.user_id).status == 404
