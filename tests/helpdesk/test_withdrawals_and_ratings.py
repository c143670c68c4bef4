"""withdrawMessage and appraiseMessage."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import tokens
from tests.support import consult_client, factories, gateway_client
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    HelpDesk,
    add_message,
    call_messagecenter,
    find_messages,
    get_agent_or_place,
    get_message_count,
    list_contents,
    list_conversations,
    list_rows,
    request_assignment,
    send_all,
)
from tests.support.notify_client import poll_messages
from tests.support.staff_client import STAFF_PATH

pytestmark = pytest.mark.store


def withdraw(who: Person, message_id: str, **more: Any) -> ApiResponse:
    return call_messagecenter(who, "withdrawMessage", **{"messageId": message_id, "userType": 2, **more})


def appraise(who: Person, message_id: str, what: Any = 1) -> ApiResponse:
    return call_messagecenter(who, "appraiseMessage", messageId=message_id, appraise=what)


def age_messages(hospital: Hospital, minutes: float) -> None:
    """Make all messages of the hospital older."""
    age = int(minutes * 60 * clock.SECOND)
    sql = "UPDATE messages SET sent_at = sent_at - %(age)s WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(sql, age=age, id=hospital.tenant_id)


def test_withdrawn_message_keeps_its_place_without_content(lin: Person, chen: Person) -> None:
    card: dict[str, Any] = {"title": "标题", "link": "https://example.com", "item": 3, "type": 4}
    [sent] = add_message(lin, "说错了", receiveId=chen.user_id, **card).data
    find_messages(chen, 2, sendId=lin.user_id)
    poll_messages(chen.token, events=1)
    assert withdraw(lin, sent["messageId"]).data is None
    [entry] = find_messages(chen, 2, sendId=lin.user_id).data
    assert (entry["messageId"], entry["isWithdrawn"]) == (sent["messageId"], True)
    assert [entry[name] for name in ("title", "content", "link", "item", "type")] == ["", "", "", 0, 0]
    [gateway_message] = gateway_client.get_last_30(chen, sent["sessionId"]).data["Msg"]
    assert (gateway_message["Status"], gateway_message["Content"]) == (-1, "")
    assert list_conversations(chen).data[0]["lastMessage"] == ""
    [event] = poll_messages(chen.token, events=1)[0]
    assert (event["Type"], event["MsgId"]) == (1000, sent["messageId"])
    assert withdraw(lin, sent["messageId"]).status == 200


def list_unread(who: Person) -> list[int]:
    """Return what each counter of the messagecenter, of consultations and of the log shows."""
    entries = [list_conversations(who, what).data for what in ("conversationList", "userList")]
    listed = [one[0]["unread"] for one in entries if one]
    return [get_message_count(who), *listed, len(list_conversations(who, queryType=1).data)]


def test_withdrawn_message_is_in_no_unread_count(lin: Person, chen: Person) -> None:
    ids = send_all(lin, chen, "说错了", "又错了")
    assert list_unread(chen) == [2, 2, 2, 1]
    for message_id, expected in ((ids[1], [1, 1, 1, 1]), (ids[0], [0, 0, 0, 0])):
        assert withdraw(lin, message_id).status == 200
        assert list_unread(chen) == expected
    send_all(lin, chen, "对的")
    assert list_unread(chen) == [1, 1, 1, 1]
    find_messages(chen, 2, sendId=lin.user_id)
    assert list_unread(chen) == [0, 0, 0, 0]


def test_withdrawn_message_of_a_consultation_is_in_no_unread_count(lin: Person, chen: Person) -> None:
    sent = consult_client.send_as_patient(lin, chen, "说错了").data
    consult_client.send_as_patient(lin, chen, "我发烧了")
    assert withdraw(lin, sent["msg_id"]).status == 200
    for _ in range(2):  # from MySQL, then from Redis
        [entry] = consult_client.list_doctor_sessions(chen)
        assert entry["unread"] == 1
        assert get(consult_client.DOCTOR_NEW_SESSION, chen.token).data["unread"] == 1
    assert list_unread(chen) == [1, 1, 1, 1]


def test_new_agent_has_no_unread_withdrawn_messages_and_none_of_their_own(
    hospital: Hospital, help_desk: HelpDesk, lin: Person
) -> None:
    """An agent who takes over has the session's messages unread: those of the patient that remain."""
    li, chen = hospital.desk, hospital.chen
    help_desk.create_post(li)
    session = str(request_assignment(lin).data["sessionId"])
    [wrong] = add_message(lin, "说错了", receiveId=session).data
    add_message(li, "您好", receiveId=session)
    add_message(lin, "还是那件事", receiveId=session)
    withdraw(lin, wrong["messageId"])
    help_desk.create_post(chen)

    def hand_over(former: Person, now_enabled: list[Person]) -> str:
        for person in now_enabled:
            post(f"{STAFF_PATH}/staff_enable", hospital.admin.token, user_id=person.user_id)
        assert post(f"{STAFF_PATH}/staff_disable", hospital.admin.token, user_id=former.user_id).status == 200
        return get_agent_or_place(request_assignment(lin))

    assert hand_over(li, []) == "陈医生"
    assert get_message_count(chen) == 2, "the former agent's and the patient's"
    assert hand_over(chen, [li]) == "客服小李"
    li = li.with_token(tokens.issue(li.tenant_id, li.principal, li.role))
    assert get_message_count(li) == 1, "the patient's"


def test_after_two_minutes_only_an_admin_can_withdraw(hospital: Hospital, lin: Person, chen: Person) -> None:
    [sent] = send_all(lin, chen, "说错了")
    age_messages(hospital, 1.9)
    [other] = send_all(lin, chen, "也错了")
    age_messages(hospital, 0.2)
    assert withdraw(lin, sent).status == 404
    assert withdraw(lin, other).status == 200
    assert withdraw(hospital.admin, sent, userType=1).status == 200
    assert list_contents(find_messages(chen, 2, sendId=lin.user_id)) == ["", ""]


def test_admin_can_withdraw_all_messages_of_the_tenant(
    hospital: Hospital, lin: Person, other_hospital: Hospital
) -> None:
    sent = consult_client.send_as_patient(lin, hospital.chen, "说错了").data["msg_id"]
    assert withdraw(other_hospital.admin, sent).status == 404
    assert withdraw(hospital.admin, sent).status == 200


def test_others_cannot_withdraw(hospital: Hospital, other_hospital: Hospital) -> None:
    [sent] = send_all(hospital.lin, hospital.chen, "我说的")
    for who in (hospital.chen, hospital.wang, hospital.desk, other_hospital.lin, other_hospital.chen):
        assert withdraw(who, sent).status == 404
    assert list_contents(find_messages(hospital.chen, 2, sendId=hospital.lin.user_id)) == ["我说的"]
    assert withdraw(hospital.lin, "22222-2222-2222-222").status == 404


def test_author_of_an_announcement_can_withdraw_it(hospital: Hospital, lin: Person, sun: Person) -> None:
    [sent] = add_message(hospital.desk, "发错了", ownType=2, receiveId=lin.user_id).data
    for who in (sun, lin, hospital.chen):
        assert withdraw(who, sent["messageId"]).status == 404
    assert withdraw(hospital.desk, sent["messageId"]).status == 200
    assert list_contents(find_messages(lin, 1)) == [""]


def test_rating_belongs_to_the_reader_and_can_be_changed(
    hospital: Hospital, help_desk: HelpDesk, lin: Person, li: Person
) -> None:
    help_desk.create_post(li)
    session = request_assignment(lin).data["sessionId"]
    [sent] = send_all(li, lin, "请空腹")
    for rating in (1, 1, "-1", -1):
        assert appraise(lin, sent, rating).data is None
    assert [one["rating"] for one in list_rows("ratings", hospital)] == [-1]
    assert find_messages(lin, 3).data[0]["appraise"] == -1
    assert find_messages(li, 3, sendId=lin.user_id).data[0]["appraise"] == 0, "the rating is the patient's"
    assert session == find_messages(lin, 3).data[0]["sessionId"]


def test_unreadable_and_own_messages_cannot_be_rated(hospital: Hospital, other_hospital: Hospital) -> None:
    factories.let_treat(hospital.chen, hospital.lin)
    [sent] = send_all(hospital.chen, hospital.lin, "多喝水")
    for who in (hospital.wang, hospital.zhou, hospital.admin, other_hospital.lin, other_hospital.admin):
        assert appraise(who, sent).status == 404
    own = appraise(hospital.chen, sent)
    assert (own.status, own.error) == (409, "不能评价自己发送的消息")
    withdraw(hospital.chen, sent)
    assert appraise(hospital.lin, sent).status == 404
    assert list_rows("ratings", hospital) == []


@pytest.mark.parametrize(
    ("what", "fields", "why"),
    [
        ("withdrawMessage", {"userType": 2}, "messageId"),
        ("withdrawMessage", {"messageId": "x", "userType": 2}, "messageId"),
        ("withdrawMessage", {"messageId": 7, "userType": 2}, "messageId"),
        ("withdrawMessage", {"messageId": "22222-2222-2222-222"}, "userType"),
        ("withdrawMessage", {"messageId": "22222-2222-2222-222", "userType": 2, "senderId": "x"}, "senderId"),
        ("withdrawMessage", {"messageId": "22222-2222-2222-222", "userType": 2, "recipientId": 1.5}, "recipientId"),
        ("withdrawMessage", {"messageId": "22222-2222-2222-222", "userType": 2, "chatGroupId": {}}, "chatGroupId"),
        (
            "withdrawMessage",
            {"messageId": "22222-2222-2222-222", "userType": 2, "conversationType": 4},
            "conversationType",
        ),
        ("appraiseMessage", {"appraise": 1}, "messageId"),
        ("appraiseMessage", {"messageId": "22222-2222-2222-222"}, "appraise"),
        *(
            ("appraiseMessage", {"messageId": "22222-2222-2222-222", "appraise": one}, "appraise")
            for one in (0, 2, -2, "x", True, None)
        ),
    ],
)
def test_invalid_field_is_rejected_with_its_name(lin: Person, what: str, fields: dict[str, Any], why: str) -> None:
    response = call_messagecenter(lin, what, **fields)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, why)
