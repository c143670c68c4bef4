"""Consultations of document 000 in the messagecenter, whose lists contain them."""

import pytest

from tests.support import consult_client, gateway_client
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    add_message,
    call_messagecenter,
    close_session,
    find_messages,
    get_message_count,
    list_contents,
    list_conversations,
)

pytestmark = pytest.mark.store


def test_listed_consultation_can_be_read_and_answered(lin: Person, chen: Person) -> None:
    session = consult_client.send_as_patient(lin, chen, "您好").data["session_no"]
    [entry] = list_conversations(chen).data
    assert (entry["sessionId"], entry["msgType"]) == (session, 2)
    assert list_contents(find_messages(chen, entry["msgType"], sendId=session)) == ["您好"]
    assert get_message_count(chen) == 0
    [sent] = add_message(chen, "请讲", receiveId=session).data
    assert sent["sessionId"] == session
    assert gateway_client.list_contents(gateway_client.get_last_30(lin, session)) == ["您好", "请讲"]


def test_consultation_is_marked_read_by_person_or_session(lin: Person, chen: Person) -> None:
    session = consult_client.send_as_patient(lin, chen, "您好").data["session_no"]
    for named in (lin.user_id, session):
        consult_client.send_as_patient(lin, chen, "还在吗")
        assert call_messagecenter(chen, "updateReadById", sendId=named).status == 200
        assert get_message_count(chen) == 0


def test_consultation_is_not_found_for_others_and_cannot_be_closed(
    hospital: Hospital, lin: Person, chen: Person
) -> None:
    session = consult_client.send_as_patient(lin, chen, "您好").data["session_no"]
    for who in (hospital.wang, hospital.zhou, hospital.admin):
        assert find_messages(who, 2, sendId=session).status == 404
        assert add_message(who, "您好", receiveId=session).status == 404
        assert call_messagecenter(who, "updateReadById", sendId=session).status == 404
    assert close_session(lin, session).status == 404


def test_hidden_consultation_counts_again_with_next_message(lin: Person, chen: Person) -> None:
    session = consult_client.send_as_patient(lin, chen, "您好").data["session_no"]
    post(consult_client.DOCTOR_DEL, chen.token, session_id=session)
    assert get_message_count(chen) == 0
    consult_client.send_as_patient(lin, chen, "还在吗")
    assert get_message_count(chen) == 2
