"""closeChatSession at the help desk: access, the closing message, and the next assignment."""

from typing import Any

import pytest

from chalicelib.helpdesk import assignment
from chalicelib.outbox import outbox
from tests.support import gateway_client
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    HelpDesk,
    add_message,
    close_session,
    create_patients,
    find_messages,
    get_agent_or_place,
    list_contents,
    list_conversations,
    list_rows,
    list_session_events,
    request_assignment,
)
from tests.support.notify_client import list_contents as list_received
from tests.support.notify_client import poll_messages

pytestmark = pytest.mark.store


def test_closing_assigns_the_next_patient_and_notifies_both(
    hospital: Hospital, help_desk: HelpDesk, li: Person, lin: Person, wang: Person
) -> None:
    help_desk.create_post(li, cap=1)
    session = request_assignment(lin).data["sessionId"]
    third = create_patients(hospital, 1)[0]
    waiting = [request_assignment(one).data["sessionId"] for one in (wang, third)]
    add_message(wang, "我先来的", ownType=2)
    poll_messages(wang.token, events=1)
    assert close_session(li, session).data is None
    outbox.run_due_jobs()
    [event] = poll_messages(wang.token, events=1)[0]
    assert (event["Type"], event["Content"]) == (1400, f'{{"sessionId":"{waiting[0]}"}}')
    assert get_agent_or_place(request_assignment(wang)) == "客服小李"
    assert get_agent_or_place(request_assignment(third)) == "1"
    assert list_contents(find_messages(li, 3, sendId=wang.user_id)) == ["我先来的"]
    expected = [(one.user_id, at) for one, at in [(li, session), (lin, session), (li, waiting[0]), (wang, waiting[0])]]
    assert sorted(list_session_events(hospital)) == sorted(expected)


def test_closing_twice_ends_one_session(hospital: Hospital, help_desk: HelpDesk, li: Person, lin: Person) -> None:
    help_desk.create_post(li, cap=2)
    session = request_assignment(lin).data["sessionId"]
    others = create_patients(hospital, 3)
    assert [get_agent_or_place(request_assignment(one)) for one in others] == ["客服小李", "1", "2"]
    for who in (li, lin, li):
        assert close_session(who, session).status == 200
    assert help_desk.list_open_counts() == {"客服小李": 2}
    assert get_agent_or_place(request_assignment(others[2])) == "1"
    closing_messages = [one for one in find_messages(lin, 3).data if one["sendType"] == 3]
    assert [one["content"] for one in closing_messages] == ["会话已结束"]


def test_closing_message_is_delivered(help_desk: HelpDesk, li: Person, lin: Person) -> None:
    help_desk.create_post(li)
    session = request_assignment(lin).data["sessionId"]
    poll_messages(lin.token)
    close_session(li, session)
    assert list_received(poll_messages(lin.token)[0]) == ["会话已结束"]
    assert gateway_client.call_on_conversation(lin, "get_conversation_detail", session).data["IsArchive"] is True


def test_closing_leaves_the_queue(help_desk: HelpDesk, li: Person, lin: Person, wang: Person) -> None:
    session = request_assignment(lin).data["sessionId"]
    assert get_agent_or_place(request_assignment(wang)) == "2"
    close_session(lin, session)
    assert get_agent_or_place(request_assignment(wang)) == "1"
    help_desk.create_post(li)
    assert help_desk.list_open_counts() == {"客服小李": 1}
    assert list_conversations(lin).data[0]["state"] == "closed"


def test_only_participants_can_close(
    hospital: Hospital, help_desk: HelpDesk, li: Person, other_hospital: Hospital
) -> None:
    help_desk.create_post(li)
    session = request_assignment(hospital.lin).data["sessionId"]
    consult = gateway_client.create_conversation_of(hospital, hospital.lin)
    for who in (hospital.wang, hospital.chen, hospital.admin, other_hospital.lin, other_hospital.admin):
        assert close_session(who, session).status == 404
    assert close_session(hospital.lin, consult).status == 404, "a group cannot be closed"
    assert close_session(hospital.lin, "nothing").status == 404
    assert help_desk.list_open_counts() == {"客服小李": 1}


def test_session_can_be_closed_by_conversation_id(
    hospital: Hospital, help_desk: HelpDesk, li: Person, lin: Person
) -> None:
    help_desk.create_post(li)
    request_assignment(lin)
    [chat] = list_rows("chats", hospital)
    assert close_session(li, str(chat["conversation_id"])).status == 200
    assert [one["state"] for one in list_rows("chats", hospital)] == ["closed"]


def test_closing_that_crashed_before_the_queue_leaves_it(
    help_desk: HelpDesk, li: Person, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = request_assignment(lin).data["sessionId"]
    request_assignment(wang)
    with monkeypatch.context() as patch:
        patch.setattr(assignment, "run_under_desk_lock", lambda *_: 1 / 0)
        assert close_session(lin, session).status == 500
    assert get_agent_or_place(request_assignment(wang)) == "1"
    help_desk.create_post(li)
    assert help_desk.list_open_counts() == {"客服小李": 1}


@pytest.mark.parametrize("by_session", [True, False])
def test_resend_after_closing_does_not_reopen(help_desk: HelpDesk, li: Person, lin: Person, by_session: bool) -> None:
    """The client did not receive the response and resends after the session has ended."""
    help_desk.create_post(li)
    session = request_assignment(lin).data["sessionId"]
    to_desk: dict[str, Any] = {"receiveId": session} if by_session else {"ownType": 2}
    first, reply = add_message(lin, "有人吗", "k1", **to_desk), add_message(li, "您好", "k1", receiveId=lin.user_id)
    close_session(li, session)
    assert add_message(lin, "有人吗", "k1", **to_desk).data == first.data
    assert add_message(li, "您好", "k1", receiveId=lin.user_id).data == reply.data
    assert (help_desk.list_open_counts(), add_message(li, "还在吗", "k2", receiveId=lin.user_id).status) == (
        {"客服小李": 0},
        403,
    )
