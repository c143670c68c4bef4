"""What patients and doctors say by document 000, in the messagecenter: it is in its lists, so it can be opened."""

import pytest

from tests.consult import chat
from tests.gateway import talk
from tests.helpdesk.desk import add, ask, close, contents, count, find, listed
from tests.people import Hospital, Person
from tests.wire import post

pytestmark = pytest.mark.store


def test_what_is_listed_can_be_read_and_answered(lin: Person, chen: Person) -> None:
    session = chat.ask(lin, chen, "您好").data["session_no"]
    [entry] = listed(chen).data
    assert (entry["sessionId"], entry["msgType"]) == (session, 2)
    assert contents(find(chen, entry["msgType"], sendId=session)) == ["您好"]
    assert count(chen) == 0
    [sent] = add(chen, "请讲", receiveId=session).data
    assert sent["sessionId"] == session
    assert talk.contents(talk.last_30(lin, session)) == ["您好", "请讲"]


def test_it_is_marked_as_read_with_all_that_somebody_wrote(lin: Person, chen: Person) -> None:
    session = chat.ask(lin, chen, "您好").data["session_no"]
    for named in (lin.user_id, session):
        chat.ask(lin, chen, "还在吗")
        assert ask(chen, "updateReadById", sendId=named).status == 200
        assert count(chen) == 0


def test_it_is_nobody_elses_and_stays_open(hospital: Hospital, lin: Person, chen: Person) -> None:
    session = chat.ask(lin, chen, "您好").data["session_no"]
    for who in (hospital.wang, hospital.zhou, hospital.admin):
        assert find(who, 2, sendId=session).status == 404
        assert add(who, "您好", receiveId=session).status == 404
        assert ask(who, "updateReadById", sendId=session).status == 404
    assert close(lin, session).status == 404


def test_what_was_taken_off_the_list_counts_again_with_the_next_message(lin: Person, chen: Person) -> None:
    session = chat.ask(lin, chen, "您好").data["session_no"]
    post(chat.DOCTOR_DEL, chen.token, session_id=session)
    assert count(chen) == 0
    chat.ask(lin, chen, "还在吗")
    assert count(chen) == 2
