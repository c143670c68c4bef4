"""createChatSession with persons and groups, and invalid fields of createChatSession, closeChatSession, obtainShunt."""

from typing import Any

import pytest

from tests.support import factories, gateway_client
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import add_message, call_messagecenter, close_session, create_session, list_rows

pytestmark = pytest.mark.store


def test_direct_chat_is_created_once_and_reopened(lin: Person, chen: Person) -> None:
    factories.let_treat(chen, lin)
    first = create_session(lin, 2, receiveId=chen.user_id)
    assert (first.data["state"], first.data["agent"]) == ("open", None)
    session = first.data["sessionId"]
    assert create_session(chen, 2, receiveId=str(lin.user_id)).data["sessionId"] == session
    close_session(chen, session)
    assert add_message(chen, "您好", receiveId=lin.user_id).status == 403
    assert create_session(chen, 2, receiveId=lin.user_id).data["sessionId"] == session
    assert add_message(chen, "您好", receiveId=lin.user_id).status == 200


def test_doctor_reopens_no_chat_with_another_doctors_patient(hospital: Hospital, lin: Person, chen: Person) -> None:
    session = create_session(lin, 2, receiveId=chen.user_id).data["sessionId"]
    assert create_session(chen, 2, receiveId=lin.user_id).data["sessionId"] == session, "still open"
    close_session(lin, session)
    before = [list_rows(table, hospital) for table in ("chats", "conversations")]
    for who in (lin.user_id, 999_999_999):
        response = create_session(chen, 2, receiveId=who)
        assert (response.status, response.error) == (404, f"用户不存在，或不是您的患者：{who}")
    assert [list_rows(table, hospital) for table in ("chats", "conversations")] == before
    assert add_message(chen, "您好", receiveId=lin.user_id).status == 403
    assert create_session(lin, 2, receiveId=chen.user_id).status == 200
    assert add_message(chen, "您好", receiveId=lin.user_id).status == 200


def test_service_staff_reopen_chats_with_any_patient(hospital: Hospital, lin: Person) -> None:
    session = create_session(lin, 2, receiveId=hospital.desk.user_id).data["sessionId"]
    close_session(lin, session)
    assert create_session(hospital.desk, 2, receiveId=lin.user_id).data["sessionId"] == session


def test_group_is_found_by_its_participants(hospital: Hospital, lin: Person, wang: Person) -> None:
    group = gateway_client.create_conversation_of(hospital, lin)
    assert create_session(lin, 4, receiveId=group).data["sessionId"] == group
    assert create_session(wang, 4, receiveId=group).status == 404


def test_another_hospital_is_not_found(hospital: Hospital, lin: Person, other_hospital: Hospital) -> None:
    chen = hospital.chen.user_id
    assert create_session(lin, 2, receiveId=chen, receiveEntId=other_hospital.tenant_id).status == 404
    assert create_session(lin, 2, receiveId=chen, receiveEntId="nowhere").status == 404
    assert create_session(lin, 2, receiveId=other_hospital.chen.user_id).status == 404
    assert list_rows("chats", hospital) == []
    assert create_session(lin, 2, receiveId=chen, receiveEntId=hospital.tenant_id).status == 200


@pytest.mark.parametrize(
    ("what", "fields", "why"),
    [
        ("createChatSession", {}, "msgType"),
        ("createChatSession", {"msgType": 7, "userType": 2}, "msgType"),
        ("createChatSession", {"msgType": 2}, "userType"),
        ("createChatSession", {"msgType": 2, "userType": 2}, "receiveId"),
        ("createChatSession", {"msgType": 2, "userType": 2, "receiveId": "a-b"}, "receiveId"),
        ("createChatSession", {"msgType": 1, "userType": 2, "receiveId": "3"}, "msgType"),
        ("createChatSession", {"msgType": 3, "userType": 2, "customerserviceName": "x" * 65}, "customerserviceName"),
        ("createChatSession", {"msgType": 3, "userType": 2, "receiveEntId": "a b"}, "receiveEntId"),
        ("closeChatSession", {}, "sessionId"),
        ("closeChatSession", {"sessionId": ""}, "sessionId"),
        ("closeChatSession", {"sessionId": 7}, "sessionId"),
        ("obtainShunt", {}, "type"),
        ("obtainShunt", {"type": 1}, "type"),
        ("obtainShunt", {"type": "x" * 65}, "type"),
    ],
)
def test_invalid_field_is_rejected_and_opens_nothing(
    hospital: Hospital, what: str, fields: dict[str, Any], why: str
) -> None:
    response = call_messagecenter(hospital.lin, what, **fields)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, why)
    assert list_rows("chats", hospital) == []


def test_removed_participant_does_not_find_the_group(hospital: Hospital, lin: Person, chen: Person) -> None:
    group = gateway_client.create_conversation_of(hospital, lin, chen)
    gateway_client.send_all(chen, group, "大家好")
    gateway_client.remove_participants(hospital, group, lin)
    assert create_session(lin, 4, receiveId=group).status == 404
    assert call_messagecenter(lin, "updateReadById", sendId=group).status == 404
    assert add_message(lin, "在吗", ownType=3, groupIds=[group]).status == 404
