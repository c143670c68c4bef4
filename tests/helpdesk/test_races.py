"""Many at once: no agent has more than their cap, a chat is made once, closing lowers once."""

from collections import Counter
from threading import Barrier

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.helpdesk import queue_store, store
from chalicelib.helpdesk.queue_store import Agent
from chalicelib.people import persons
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
from tests.support.processes import run_in_processes as in_processes
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def crowd(hospital: Hospital, size: int) -> list[Person]:
    """Patients without a name, who are quicker to make."""

    def create(tx: Tx) -> int:
        return persons.create(tx, hospital.tenant_id, "patient")

    ids = [mysql.run_transaction(create) for _ in range(size)]
    return [Person(hospital.tenant_id, one, "") for one in ids]


def asked(token: str) -> tuple[int, str, int]:
    """Run in a process of its own."""
    person = Person(0, 0, "").with_token(token)
    answer = request_assignment(person)
    session = answer.data
    return answer.status, session["agent"]["name"] if session["agent"] else "", session["place"]


def test_a_hundred_at_once_never_exceed_a_cap(hospital: Hospital, help_desk: HelpDesk, li: Person, sun: Person) -> None:
    """From eight processes, each with connections of its own."""
    help_desk.create_post(li, cap=7), help_desk.create_post(sun, cap=11)
    everybody = crowd(hospital, 100)
    answers = in_processes(asked, [(one.token,) for one in everybody])
    served = Counter(name for _, name, _ in answers)
    assert served == {"客服小李": 7, "客服小孙": 11, "": 82}
    assert sorted(place for _, name, place in answers if not name) == list(range(1, 83))
    assert help_desk.list_open_counts() == {"客服小李": 7, "客服小孙": 11}


def meeting(monkeypatch: pytest.MonkeyPatch, module: object, name: str, number: int) -> None:
    """Have so many callers of a function wait for each other before they go on."""
    door, original = Barrier(number, timeout=10), getattr(module, name)
    left = [number]

    def met(*arguments: object, **named: object) -> object:
        found = original(*arguments, **named)
        if left[0] > 0:
            left[0] -= 1
            door.wait()
        return found

    monkeypatch.setattr(module, name, met)


def test_two_who_have_both_seen_the_last_place_free_do_not_both_get_it(
    help_desk: HelpDesk, li: Person, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the desk's lock both would be here at once, each with the same view of the load."""
    help_desk.create_post(li, cap=1)
    for one in (lin, wang):
        close_session(one, request_assignment(one).data["sessionId"])
    inside: list[int] = []
    together: list[int] = []
    original = queue_store.list_agents

    def looked(tx: Tx, tenant_id: int) -> list[Agent]:
        inside.append(1)
        together.append(len(inside))
        found = original(tx, tenant_id)
        if len(together) == 1:  # the other is here too, or at the lock
            wait_until(lambda: is_row_lock_waiting() or len(together) > 1)
        inside.pop()
        return found

    monkeypatch.setattr(queue_store, "list_agents", looked)
    answers = run_in_threads([lambda: request_assignment(lin), lambda: request_assignment(wang)])
    assert sorted(get_agent_or_place(one) for one in answers) == ["1", "客服小李"]
    assert max(together) == 1


def test_one_patient_ten_times_at_once_has_one_session_and_one_agent(
    help_desk: HelpDesk, li: Person, sun: Person, lin: Person
) -> None:
    help_desk.create_post(li, cap=5), help_desk.create_post(sun, cap=5)
    answers = run_in_threads([lambda: request_assignment(lin)] * 10)
    assert len({(one.data["sessionId"], get_agent_or_place(one)) for one in answers}) == 1
    assert sum(help_desk.list_open_counts().values()) == 1


def test_both_sides_close_at_once_and_one_is_let_in(
    hospital: Hospital, help_desk: HelpDesk, li: Person, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen the session open."""
    help_desk.create_post(li, cap=1)
    session = request_assignment(lin).data["sessionId"]
    waiting = crowd(hospital, 3)
    for one in waiting:
        request_assignment(one)
    meeting(monkeypatch, store, "list_conversations", 2)
    answers = run_in_threads([lambda: close_session(li, session), lambda: close_session(lin, session)])
    assert [one.status for one in answers] == [200, 200]
    assert help_desk.list_open_counts() == {"客服小李": 1}
    assert [get_agent_or_place(request_assignment(one)) for one in waiting] == ["客服小李", "1", "2"]
    assert len([one for one in find_messages(lin, 3).data if one["content"] == "会话已结束"]) == 1


def test_a_chat_that_both_open_at_once_is_one(
    hospital: Hospital, lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen that there is none yet."""
    meeting(monkeypatch, store, "get_session_ids", 2)
    answers = run_in_threads(
        [lambda: create_session(lin, 2, receiveId=chen.user_id), lambda: create_session(chen, 2, receiveId=lin.user_id)]
    )
    assert len({one.data["sessionId"] for one in answers}) == 1
    assert len(list_rows("chats", hospital)) == len(list_rows("conversations", hospital)) == 1


def test_one_key_eight_times_at_once_is_one_message(
    hospital: Hospital, lin: Person, wang: Person, chen: Person
) -> None:
    both = {"receiverIds": [lin.user_id, wang.user_id]}
    answers = run_in_threads([lambda: add_message(chen, "明天停诊", "k1", **both)] * 8)
    assert len({str(one.data) for one in answers}) == 1
    assert len(list_rows("messages", hospital)) == 2


def test_one_key_for_two_texts_at_once_is_one_message(hospital: Hospital, lin: Person, chen: Person) -> None:
    create_session(chen, 2, receiveId=lin.user_id)
    calls = [
        lambda: add_message(chen, "一", "k1", receiveId=lin.user_id),
        lambda: add_message(chen, "二", "k1", receiveId=lin.user_id),
    ]
    assert Counter(one.status for one in run_in_threads(calls * 4)) == {200: 4, 409: 4}
    assert len(list_rows("messages", hospital)) == 1


def test_opinions_at_once_are_one(hospital: Hospital, lin: Person, chen: Person) -> None:
    [sent] = send_all(chen, lin, "多喝水")
    answers = run_in_threads([lambda: call_messagecenter(lin, "appraiseMessage", messageId=sent, appraise=1)] * 6)
    assert {one.status for one in answers} == {200}
    assert [one["appraise"] for one in list_rows("appraisals", hospital)] == [1]


def test_agents_who_reach_for_one_patient_at_once_do_not_both_have_them(
    help_desk: HelpDesk, li: Person, sun: Person, lin: Person
) -> None:
    help_desk.create_post(li, cap=1), help_desk.create_post(sun, cap=1)
    close_session(lin, request_assignment(lin).data["sessionId"])
    answers = run_in_threads(
        [lambda: create_session(li, 3, receiveId=lin.user_id), lambda: create_session(sun, 3, receiveId=lin.user_id)]
    )
    assert Counter(one.status for one in answers) == {200: 1, 409: 1}
    assert sum(help_desk.list_open_counts().values()) == 1
