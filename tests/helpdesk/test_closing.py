"""closeChatSession at the desk: who may, what is left, and who is let in."""

from typing import Any

import pytest

from chalicelib.helpdesk import assignment as shunt_module
from chalicelib.outbox import outbox
from tests.gateway import talk
from tests.gateway.hearing import contents as said
from tests.gateway.hearing import heard
from tests.helpdesk.desk import (
    Desk,
    add,
    close,
    contents,
    events,
    find,
    listed,
    patients,
    rows,
    served_by,
    shunt,
)
from tests.people import Hospital, Person

pytestmark = pytest.mark.store


def test_closing_lets_the_first_in_and_both_are_told(
    hospital: Hospital, desk: Desk, li: Person, lin: Person, wang: Person
) -> None:
    desk.post(li, cap=1)
    session = shunt(lin).data["sessionId"]
    third = patients(hospital, 1)[0]
    waiting = [shunt(one).data["sessionId"] for one in (wang, third)]
    add(wang, "我先来的", ownType=2)
    heard(wang.token, events=1)
    assert close(li, session).data is None
    outbox.run_due_jobs()
    [event] = heard(wang.token, events=1)[0]
    assert (event["Type"], event["Content"]) == (1400, f'{{"sessionId":"{waiting[0]}"}}')
    assert served_by(shunt(wang)) == "客服小李"
    assert served_by(shunt(third)) == "1"
    assert contents(find(li, 3, sendId=wang.user_id)) == ["我先来的"]
    told = [(one.user_id, at) for one, at in [(li, session), (lin, session), (li, waiting[0]), (wang, waiting[0])]]
    assert sorted(events(hospital)) == sorted(told)


def test_closing_twice_lowers_once(hospital: Hospital, desk: Desk, li: Person, lin: Person) -> None:
    desk.post(li, cap=2)
    session = shunt(lin).data["sessionId"]
    others = patients(hospital, 3)
    assert [served_by(shunt(one)) for one in others] == ["客服小李", "1", "2"]
    for who in (li, lin, li):
        assert close(who, session).status == 200
    assert desk.open() == {"客服小李": 2}
    assert served_by(shunt(others[2])) == "1"
    notes = [one for one in find(lin, 3).data if one["sendType"] == 3]
    assert [one["content"] for one in notes] == ["会话已结束"]


def test_the_note_of_the_end_is_heard(desk: Desk, li: Person, lin: Person) -> None:
    desk.post(li)
    session = shunt(lin).data["sessionId"]
    heard(lin.token)
    close(li, session)
    assert said(heard(lin.token)[0]) == ["会话已结束"]
    assert talk.asked(lin, "get_conversation_detail", session).data["IsArchive"] is True


def test_who_leaves_the_queue_waits_no_longer(desk: Desk, li: Person, lin: Person, wang: Person) -> None:
    session = shunt(lin).data["sessionId"]
    assert served_by(shunt(wang)) == "2"
    close(lin, session)
    assert served_by(shunt(wang)) == "1"
    desk.post(li)
    assert desk.open() == {"客服小李": 1}
    assert listed(lin).data[0]["state"] == "closed"


def test_only_who_talks_there_closes(hospital: Hospital, desk: Desk, li: Person, elsewhere: Hospital) -> None:
    desk.post(li)
    session = shunt(hospital.lin).data["sessionId"]
    consult = talk.seated(hospital, hospital.lin)
    for who in (hospital.wang, hospital.chen, hospital.admin, elsewhere.lin, elsewhere.admin):
        assert close(who, session).status == 404
    assert close(hospital.lin, consult).status == 404, "a group is not theirs to close"
    assert close(hospital.lin, "nothing").status == 404
    assert desk.open() == {"客服小李": 1}


def test_a_session_may_be_closed_by_its_number(hospital: Hospital, desk: Desk, li: Person, lin: Person) -> None:
    desk.post(li)
    shunt(lin)
    [chat] = rows("chats", hospital)
    assert close(li, str(chat["conversation_id"])).status == 200
    assert [one["state"] for one in rows("chats", hospital)] == ["closed"]


def test_who_left_the_queue_in_a_request_that_died_waits_no_longer(
    desk: Desk, li: Person, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = shunt(lin).data["sessionId"]
    shunt(wang)
    with monkeypatch.context() as dying:
        dying.setattr(shunt_module, "run_under_desk_lock", lambda *_: 1 / 0)
        assert close(lin, session).status == 500
    assert served_by(shunt(wang)) == "1"
    desk.post(li)
    assert desk.open() == {"客服小李": 1}


@pytest.mark.parametrize("by_session", [True, False])
def test_what_was_sent_before_the_end_and_is_sent_again_opens_nothing(
    desk: Desk, li: Person, lin: Person, by_session: bool
) -> None:
    """The answer was lost on its way; meanwhile the session has ended."""
    desk.post(li)
    session = shunt(lin).data["sessionId"]
    to_desk: dict[str, Any] = {"receiveId": session} if by_session else {"ownType": 2}
    first, answer = add(lin, "有人吗", "k1", **to_desk), add(li, "您好", "k1", receiveId=lin.user_id)
    close(li, session)
    assert add(lin, "有人吗", "k1", **to_desk).data == first.data
    assert add(li, "您好", "k1", receiveId=lin.user_id).data == answer.data
    assert (desk.open(), add(li, "还在吗", "k2", receiveId=lin.user_id).status) == ({"客服小李": 0}, 403)
