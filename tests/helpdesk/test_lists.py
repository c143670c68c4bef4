"""conversationList and userList: entries, filters and pages."""

from typing import Any

import pytest

from chalicelib import clock
from tests.support import consult_client, factories, gateway_client
from tests.support.accounts_client import MYINFO
from tests.support.client import ApiResponse, post
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    HelpDesk,
    add_message,
    close_session,
    create_session,
    find_messages,
    get_message_count,
    list_conversations,
    parametrize_invalid,
    request_assignment,
    send_all,
)

pytestmark = pytest.mark.store


def list_names(response: ApiResponse) -> list[str]:
    assert response.body["count"] == len(response.data)
    return [one["name"] for one in response.data]


def test_entry_has_peer_newest_message_and_unread_count(lin: Person, chen: Person) -> None:
    *_, last = send_all(lin, chen, "一", "二")
    [entry] = list_conversations(chen).data
    assert entry["sessionId"] == create_session(chen, 2, receiveId=lin.user_id).data["sessionId"]
    assert {name: entry[name] for name in entry if name not in ("sessionId", "lastTime", "position")} == {
        "chatGroupId": "",
        "msgType": 2,
        "conversationType": 2,
        "state": "open",
        "userId": str(lin.user_id),
        "userType": 2,
        "name": "林小雨",
        "phone": "138****0001",
        "photo": "",
        "unread": 2,
        "lastMessageId": last,
        "lastMessage": "二",
        "lastItemType": 0,
    }
    [entry] = list_conversations(lin).data
    assert (entry["name"], entry["phone"], entry["unread"], entry["userType"]) == ("陈医生", "", 0, 1)


def test_all_kinds_are_listed_last_active_first(
    hospital: Hospital, help_desk: HelpDesk, lin: Person, chen: Person
) -> None:
    factories.let_treat(chen, lin)
    help_desk.create_post(hospital.desk)
    request_assignment(lin)
    send_all(chen, lin, "一")
    group = gateway_client.create_conversation_of(hospital, lin, chen)
    gateway_client.send_all(chen, group, "二")
    consult_client.send_as_patient(lin, chen, "三")
    add_message(hospital.desk, "四", ownType=2, receiveId=lin.user_id)
    add_message(hospital.desk, "五", receiveId=lin.user_id)
    entries = list_conversations(lin).data
    assert [(one["msgType"], one["lastMessage"]) for one in entries] == [
        *((3, "五"), (1, "四"), (2, "三"), (4, "二"), (2, "一"))
    ]
    assert [one["conversationType"] for one in entries] == [2, 2, 2, 3, 2]
    assert sum(one["unread"] for one in entries) == get_message_count(lin) == 4
    assert list_conversations(hospital.wang).data == list_conversations(hospital.zhou).data == []


def test_person_is_listed_once_with_all_unread_messages(
    hospital: Hospital, help_desk: HelpDesk, lin: Person, li: Person
) -> None:
    help_desk.create_post(li)
    request_assignment(lin)
    session = create_session(lin, 2, receiveId=li.user_id).data["sessionId"]
    add_message(lin, "在客服", receiveId=li.user_id)
    add_message(lin, "私下", receiveId=session)
    send_all(hospital.chen, li, "同事")
    assert list_names(list_conversations(li, "userList")) == ["陈医生", "林小雨"]
    entry = list_conversations(li, "userList").data[1]
    assert (entry["unread"], entry["lastMessage"], entry["userId"]) == (2, "私下", str(lin.user_id))
    assert len(list_conversations(li).data) == 3


@pytest.fixture
def agent_hospital(hospital: Hospital, help_desk: HelpDesk, lin: Person, wang: Person, li: Person) -> Hospital:
    """Li has served Lin, serves Wang, has a chat with Doctor Chen, and is in a group with a visitor."""
    help_desk.create_post(li)
    session = request_assignment(lin).data["sessionId"]
    close_session(lin, session)
    request_assignment(wang)
    add_message(wang, "在吗", ownType=2)
    find_messages(li, 3, sendId=lin.user_id)
    send_all(li, hospital.chen, "您好")
    gateway_client.create_conversation_of(hospital, li, gateway_client.create_external_user(hospital, "guo-7f1a"))
    return hospital


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["", "陈医生", "王强", "林小雨"]),
        ({"queryType": 0}, ["", "陈医生", "王强", "林小雨"]),
        ({"queryType": 1}, ["王强"]),
        ({"queryType": 2}, ["", "陈医生", "王强"]),
        ({"queryType": 3}, ["林小雨"]),
        ({"isArtificial": 1}, ["王强", "林小雨"]),
        ({"isTourist": 1}, [""]),
        ({"phone": "13800000002"}, ["王强"]),
        ({"phone": "13900000001"}, []),  # of a member of staff
        ({"phone": "13811111111"}, []),
        ({"nameSearch": "强"}, ["王强"]),
        ({"nameSearch": "%"}, []),
        ({"nameSearch": "_"}, []),
        ({"nameSearch": "' OR 1=1 -- "}, []),
        ({"nameSearch": "林", "queryType": 2}, []),
    ],
)
def test_filters(agent_hospital: Hospital, filters: dict[str, Any], expected: list[str]) -> None:
    assert sorted(list_names(list_conversations(agent_hospital.desk, **filters))) == sorted(expected)
    people = [name for name in expected if name]
    assert sorted(list_names(list_conversations(agent_hospital.desk, "userList", **filters))) == sorted(people)


@pytest.mark.parametrize("typed", ["古丽•艾山", "古丽.艾山", "丽艾", "古丽 艾", "丽·艾"])
def test_name_of_a_patient_is_found_however_it_is_typed(hospital: Hospital, typed: str) -> None:
    person = factories.create_patient(hospital.tenant_id, "13700000101", "古丽·艾山")
    factories.let_treat(hospital.chen, person)
    send_all(hospital.chen, person, "您好")
    assert list_names(list_conversations(hospital.chen, nameSearch=typed)) == ["古丽·艾山"]
    post(MYINFO, person.token, name="Ａn·Na", gender=2, birthday="")
    assert list_names(list_conversations(hospital.chen, nameSearch=typed)) == []
    assert list_names(list_conversations(hospital.chen, nameSearch="an na")) == ["Ａn·Na"]
    assert list_names(list_conversations(hospital.chen, nameSearch="•")) == []


def test_person_or_session_is_excluded(agent_hospital: Hospital) -> None:
    li, wang = agent_hospital.desk, agent_hospital.wang
    session = find_messages(li, 3, sendId=wang.user_id).data[0]["sessionId"]
    for one in (str(wang.user_id), session):
        assert sorted(list_names(list_conversations(li, filtrationId=one))) == sorted(["", "陈医生", "林小雨"])


def test_times_are_of_last_activity_in_shanghai(lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    at = clock.to_instant(clock.today()) + 10 * 3600 * clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: at)
    send_all(lin, chen, "十点")
    day = clock.today().isoformat()

    def is_listed(**times: str) -> bool:
        return list_names(list_conversations(chen, **times)) == ["林小雨"]

    assert is_listed(startTime=day, endTime=day)
    assert is_listed(startTime=f"{day} 10:00:00", endTime=f"{day} 10:00:00")
    assert not is_listed(startTime=f"{day} 10:00:01")
    assert not is_listed(endTime=f"{day} 09:59:59")
    assert not is_listed(endTime="2020-01-01")
    assert is_listed(startTime="2020-01-01", endTime="")


def test_pages_contain_each_person_once(hospital: Hospital, chen: Person) -> None:
    for number in range(5):
        person = factories.create_patient(hospital.tenant_id, f"1370000000{number}", f"患者{number}")
        send_all(person, chen, "您好")
    listed: list[str] = []
    for page in (1, 2, 3):
        response = list_conversations(chen, page=page, size=2)
        assert response.body["count"] == 5
        listed += [one["name"] for one in response.data]
    assert listed == [f"患者{number}" for number in (4, 3, 2, 1, 0)]
    after_last = list_conversations(chen, page=9, size=2)
    assert (after_last.data, after_last.body["count"]) == ([], 5)
    assert len(list_conversations(chen, page=0, size=0).data) == 5, "0 counts as absent"


def test_hidden_conversation_returns_with_next_message(hospital: Hospital) -> None:
    lin, chen = hospital.lin, hospital.chen
    session = consult_client.send_as_patient(lin, chen, "您好").data["session_no"]
    post(consult_client.DOCTOR_DEL, chen.token, session_id=session)
    assert list_conversations(chen).data == []
    consult_client.send_as_patient(lin, chen, "还在吗")
    assert list_names(list_conversations(chen)) == ["林小雨"]


@pytest.mark.parametrize("what", ["conversationList", "userList"])
@parametrize_invalid(
    {
        "userType": [0, "x", None],
        "phone": ["1380000", 13800000001, "x"],
        "startTime": ["2026-13-01", "2026-01-01 25:00:00", "2026-1-1", 5, "2026-01-01T00:00:00"],
        "endTime": ["2026-02-30", "now"],
        "page": [-1, "x", 2**53],
        "size": [-1, "x", 1.5],
        "isArtificial": [2, "x"],
        "isTourist": [2, True],
        "queryType": [4, -1],
        "filtrationId": ["a b", {}],
        "nameSearch": ["x" * 65, 5],
        "before": ["x", "1", "1.", "-1.2", "1.2.3", "1" * 19 + ".1", 7],
    }
)
def test_invalid_field_is_rejected_with_its_name(lin: Person, what: str, field: str, wrong: Any) -> None:
    response = list_conversations(lin, what, **{field: wrong})
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, field)
