"""Who may speak in the hospital's name: service staff and admins, by any protocol."""

from typing import Any

import pytest

from tests.support import gateway_client
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import HelpDesk, add_message, find_messages, list_contents, list_rows

ANNOUNCEMENT: dict[str, Any] = {"ownType": 2, "title": "缴费通知", "itemType": 2, "link": "https://example.com/pay"}


def test_service_staff_and_admins_may_announce(hospital: Hospital, lin: Person) -> None:
    for who in (hospital.desk, hospital.admin):
        assert add_message(who, f"来自{who.role}", receiveId=lin.user_id, **ANNOUNCEMENT).status == 200
    assert list_contents(find_messages(lin, 1)) == ["来自admin", "来自service_staff"]


@pytest.mark.parametrize("recipient", [True, False])
def test_doctor_may_not_announce(hospital: Hospital, lin: Person, chen: Person, recipient: bool) -> None:
    """Red team M5: a doctor sent notices in the hospital's name, with any link."""
    response = add_message(chen, "请点此缴费", receiveId=lin.user_id if recipient else "", **ANNOUNCEMENT)
    assert (response.status, response.code) == (403, 10003)
    assert response.error == "以医院名义发布通知仅限客服、管理员；发给个人请用 ownType 1"
    assert list_rows("messages", hospital) == list_rows("conversations", hospital) == []


def test_hospitals_system_may_not_announce_as_a_doctor(help_desk: HelpDesk, lin: Person, chen: Person) -> None:
    help_desk.hospital.allow_keys_for_staff()
    fields: dict[str, Any] = {"content": "请点此缴费", "item": 0, "type": 0, "receiveId": lin.user_id, **ANNOUNCEMENT}
    assert help_desk.call_with_key("messageAdd", {"entUserId": chen.user_id}, **fields).status == 403
    assert list_rows("messages", help_desk.hospital) == []


def test_conversation_of_announcements_is_closed_to_doctors(hospital: Hospital, lin: Person, chen: Person) -> None:
    [sent] = add_message(hospital.desk, "明天停水", receiveId=lin.user_id, **ANNOUNCEMENT).data
    session_id = sent["sessionId"]
    assert add_message(chen, "请点此缴费", receiveId=session_id).status == 404
    assert add_message(chen, "请点此缴费", ownType=3, groupIds=[session_id]).status == 404
    assert gateway_client.send(chen, session_id, "请点此缴费").status == 404
    assert gateway_client.join(chen, session_id).status == 404
    assert list_contents(find_messages(lin, 1)) == ["明天停水"]
