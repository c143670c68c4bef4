"""findMessage, messageCount and updateReadById."""

from typing import Any

from tests.gateway import talk
from tests.gateway.hearing import heard
from tests.helpdesk.desk import Desk, add, ask, contents, count, each_wrong, find, shunt, told
from tests.people import Hospital, Person


def test_pages_go_back_from_the_newest_without_hole_or_double(lin: Person, chen: Person) -> None:
    ids = told(lin, chen, *map(str, range(7)))
    newest = find(chen, 2, sendId=lin.user_id, pageSize=3)
    assert (contents(newest), newest.body["count"]) == (["6", "5", "4"], 7)
    older = find(chen, 2, sendId=lin.user_id, pageSize=3, lastId=ids[4])
    assert (contents(older), older.body["count"]) == (["3", "2", "1"], 7)
    assert contents(find(chen, 2, sendId=lin.user_id, pageSize=3, lastId=ids[0])) == []
    for sort, order in (("asc", ["1", "2", "3"]), ("desc", ["3", "2", "1"]), ("", ["3", "2", "1"])):
        assert contents(find(chen, 2, sendId=lin.user_id, pageSize=3, lastId=ids[4], sort=sort)) == order
    assert contents(find(chen, 2, sendId=lin.user_id, pageSize=3, sort="asc")) == ["4", "5", "6"]


def test_a_page_size_above_100_is_100(lin: Person, chen: Person) -> None:
    told(lin, chen, *map(str, range(101)))
    assert len(find(chen, 2, sendId=lin.user_id, pageSize=1000).data) == 100


def test_a_last_id_of_another_conversation_is_refused(lin: Person, chen: Person, zhou: Person) -> None:
    [other] = told(lin, zhou, "您好")
    told(lin, chen, "您好")
    answer = find(lin, 2, sendId=chen.user_id, lastId=other)
    assert (answer.status, answer.error) == (400, "lastId：不是该会话的消息")


def test_nobody_reads_what_is_between_others(hospital: Hospital, desk: Desk, elsewhere: Hospital) -> None:
    lin, wang, chen, zhou = hospital.lin, hospital.wang, hospital.chen, hospital.zhou
    told(lin, chen, "我的秘密")
    desk.post(hospital.desk)
    session = shunt(lin).data["sessionId"]
    group = talk.seated(hospital, lin, chen)
    for who in (wang, zhou, hospital.admin, elsewhere.lin, elsewhere.chen, elsewhere.admin):
        asked = [find(who, 2, sendId=one.user_id) for one in (lin, chen)]
        asked += [find(who, 4, chatGroupId=group), find(who, 2, sendId=session), find(who, 1)]
        asked += [find(who, 3, sendId=lin.user_id), find(who, 3, sendId=session)]
        assert {(one.status, one.error) for one in asked} == {(404, "会话不存在")}


def test_a_group_is_named_by_its_id_or_its_number(hospital: Hospital, lin: Person, chen: Person, wang: Person) -> None:
    group = talk.seated(hospital, lin, chen)
    talk.sent(chen, group, "大家好")
    [entry] = [one for one in ask(lin, "conversationList", userType=2).data if one["msgType"] == 4]
    number = entry["chatGroupId"]
    for named in (group, number, int(number)):
        assert contents(find(lin, 4, chatGroupId=named)) == ["大家好"]
        assert find(wang, 4, chatGroupId=named).status == 404


def test_the_newest_page_counts_as_read_and_the_sender_hears_of_it(lin: Person, chen: Person) -> None:
    ids = told(lin, chen, "一", "二", "三")
    assert (count(chen), count(lin)) == (3, 0)
    heard(lin.token, events=1)
    find(chen, 2, sendId=lin.user_id, lastId=ids[2])
    assert count(chen) == 3, "an older page is no reading of the newest"
    find(chen, 2, sendId=lin.user_id, pageSize=1)
    assert count(chen) == 0
    [event] = heard(lin.token, events=1)[0]
    assert (event["Type"], event["FromSession"], event["MsgId"]) == (1001, str(chen.user_id), ids[2])


def test_the_count_is_of_all_kinds_of_conversation(hospital: Hospital, desk: Desk, lin: Person, chen: Person) -> None:
    desk.post(hospital.desk)
    shunt(lin)
    told(chen, lin, "一")
    add(hospital.desk, "二", receiveId=lin.user_id)
    add(hospital.desk, "三", ownType=2, receiveId=lin.user_id)
    talk.sent(chen, talk.seated(hospital, lin, chen), "四")
    add(lin, "自己的", receiveId=chen.user_id)
    assert count(lin) == 4
    assert count(hospital.wang) == 0


def test_to_read_by_the_sender_is_to_read_all_of_theirs(desk: Desk, lin: Person, li: Person, chen: Person) -> None:
    desk.post(li)
    shunt(lin)
    told(li, lin, "在客服")
    ask(li, "createChatSession", msgType=2, userType=1, receiveId=lin.user_id)
    session = ask(li, "createChatSession", msgType=2, userType=1, receiveId=lin.user_id).data["sessionId"]
    add(li, "私下", receiveId=session)
    [last] = told(chen, lin, "别人的")
    assert count(lin) == 3
    heard(li.token, events=1), heard(chen.token, events=1)
    assert ask(lin, "updateReadById", sendId=str(li.user_id)).data is None
    assert count(lin) == 1
    assert [one["Type"] for one in heard(li.token, events=1)[0]] == [1001, 1001]
    assert heard(chen.token, events=1)[0] == []
    ask(lin, "updateReadById", sendId=li.user_id, userType=2, sendType=1)
    assert heard(li.token, events=1)[0] == [], "what was read is not read again"
    ask(lin, "updateReadById", sendId=chen.user_id)
    [event] = heard(chen.token, events=1)[0]
    assert (count(lin), event["MsgId"]) == (0, last)


def test_notices_and_groups_are_read_by_their_names(hospital: Hospital, lin: Person, chen: Person) -> None:
    add(hospital.desk, "通知", ownType=2, receiveId=lin.user_id)
    group = talk.seated(hospital, lin, chen)
    talk.sent(chen, group, "大家好")
    assert count(lin) == 2
    ask(lin, "updateReadById", sendId="0")
    assert count(lin) == 1
    ask(lin, "updateReadById", sendId=group)
    assert count(lin) == 0


def test_to_read_of_somebody_one_never_talked_with_is_404(
    hospital: Hospital, lin: Person, wang: Person, chen: Person, elsewhere: Hospital
) -> None:
    told(wang, chen, "您好")
    group = talk.seated(hospital, wang, chen)
    for one in (chen.user_id, wang.user_id, elsewhere.chen.user_id, group, "0"):
        assert ask(lin, "updateReadById", sendId=one).status == 404
    assert count(chen) == 1


@each_wrong(
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
def test_a_bad_field_is_named(lin: Person, chen: Person, field: str, wrong: Any) -> None:
    answer = find(lin, 2, **{"sendId": chen.user_id, field: wrong}) if field != "msgType" else find(lin, wrong)
    assert (answer.status, answer.code, answer.error.partition("：")[0]) == (400, 10001, field)


def test_whose_conversation_is_wanted(chen: Person) -> None:
    assert [find(chen, one).error for one in (2, 3, 4)] == ["sendId：必填", "sendId：必填", "chatGroupId：必填"]


def test_count_and_read_say_what_they_lack(lin: Person) -> None:
    assert ask(lin, "messageCount").error == "userType：必填"
    assert ask(lin, "messageCount", userType=9).status == 400
    assert ask(lin, "updateReadById").error == "sendId：必填"
    assert ask(lin, "updateReadById", sendId="a b").status == 400
    assert ask(lin, "updateReadById", sendId="1", sendType=7).status == 400
