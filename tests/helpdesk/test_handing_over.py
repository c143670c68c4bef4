"""A patient's chat with the desk, between those who serve it one after the other."""

from typing import Any

import pytest

from chalicelib.helpdesk import messages
from chalicelib.helpdesk import queue as desks
from chalicelib.messaging import log
from tests.gateway import talk
from tests.gateway.hearing import contents as said
from tests.gateway.hearing import heard
from tests.helpdesk.desk import (
    Desk,
    add,
    close,
    contents,
    count,
    create,
    events,
    find,
    listed,
    patients,
    served_by,
    shunt,
)
from tests.people import Hospital, Person

pytestmark = pytest.mark.store


@pytest.fixture
def handed_over(desk: Desk, lin: Person, li: Person, sun: Person) -> str:
    """Li has served Lin, and has read at the gateway too; now Sun serves her. Returns sessionId."""
    first, _ = desk.post(li), desk.post(sun)
    session = str(shunt(lin).data["sessionId"])
    add(lin, "您好", receiveId=session)
    for _ in range(2):
        assert talk.contents(talk.last_30(li, session)) == ["您好"]
    close(li, session)
    desk.duty(first, on=False)
    heard(li.token), heard(sun.token), heard(lin.token)
    assert served_by(shunt(lin)) == "客服小孙"
    return session


def test_both_sides_hear_each_other_at_once(handed_over: str, lin: Person, sun: Person) -> None:
    add(lin, "还是那件事", ownType=2)
    add(sun, "请讲", receiveId=lin.user_id)
    assert said(heard(sun.token)[0]) == said(heard(lin.token)[0]) == ["还是那件事", "请讲"]
    assert talk.contents(talk.last_30(sun, handed_over)) == ["您好", "会话已结束", "还是那件事", "请讲"]


def test_who_served_before_reads_hears_and_lists_nothing_more(handed_over: str, lin: Person, li: Person) -> None:
    assert talk.last_30(li, handed_over).status == 404, "also of what Redis holds"
    add(lin, "不是给你的", ownType=2)
    assert said(heard(li.token)[0]) == []
    assert listed(li).data == listed(li, "userList").data == []
    assert count(li) == 0
    for answer in (find(li, 3, sendId=lin.user_id), add(li, "在吗", receiveId=handed_over), close(li, handed_over)):
        assert answer.status == 404


def test_who_serves_now_has_unread_what_was_said_since(handed_over: str, lin: Person, sun: Person) -> None:
    add(lin, "还是那件事", ownType=2)
    assert count(sun) == 1
    assert contents(find(sun, 3, sendId=handed_over)) == ["还是那件事", "会话已结束", "您好"]
    assert count(sun) == 0


def test_an_end_that_was_cut_short_burdens_nobody(desk: Desk, lin: Person, wang: Person, li: Person) -> None:
    """The function died after the note, before the desk heard of it."""
    desk.post(li, cap=1)
    session = shunt(lin).data["sessionId"]
    log.append(lin.tenant_id, "desk", session, li.principal, desks.CLOSING_MESSAGE)
    assert desk.open() == {"客服小李": 0}
    assert served_by(shunt(wang)) == "客服小李"
    assert close(li, session).status == 200, "and it may be ended again"
    assert served_by(shunt(lin)) == "1", "who comes back waits like others"
    close(wang, shunt(wang).data["sessionId"])
    assert desk.open() == {"客服小李": 1}


def test_the_patients_list_names_who_serves_now(handed_over: str, lin: Person) -> None:
    for what in ("conversationList", "userList"):
        assert [(one["sessionId"], one["name"]) for one in listed(lin, what).data] == [(handed_over, "客服小孙")]


def test_each_hand_over_is_told_of(hospital: Hospital, handed_over: str, lin: Person, li: Person, sun: Person) -> None:
    told = [(one.user_id, handed_over) for one in (lin, lin, li, sun)]
    assert sorted(events(hospital)) == sorted(told)


def test_who_loses_their_seat_while_they_ask_reads_nothing(
    desk: Desk, lin: Person, li: Person, sun: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conversation was found through the seat; then somebody else took the patient over."""
    first, _ = desk.post(li), desk.post(sun, on_duty=False)
    shunt(lin)
    add(lin, "您好", ownType=2)
    desk.duty(first, on=False)
    meant = messages._resolve_conversation

    def taken_over(*asked: Any) -> Any:
        room = meant(*asked)
        assert served_by(create(sun, 3, receiveId=lin.user_id)) == "客服小孙"
        return room

    monkeypatch.setattr(messages, "_resolve_conversation", taken_over)
    assert find(li, 3, sendId=lin.user_id).status == 404


def test_what_was_said_before_an_end_that_was_cut_short_is_not_unread(
    desk: Desk, lin: Person, li: Person, sun: Person
) -> None:
    first, _ = desk.post(li), desk.post(sun)
    session = str(shunt(lin).data["sessionId"])
    add(lin, "您好", ownType=2)
    log.append(lin.tenant_id, "desk", session, li.principal, desks.CLOSING_MESSAGE)
    desk.duty(first, on=False)
    assert (served_by(shunt(lin)), count(sun)) == ("客服小孙", 0)


def test_who_ended_first_has_been_idle_longest(
    hospital: Hospital, desk: Desk, lin: Person, wang: Person, li: Person, sun: Person
) -> None:
    desk.post(li), desk.post(sun)
    with_li, with_sun = (str(shunt(one).data["sessionId"]) for one in (lin, wang))
    close(sun, with_sun), close(li, with_li)
    assert served_by(shunt(patients(hospital, 1)[0])) == "客服小孙"
