"""findMessage, messageCount and updateReadById."""

from typing import Any

from tests.support import factories, gateway_client
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    HelpDesk,
    add_message,
    call_messagecenter,
    find_messages,
    get_message_count,
    list_contents,
    parametrize_invalid,
    request_assignment,
    send_all,
)
from tests.support.notify_client import poll_messages


def test_pages_have_no_gaps_and_no_duplicates(lin: Person, chen: Person) -> None:
    ids = send_all(lin, chen, *map(str, range(7)))
    newest = find_messages(chen, 2, sendId=lin.user_id, pageSize=3)
    assert (list_contents(newest), newest.body["count"]) == (["6", "5", "4"], 7)
    older = find_messages(chen, 2, sendId=lin.user_id, pageSize=3, lastId=ids[4])
    assert (list_contents(older), older.body["count"]) == (["3", "2", "1"], 7)
    assert list_contents(find_messages(chen, 2, sendId=lin.user_id, pageSize=3, lastId=ids[0])) == []
    for sort, order in (("asc", ["1", "2", "3"]), ("desc", ["3", "2", "1"]), ("", ["3", "2", "1"])):
        assert list_contents(find_messages(chen, 2, sendId=lin.user_id, pageSize=3, lastId=ids[4], sort=sort)) == order
    assert list_contents(find_messages(chen, 2, sendId=lin.user_id, pageSize=3, sort="asc")) == ["4", "5", "6"]


def test_page_has_at_most_100_messages(lin: Person, chen: Person) -> None:
    send_all(lin, chen, *map(str, range(101)))
    assert len(find_messages(chen, 2, sendId=lin.user_id, pageSize=1000).data) == 100


def test_last_id_of_another_conversation_is_rejected(lin: Person, chen: Person, zhou: Person) -> None:
    [other] = send_all(lin, zhou, "您好")
    send_all(lin, chen, "您好")
    response = find_messages(lin, 2, sendId=chen.user_id, lastId=other)
    assert (response.status, response.error) == (400, "lastId：不是该会话的消息")


def test_conversations_of_others_are_not_found(
    hospital: Hospital, help_desk: HelpDesk, other_hospital: Hospital
) -> None:
    lin, wang, chen, zhou = hospital.lin, hospital.wang, hospital.chen, hospital.zhou
    send_all(lin, chen, "我的秘密")
    help_desk.create_post(hospital.desk)
    session = request_assignment(lin).data["sessionId"]
    group = gateway_client.create_conversation_of(hospital, lin, chen)
    for who in (wang, zhou, hospital.admin, other_hospital.lin, other_hospital.chen, other_hospital.admin):
        responses = [find_messages(who, 2, sendId=one.user_id) for one in (lin, chen)]
        responses += [
            find_messages(who, 4, chatGroupId=group),
            find_messages(who, 2, sendId=session),
            find_messages(who, 1),
        ]
        responses += [find_messages(who, 3, sendId=lin.user_id), find_messages(who, 3, sendId=session)]
        assert {(one.status, one.error) for one in responses} == {(404, "会话不存在")}


def test_group_is_found_by_public_id_and_number(hospital: Hospital, lin: Person, chen: Person, wang: Person) -> None:
    group = gateway_client.create_conversation_of(hospital, lin, chen)
    gateway_client.send_all(chen, group, "大家好")
    [entry] = [one for one in call_messagecenter(lin, "conversationList", userType=2).data if one["msgType"] == 4]
    number = entry["chatGroupId"]
    for named in (group, number, int(number)):
        assert list_contents(find_messages(lin, 4, chatGroupId=named)) == ["大家好"]
        assert find_messages(wang, 4, chatGroupId=named).status == 404


def test_newest_page_is_marked_read_and_the_sender_notified(lin: Person, chen: Person) -> None:
    ids = send_all(lin, chen, "一", "二", "三")
    assert (get_message_count(chen), get_message_count(lin)) == (3, 0)
    poll_messages(lin.token, events=1)
    find_messages(chen, 2, sendId=lin.user_id, lastId=ids[2])
    assert get_message_count(chen) == 3, "an older page does not mark the newest as read"
    find_messages(chen, 2, sendId=lin.user_id, pageSize=1)
    assert get_message_count(chen) == 0
    [event] = poll_messages(lin.token, events=1)[0]
    assert (event["Type"], event["FromSession"], event["MsgId"]) == (1001, str(chen.user_id), ids[2])


def test_unread_count_covers_all_kinds_of_conversation(
    hospital: Hospital, help_desk: HelpDesk, lin: Person, chen: Person
) -> None:
    factories.let_treat(chen, lin)
    help_desk.create_post(hospital.desk)
    request_assignment(lin)
    send_all(chen, lin, "一")
    add_message(hospital.desk, "二", receiveId=lin.user_id)
    add_message(hospital.desk, "三", ownType=2, receiveId=lin.user_id)
    gateway_client.send_all(chen, gateway_client.create_conversation_of(hospital, lin, chen), "四")
    add_message(lin, "自己的", receiveId=chen.user_id)
    assert get_message_count(lin) == 4
    assert get_message_count(hospital.wang) == 0


def test_marking_a_person_read_covers_all_shared_conversations(
    help_desk: HelpDesk, lin: Person, li: Person, chen: Person
) -> None:
    help_desk.create_post(li)
    request_assignment(lin)
    send_all(li, lin, "在客服")
    call_messagecenter(li, "createChatSession", msgType=2, userType=1, receiveId=lin.user_id)
    session = call_messagecenter(li, "createChatSession", msgType=2, userType=1, receiveId=lin.user_id).data[
        "sessionId"
    ]
    add_message(li, "私下", receiveId=session)
    factories.let_treat(chen, lin)
    [last] = send_all(chen, lin, "别人的")
    assert get_message_count(lin) == 3
    poll_messages(li.token, events=1), poll_messages(chen.token, events=1)
    assert call_messagecenter(lin, "updateReadById", sendId=str(li.user_id)).data is None
    assert get_message_count(lin) == 1
    assert [one["Type"] for one in poll_messages(li.token, events=1)[0]] == [1001, 1001]
    assert poll_messages(chen.token, events=1)[0] == []
    call_messagecenter(lin, "updateReadById", sendId=li.user_id, userType=2, sendType=1)
    assert poll_messages(li.token, events=1)[0] == [], "messages are marked read once"
    call_messagecenter(lin, "updateReadById", sendId=chen.user_id)
    [event] = poll_messages(chen.token, events=1)[0]
    assert (get_message_count(lin), event["MsgId"]) == (0, last)


def test_announcements_and_groups_are_marked_read(hospital: Hospital, lin: Person, chen: Person) -> None:
    add_message(hospital.desk, "通知", ownType=2, receiveId=lin.user_id)
    group = gateway_client.create_conversation_of(hospital, lin, chen)
    gateway_client.send_all(chen, group, "大家好")
    assert get_message_count(lin) == 2
    call_messagecenter(lin, "updateReadById", sendId="0")
    assert get_message_count(lin) == 1
    call_messagecenter(lin, "updateReadById", sendId=group)
    assert get_message_count(lin) == 0


def test_marking_read_without_conversation_is_not_found(
    hospital: Hospital, lin: Person, wang: Person, chen: Person, other_hospital: Hospital
) -> None:
    send_all(wang, chen, "您好")
    group = gateway_client.create_conversation_of(hospital, wang, chen)
    for one in (chen.user_id, wang.user_id, other_hospital.chen.user_id, group, "0"):
        assert call_messagecenter(lin, "updateReadById", sendId=one).status == 404
    assert get_message_count(chen) == 1


@parametrize_invalid(
    {
        "msgType": [0, 5, "x", None],
        "userType": [0, 4, "x", None],
        "pageSize": [0, -1, "x", None],
        "lastId": ["x", 7],
        "sort": ["up", 1],
        "sendId": ["a b", {}],
        "chatGroupId": ["a b", []],
    }
)
def test_invalid_field_is_rejected_with_its_name(lin: Person, chen: Person, field: str, wrong: Any) -> None:
    response = (
        find_messages(lin, 2, **{"sendId": chen.user_id, field: wrong})
        if field != "msgType"
        else find_messages(lin, wrong)
    )
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, field)


def test_conversation_must_be_named(chen: Person) -> None:
    assert [find_messages(chen, one).error for one in (2, 3, 4)] == [
        "sendId：必填",
        "sendId：必填",
        "chatGroupId：必填",
    ]


def test_missing_fields_of_count_and_read_are_named(lin: Person) -> None:
    assert call_messagecenter(lin, "messageCount").error == "userType：必填"
    assert call_messagecenter(lin, "messageCount", userType=9).status == 400
    assert call_messagecenter(lin, "updateReadById").error == "sendId：必填"
    assert call_messagecenter(lin, "updateReadById", sendId="a b").status == 400
    assert call_messagecenter(lin, "updateReadById", sendId="1", sendType=7).status == 400
