"""messageAdd: to persons, to groups, to the help desk, and in the hospital's name."""

from typing import Any

import pytest

from chalicelib.helpdesk import recipients
from tests.support import factories, gateway_client
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    HelpDesk,
    add_message,
    close_session,
    create_session,
    find_messages,
    get_message_count,
    list_contents,
    list_rows,
    parametrize_invalid,
    request_assignment,
    send_all,
)
from tests.support.notify_client import list_contents as list_received
from tests.support.notify_client import poll_messages

pytestmark = pytest.mark.store


def test_message_is_delivered_unchanged(lin: Person, chen: Person) -> None:
    card: dict[str, Any] = {"title": "检查报告", "link": "https://example.com/r/1", "item": 7, "type": 3, "itemType": 2}
    response = add_message(lin, "请看", receiveId=chen.user_id, **card)
    [sent] = response.data
    assert (sent["receiveId"], response.body["count"]) == (str(chen.user_id), 1)
    [entry] = find_messages(chen, 2, sendId=str(lin.user_id)).data
    assert {name: entry[name] for name in card} == card
    assert entry["messageId"] == sent["messageId"]
    assert entry["sessionId"] == sent["sessionId"]
    assert (entry["sendId"], entry["sendName"], entry["sendType"]) == (str(lin.user_id), "林小雨", 2)
    assert (entry["isSelf"], entry["isWithdrawn"], entry["appraise"]) == (False, False, 0)
    assert entry["createTime"] == sent["createTime"]


def test_message_is_notified_and_in_the_gateways_history(lin: Person, chen: Person, wang: Person) -> None:
    poll_messages(lin.token), poll_messages(chen.token)
    [sent] = add_message(lin, "您好", receiveId=chen.user_id).data
    add_message(chen, "请讲", receiveId=lin.user_id)
    for who in (lin, chen):
        assert list_received(poll_messages(who.token)[0]) == ["您好", "请讲"]
        history = gateway_client.get_last_30(who, sent["sessionId"]).data["Msg"]
        assert [one["Content"] for one in history] == ["您好", "请讲"]
        assert history[0]["MsgId"] == sent["messageId"]
    assert gateway_client.get_last_30(wang, sent["sessionId"]).status == 404


def test_gateway_message_is_shown(lin: Person, chen: Person) -> None:
    [sent] = add_message(lin, "您好", receiveId=chen.user_id).data
    gateway_client.send_all(chen, sent["sessionId"], "从网关说")
    newest = find_messages(lin, 2, sendId=chen.user_id).data[0]
    assert (newest["content"], newest["sendName"], newest["sendType"], newest["title"]) == (
        *("从网关说", "陈医生"),
        *(1, ""),
    )


def test_picture_is_a_link_in_the_gateway_and_has_a_caption_here(lin: Person, chen: Person) -> None:
    picture: dict[str, Any] = {"itemType": 1, "link": "https://example.com/a.png"}
    [sent] = add_message(lin, "伤口", receiveId=chen.user_id, **picture).data
    [gateway_message] = gateway_client.get_last_30(chen, sent["sessionId"]).data["Msg"]
    assert (gateway_message["Type"], gateway_message["Content"]) == (1, "https://example.com/a.png")
    [entry] = find_messages(chen, 2, sendId=lin.user_id).data
    assert (entry["content"], entry["link"], entry["itemType"]) == ("伤口", picture["link"], 1)
    response = add_message(lin, "长" * 513, receiveId=chen.user_id, **picture)
    assert (response.status, response.error) == (400, "content：图片的说明不能超过 512 个字符")


def test_session_id_names_a_recipient(lin: Person, chen: Person) -> None:
    session = create_session(lin, 2, receiveId=chen.user_id).data["sessionId"]
    [one, other] = [add_message(lin, "您好", receiveId=name).data[0]["sessionId"] for name in (session, chen.user_id)]
    assert one == other == session


def test_each_of_many_recipients_gets_one_message(hospital: Hospital, chen: Person) -> None:
    factories.let_treat(chen, hospital.lin, hospital.wang)
    recipient_ids = [str(one.user_id) for one in (hospital.lin, hospital.wang, hospital.lin)]
    response = add_message(chen, "明天停诊", receiveId=hospital.zhou.user_id, receiverIds=recipient_ids)
    assert response.body["count"] == 3, "a recipient named twice gets one message"
    for who in (hospital.lin, hospital.wang, hospital.zhou):
        assert list_contents(find_messages(who, 2, sendId=chen.user_id)) == ["明天停诊"]


@pytest.mark.parametrize("role", ["chen", "desk"])
def test_nothing_is_sent_if_a_recipient_is_unknown(hospital: Hospital, other_hospital: Hospital, role: str) -> None:
    factories.let_treat(hospital.chen, hospital.lin)
    strangers = [other_hospital.lin.user_id, 999_999_999]
    response = add_message(getattr(hospital, role), "您好", receiverIds=[hospital.lin.user_id, *strangers])
    problem = "用户不存在，或不是您的患者" if role == "chen" else "用户不存在"
    named = "、".join(map(str, sorted(strangers)))
    assert (response.status, response.error) == (404, f"{problem}：{named}")
    assert list_rows("messages", hospital) == []


def test_doctor_begins_a_chat_with_own_patients_only(hospital: Hospital, chen: Person, lin: Person) -> None:
    factories.let_treat(chen, hospital.wang)
    for response in (
        add_message(chen, "您好", receiverIds=[hospital.wang.user_id, lin.user_id, hospital.zhou.user_id]),
        create_session(chen, 2, receiveId=lin.user_id),
    ):
        assert (response.status, response.error) == (404, f"用户不存在，或不是您的患者：{lin.user_id}")
    assert [list_rows(table, hospital) for table in ("messages", "chats", "conversations")] == [[], [], []]
    assert add_message(chen, "您好", receiverIds=[hospital.wang.user_id, hospital.zhou.user_id]).status == 200


@pytest.mark.parametrize("closed", [True, False])
def test_no_chat_begins_if_another_recipient_is_rejected(hospital: Hospital, closed: bool) -> None:
    desk, wang = hospital.desk, hospital.wang
    name = "unknown"
    if closed:
        name = str(hospital.lin.user_id)
        close_session(desk, create_session(desk, 2, receiveId=name).data["sessionId"])
    before = [list_rows(table, hospital) for table in ("chats", "conversations", "messages")]
    response = add_message(desk, "您好", receiverIds=[wang.user_id, name])
    assert response.status == (403 if closed else 404)
    assert [list_rows(table, hospital) for table in ("chats", "conversations", "messages")] == before


def test_new_and_existing_chats_are_answered_in_the_order_of_the_request(hospital: Hospital, chen: Person) -> None:
    send_all(hospital.wang, chen, "医生您好")
    factories.let_treat(chen, hospital.lin)
    names = [str(one.user_id) for one in (hospital.lin, hospital.wang, hospital.zhou)]
    sent = add_message(chen, "您好", receiverIds=names).data
    assert len({one["messageId"] for one in sent}) == 3
    assert [one["receiveId"] for one in sent] == names


def test_doctor_replies_to_a_patient_who_has_written_first(chen: Person, lin: Person) -> None:
    send_all(lin, chen, "医生您好")
    assert add_message(chen, "您好", receiveId=lin.user_id).status == 200
    assert create_session(chen, 2, receiveId=lin.user_id).status == 200
    assert list_contents(find_messages(lin, 2, sendId=chen.user_id)) == ["您好", "医生您好"]


def test_service_staff_begin_a_chat_with_any_patient(hospital: Hospital, lin: Person) -> None:
    for staff in (hospital.desk, hospital.admin):
        assert add_message(staff, "您好", receiveId=lin.user_id).status == 200


def test_existence_of_another_patient_is_not_disclosed(lin: Person, wang: Person, other_hospital: Hospital) -> None:
    for one in (wang.user_id, other_hospital.wang.user_id, lin.user_id, 999_999_999):
        response = add_message(lin, "您好", receiveId=one)
        assert (response.status, response.error) == (404, f"用户不存在：{one}")


def test_groups_must_have_the_sender_as_participant(
    hospital: Hospital, lin: Person, chen: Person, wang: Person
) -> None:
    own_group, other_group = (
        gateway_client.create_conversation_of(hospital, lin, chen),
        gateway_client.create_conversation_of(hospital, wang, chen),
    )
    [sent] = add_message(lin, "大家好", ownType=3, groupIds=[own_group]).data
    assert (sent["sessionId"], sent["receiveId"]) == (own_group, own_group)
    assert gateway_client.list_contents(gateway_client.get_last_30(chen, own_group)) == ["大家好"]
    assert add_message(lin, "大家好", ownType=3, groupIds=[own_group, other_group]).status == 404
    assert gateway_client.list_contents(gateway_client.get_last_30(chen, other_group)) == []
    assert len(find_messages(chen, 4, chatGroupId=own_group).data) == 1, "nothing was sent to the first group either"
    both = add_message(chen, "通知", ownType=3, groupIds=[own_group, other_group])
    assert both.body["count"] == 2


def test_archived_group_rejects_messages(hospital: Hospital, lin: Person, chen: Person) -> None:
    group = gateway_client.create_conversation_of(hospital, lin, chen)
    gateway_client.archive(hospital, group)
    for who in (lin, chen):
        assert add_message(who, "在吗", ownType=3, groupIds=[group]).status == 403
    assert find_messages(lin, 4, chatGroupId=group).status == 200


def test_announcement_is_from_the_hospital_to_each_recipient(hospital: Hospital, lin: Person, wang: Person) -> None:
    link: dict[str, Any] = {"itemType": 2, "title": "报告已出", "link": "/report/7", "item": 7}
    response = add_message(hospital.desk, "点击查看", ownType=2, receiverIds=[lin.user_id, wang.user_id], **link)
    assert response.body["count"] == 2
    for who in (lin, wang):
        [entry] = find_messages(who, 1).data
        assert (entry["sendId"], entry["sendType"], entry["title"], entry["link"]) == ("0", 3, "报告已出", "/report/7")
    assert find_messages(hospital.desk, 1).status == 404
    assert add_message(hospital.desk, "您好", ownType=2, receiveId=999_999_999).status == 404
    assert get_message_count(lin) == 0, "it was read"


def test_patients_message_to_the_hospital_opens_a_session(help_desk: HelpDesk, lin: Person, li: Person) -> None:
    help_desk.create_post(li)
    add_message(lin, "有人吗", ownType=2)
    assert list_contents(find_messages(li, 3, sendId=lin.user_id)) == ["有人吗"]
    add_message(li, "您好", receiveId=lin.user_id)
    assert list_contents(find_messages(lin, 3)) == ["您好", "有人吗"]
    assert help_desk.list_open_counts() == {"客服小李": 1}


def test_messages_sent_while_waiting_are_unread_for_the_agent(help_desk: HelpDesk, lin: Person, li: Person) -> None:
    add_message(lin, "有人吗", ownType=2)
    add_message(lin, "我想改期", ownType=2)
    assert find_messages(li, 3, sendId=lin.user_id).status == 404
    help_desk.create_post(li)
    assert get_message_count(li) == 2
    assert list_contents(find_messages(li, 3, sendId=lin.user_id)) == ["我想改期", "有人吗"]


def test_closed_session_rejects_the_agent_and_is_reopened_by_the_patient(
    help_desk: HelpDesk, lin: Person, li: Person
) -> None:
    help_desk.create_post(li)
    session = request_assignment(lin).data["sessionId"]
    close_session(li, session)
    response = add_message(li, "还在吗", receiveId=lin.user_id)
    assert (response.status, response.error) == (403, "会话已结束，不能发送消息")
    assert [gateway_client.send(one, session, "还在吗").status for one in (li, lin)] == [403, 403]
    assert help_desk.list_open_counts() == {"客服小李": 0}
    assert list_contents(find_messages(lin, 3)) == ["会话已结束"], "the session can be read"
    add_message(lin, "我又来了", receiveId=session)
    assert (help_desk.list_open_counts(), add_message(li, "您好", receiveId=session).status) == ({"客服小李": 1}, 200)


@pytest.mark.parametrize("own_type", [1, 2])
def test_patients_message_concurrent_with_closing_reopens_the_session(
    help_desk: HelpDesk, lin: Person, li: Person, monkeypatch: pytest.MonkeyPatch, own_type: int
) -> None:
    help_desk.create_post(li)
    session, resolve = request_assignment(lin).data["sessionId"], recipients.resolve

    def resolve_then_close(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(recipients, "resolve", resolve)
        resolved = resolve(*arguments, **options)
        assert close_session(li, session).status == 200
        return resolved

    monkeypatch.setattr(recipients, "resolve", resolve_then_close)
    assert add_message(lin, "还有一事", ownType=own_type, receiveId=session).status == 200
    assert list_contents(find_messages(lin, 3)) == ["还有一事", "会话已结束"]
    assert help_desk.list_open_counts() == {"客服小李": 1}


def test_patient_reopens_a_closed_direct_chat(lin: Person, chen: Person) -> None:
    send_all(lin, chen, "您好")
    session = create_session(lin, 2, receiveId=chen.user_id).data["sessionId"]
    close_session(chen, session)
    assert add_message(chen, "还在吗", receiveId=lin.user_id).status == 403
    assert add_message(lin, "谢谢", receiveId=chen.user_id).status == 200
    assert add_message(chen, "不客气", receiveId=lin.user_id).status == 200


@parametrize_invalid(
    {
        "ownType": [0, 4, "x", None],
        "content": ["", "   ", 7, "x" * 4001, None],
        "title": ["x" * 129, "a\nb", None],
        "link": ["javascript:alert(1)", "https://a b", "x" * 1025, 5],
        "item": ["x", 1.5, True],
        "type": ["x", None],
        "itemType": [-1, 256, "x"],
        "receiveId": ["a b", "x" * 65, {}, True],
        "receiverIds": ["1", [""] * 101, [{}]],
        "groupIds": ["1", ["a b"]],
    }
)
def test_invalid_field_is_rejected_and_nothing_is_sent(
    hospital: Hospital, lin: Person, chen: Person, field: str, wrong: Any
) -> None:
    response = add_message(lin, **{"content": "您好", "receiveId": chen.user_id, field: wrong})
    assert (response.status, response.code, response.error.partition("：")[0].partition(".")[0]) == (400, 10001, field)
    assert list_rows("messages", hospital) == []


def test_recipient_is_required(hospital: Hospital, lin: Person, chen: Person) -> None:
    assert add_message(lin, "您好").error == "receiveId：必填"
    assert add_message(hospital.desk, "您好", ownType=2).error == "receiveId：必填"
    assert add_message(lin, "您好", ownType=3, receiveId=chen.user_id).error == "groupIds：必填"


def test_send_id_must_be_the_caller(lin: Person, chen: Person) -> None:
    assert add_message(lin, "您好", receiveId=chen.user_id, sendId=str(lin.user_id)).status == 200
    assert add_message(lin, "您好", receiveId=chen.user_id, sendId=str(chen.user_id)).status == 403


@pytest.mark.parametrize("item_type", [0, 1, 2])
def test_double_click_sends_one_message_of_each_type(lin: Person, chen: Person, item_type: int) -> None:
    card: dict[str, Any] = {"itemType": item_type, "link": "https://example.com/a.png", "receiveId": chen.user_id}
    assert add_message(lin, "请看", **card).data == add_message(lin, "请看", **card).data
    assert add_message(lin, "请看", **{**card, "link": "https://example.com/b.png"}).status == 200
    assert len(find_messages(chen, 2, sendId=lin.user_id).data) == 2


def test_picture_needs_no_text(lin: Person, chen: Person) -> None:
    picture: dict[str, Any] = {"itemType": 1, "link": "https://example.com/a.png"}
    assert add_message(lin, "", receiveId=chen.user_id, **picture).status == 200
    [entry] = find_messages(chen, 2, sendId=lin.user_id).data
    assert (entry["content"], entry["link"]) == ("", picture["link"])
    for invalid in ({"itemType": 1}, {"link": picture["link"]}, {**picture, "itemType": 2}):
        assert add_message(lin, " ", receiveId=chen.user_id, **invalid).error == "content：不能为空"


def test_too_long_fields_are_rejected(hospital: Hospital, lin: Person, chen: Person) -> None:
    long: dict[str, Any] = {"title": '"' * 128, "link": "https://" + "\\" * 1016, "itemType": 1}
    response = add_message(lin, "\x01" * 512, receiveId=chen.user_id, **long)
    assert (response.status, response.error) == (400, "title、link、content：过长")
    assert list_rows("messages", hospital) == []
