"""A patient's chat that is handed over from one agent to another."""

from typing import Any

import pytest

from chalicelib.helpdesk import desk_sessions, messages
from chalicelib.messaging import log
from tests.support import gateway_client
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    HelpDesk,
    add_message,
    close_session,
    create_patients,
    create_session,
    find_messages,
    get_agent_or_place,
    get_message_count,
    list_contents,
    list_conversations,
    list_session_events,
    request_assignment,
)
from tests.support.notify_client import list_contents as list_received
from tests.support.notify_client import poll_messages

pytestmark = pytest.mark.store


@pytest.fixture
def handed_over(help_desk: HelpDesk, lin: Person, li: Person, sun: Person) -> str:
    """Li has served Lin and has read through the gateway too; now Sun serves her. Returns sessionId."""
    first, _ = help_desk.create_post(li), help_desk.create_post(sun)
    session = str(request_assignment(lin).data["sessionId"])
    add_message(lin, "您好", receiveId=session)
    for _ in range(2):
        assert gateway_client.list_contents(gateway_client.get_last_30(li, session)) == ["您好"]
    close_session(li, session)
    help_desk.set_duty(first, on=False)
    poll_messages(li.token), poll_messages(sun.token), poll_messages(lin.token)
    assert get_agent_or_place(request_assignment(lin)) == "客服小孙"
    return session


def test_patient_and_new_agent_receive_each_others_messages(handed_over: str, lin: Person, sun: Person) -> None:
    add_message(lin, "还是那件事", ownType=2)
    add_message(sun, "请讲", receiveId=lin.user_id)
    assert (
        list_received(poll_messages(sun.token)[0])
        == list_received(poll_messages(lin.token)[0])
        == ["还是那件事", "请讲"]
    )
    assert gateway_client.list_contents(gateway_client.get_last_30(sun, handed_over)) == [
        "您好",
        "会话已结束",
        "还是那件事",
        "请讲",
    ]


def test_former_agent_has_no_access(handed_over: str, lin: Person, li: Person) -> None:
    assert gateway_client.get_last_30(li, handed_over).status == 404, "also not from the recent-message cache"
    add_message(lin, "不是给你的", ownType=2)
    assert list_received(poll_messages(li.token)[0]) == []
    assert list_conversations(li).data == list_conversations(li, "userList").data == []
    assert get_message_count(li) == 0
    for response in (
        find_messages(li, 3, sendId=lin.user_id),
        add_message(li, "在吗", receiveId=handed_over),
        close_session(li, handed_over),
    ):
        assert response.status == 404


def test_messages_since_handover_are_unread_for_new_agent(handed_over: str, lin: Person, sun: Person) -> None:
    add_message(lin, "还是那件事", ownType=2)
    assert get_message_count(sun) == 1
    assert list_contents(find_messages(sun, 3, sendId=handed_over)) == ["还是那件事", "会话已结束", "您好"]
    assert get_message_count(sun) == 0


def test_interrupted_closing_does_not_count_as_load(help_desk: HelpDesk, lin: Person, wang: Person, li: Person) -> None:
    """The function crashed after the closing message, before it changed the queue."""
    help_desk.create_post(li, cap=1)
    session = request_assignment(lin).data["sessionId"]
    log.append(lin.tenant_id, "desk", session, li.principal, desk_sessions.CLOSING_MESSAGE)
    assert help_desk.list_open_counts() == {"客服小李": 0}
    assert get_agent_or_place(request_assignment(wang)) == "客服小李"
    assert close_session(li, session).status == 200, "closing can be repeated"
    assert get_agent_or_place(request_assignment(lin)) == "1", "a returning patient waits like others"
    close_session(wang, request_assignment(wang).data["sessionId"])
    assert help_desk.list_open_counts() == {"客服小李": 1}


def test_patients_list_names_the_current_agent(handed_over: str, lin: Person) -> None:
    for what in ("conversationList", "userList"):
        assert [(one["sessionId"], one["name"]) for one in list_conversations(lin, what).data] == [
            (handed_over, "客服小孙")
        ]


def test_each_assignment_is_notified(
    hospital: Hospital, handed_over: str, lin: Person, li: Person, sun: Person
) -> None:
    expected = [(one.user_id, handed_over) for one in (lin, lin, li, sun)]
    assert sorted(list_session_events(hospital)) == sorted(expected)


def test_agent_removed_during_a_read_gets_not_found(
    help_desk: HelpDesk, lin: Person, li: Person, sun: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another agent takes the patient over after the conversation was found."""
    first, _ = help_desk.create_post(li), help_desk.create_post(sun, on_duty=False)
    request_assignment(lin)
    add_message(lin, "您好", ownType=2)
    help_desk.set_duty(first, on=False)
    resolve_conversation = messages._resolve_conversation

    def resolve_and_hand_over(*arguments: Any) -> Any:
        conversation = resolve_conversation(*arguments)
        assert get_agent_or_place(create_session(sun, 3, receiveId=lin.user_id)) == "客服小孙"
        return conversation

    monkeypatch.setattr(messages, "_resolve_conversation", resolve_and_hand_over)
    assert find_messages(li, 3, sendId=lin.user_id).status == 404


def test_messages_before_interrupted_closing_are_read(
    help_desk: HelpDesk, lin: Person, li: Person, sun: Person
) -> None:
    first, _ = help_desk.create_post(li), help_desk.create_post(sun)
    session = str(request_assignment(lin).data["sessionId"])
    add_message(lin, "您好", ownType=2)
    log.append(lin.tenant_id, "desk", session, li.principal, desk_sessions.CLOSING_MESSAGE)
    help_desk.set_duty(first, on=False)
    assert (get_agent_or_place(request_assignment(lin)), get_message_count(sun)) == ("客服小孙", 0)


def test_agent_whose_session_ended_first_is_assigned(
    hospital: Hospital, help_desk: HelpDesk, lin: Person, wang: Person, li: Person, sun: Person
) -> None:
    help_desk.create_post(li), help_desk.create_post(sun)
    with_li, with_sun = (str(request_assignment(one).data["sessionId"]) for one in (lin, wang))
    close_session(sun, with_sun), close_session(li, with_li)
    assert get_agent_or_place(request_assignment(create_patients(hospital, 1)[0])) == "客服小孙"
