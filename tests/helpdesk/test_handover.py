"""A patient's chat with the desk, between those who serve it one after the other."""

from typing import Any

import pytest

from chalicelib.helpdesk import messages
from chalicelib.helpdesk import queue as desks
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
from tests.support.notify_client import list_contents as said
from tests.support.notify_client import poll_messages

pytestmark = pytest.mark.store


@pytest.fixture
def handed_over(help_desk: HelpDesk, lin: Person, li: Person, sun: Person) -> str:
    """Li has served Lin, and has read at the gateway too; now Sun serves her. Returns sessionId."""
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


def test_both_sides_hear_each_other_at_once(handed_over: str, lin: Person, sun: Person) -> None:
    add_message(lin, "还是那件事", ownType=2)
    add_message(sun, "请讲", receiveId=lin.user_id)
    assert said(poll_messages(sun.token)[0]) == said(poll_messages(lin.token)[0]) == ["还是那件事", "请讲"]
    assert gateway_client.list_contents(gateway_client.get_last_30(sun, handed_over)) == [
        "您好",
        "会话已结束",
        "还是那件事",
        "请讲",
    ]


def test_who_served_before_reads_hears_and_lists_nothing_more(handed_over: str, lin: Person, li: Person) -> None:
    assert gateway_client.get_last_30(li, handed_over).status == 404, "also of what Redis holds"
    add_message(lin, "不是给你的", ownType=2)
    assert said(poll_messages(li.token)[0]) == []
    assert list_conversations(li).data == list_conversations(li, "userList").data == []
    assert get_message_count(li) == 0
    for answer in (
        find_messages(li, 3, sendId=lin.user_id),
        add_message(li, "在吗", receiveId=handed_over),
        close_session(li, handed_over),
    ):
        assert answer.status == 404


def test_who_serves_now_has_unread_what_was_said_since(handed_over: str, lin: Person, sun: Person) -> None:
    add_message(lin, "还是那件事", ownType=2)
    assert get_message_count(sun) == 1
    assert list_contents(find_messages(sun, 3, sendId=handed_over)) == ["还是那件事", "会话已结束", "您好"]
    assert get_message_count(sun) == 0


def test_an_end_that_was_cut_short_burdens_nobody(help_desk: HelpDesk, lin: Person, wang: Person, li: Person) -> None:
    """The function died after the note, before the desk heard of it."""
    help_desk.create_post(li, cap=1)
    session = request_assignment(lin).data["sessionId"]
    log.append(lin.tenant_id, "desk", session, li.principal, desks.CLOSING_MESSAGE)
    assert help_desk.list_open_counts() == {"客服小李": 0}
    assert get_agent_or_place(request_assignment(wang)) == "客服小李"
    assert close_session(li, session).status == 200, "and it may be ended again"
    assert get_agent_or_place(request_assignment(lin)) == "1", "who comes back waits like others"
    close_session(wang, request_assignment(wang).data["sessionId"])
    assert help_desk.list_open_counts() == {"客服小李": 1}


def test_the_patients_list_names_who_serves_now(handed_over: str, lin: Person) -> None:
    for what in ("conversationList", "userList"):
        assert [(one["sessionId"], one["name"]) for one in list_conversations(lin, what).data] == [
            (handed_over, "客服小孙")
        ]


def test_each_hand_over_is_told_of(hospital: Hospital, handed_over: str, lin: Person, li: Person, sun: Person) -> None:
    told = [(one.user_id, handed_over) for one in (lin, lin, li, sun)]
    assert sorted(list_session_events(hospital)) == sorted(told)


def test_who_loses_their_seat_while_they_ask_reads_nothing(
    help_desk: HelpDesk, lin: Person, li: Person, sun: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conversation was found through the seat; then somebody else took the patient over."""
    first, _ = help_desk.create_post(li), help_desk.create_post(sun, on_duty=False)
    request_assignment(lin)
    add_message(lin, "您好", ownType=2)
    help_desk.set_duty(first, on=False)
    meant = messages._resolve_conversation

    def taken_over(*asked: Any) -> Any:
        room = meant(*asked)
        assert get_agent_or_place(create_session(sun, 3, receiveId=lin.user_id)) == "客服小孙"
        return room

    monkeypatch.setattr(messages, "_resolve_conversation", taken_over)
    assert find_messages(li, 3, sendId=lin.user_id).status == 404


def test_what_was_said_before_an_end_that_was_cut_short_is_not_unread(
    help_desk: HelpDesk, lin: Person, li: Person, sun: Person
) -> None:
    first, _ = help_desk.create_post(li), help_desk.create_post(sun)
    session = str(request_assignment(lin).data["sessionId"])
    add_message(lin, "您好", ownType=2)
    log.append(lin.tenant_id, "desk", session, li.principal, desks.CLOSING_MESSAGE)
    help_desk.set_duty(first, on=False)
    assert (get_agent_or_place(request_assignment(lin)), get_message_count(sun)) == ("客服小孙", 0)


def test_who_ended_first_has_been_idle_longest(
    hospital: Hospital, help_desk: HelpDesk, lin: Person, wang: Person, li: Person, sun: Person
) -> None:
    help_desk.create_post(li), help_desk.create_post(sun)
    with_li, with_sun = (str(request_assignment(one).data["sessionId"]) for one in (lin, wang))
    close_session(sun, with_sun), close_session(li, with_li)
    assert get_agent_or_place(request_assignment(create_patients(hospital, 1)[0])) == "客服小孙"
