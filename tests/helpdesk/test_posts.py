"""oneUserPosition, oneUserConversation, and what an admin sets: posts and duty."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import departments
from tests.support.client import Answer, post
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    HelpDesk,
    add_message,
    call_messagecenter,
    find_messages,
    get_agent_or_place,
    list_contents,
    list_rows,
    request_assignment,
)

pytestmark = pytest.mark.store


def card(who: Person, position: Any) -> Answer:
    return call_messagecenter(who, "oneUserPosition", positionId=position)


def meet(who: Person, position: Any, mine: str = "0") -> Answer:
    return call_messagecenter(who, "oneUserConversation", {"positionId": mine}, youPositionId=position)


def disable(hospital: Hospital, who: Person) -> None:
    assert post("/pati_service/manager_service/staff_disable", hospital.admin.token, user_id=who.user_id).status == 200


def test_everybody_of_the_hospital_sees_the_card_of_a_post(hospital: Hospital, help_desk: HelpDesk) -> None:
    dept = mysql.run_transaction(lambda tx: departments.create(tx, hospital.tenant_id, "呼吸内科"))
    position = help_desk.create_post(hospital.chen, deptId=dept, on_duty=False)
    for who in (hospital.lin, hospital.zhou, hospital.desk, hospital.admin):
        assert card(who, int(position)).data == {
            "positionId": position,
            "userId": str(hospital.chen.user_id),
            "title": "导诊",
            "name": "陈医生",
            "photo": "",
            "department": "呼吸内科",
            "onDuty": False,
        }
    help_desk.set_duty(position)
    assert card(hospital.lin, position).data["onDuty"] is True


def test_no_card_is_shown_of_what_is_not_there(
    hospital: Hospital, help_desk: HelpDesk, other_hospital: Hospital
) -> None:
    theirs = HelpDesk(other_hospital).create_post(other_hospital.desk)
    position = help_desk.create_post(hospital.chen)
    disable(hospital, hospital.chen)
    for one in (theirs, position, "999999999"):
        assert (card(hospital.lin, one).status, card(hospital.lin, one).error) == (404, "岗位不存在")
        assert meet(hospital.lin, one).status == 404


def test_first_contact_makes_one_conversation_with_both_cards(
    hospital: Hospital, help_desk: HelpDesk, lin: Person, chen: Person
) -> None:
    theirs, own = help_desk.create_post(chen), help_desk.create_post(hospital.desk)
    met = meet(lin, theirs).data
    assert (met["mine"]["positionId"], met["mine"]["name"], met["yours"]["name"]) == ("0", "林小雨", "陈医生")
    assert meet(lin, theirs).data["sessionId"] == met["sessionId"]
    add_message(lin, "您好", receiveId=met["sessionId"])
    assert list_contents(find_messages(chen, 2, sendId=lin.user_id)) == ["您好"]
    colleague = meet(hospital.desk, theirs, mine=own).data
    assert (colleague["mine"]["positionId"], colleague["sessionId"] == met["sessionId"]) == (own, False)
    back = meet(chen, own, mine=theirs).data
    assert (back["sessionId"], back["mine"]) == (colleague["sessionId"], colleague["yours"])
    assert len(list_rows("chats", hospital)) == 2


def test_nobody_meets_themselves(hospital: Hospital, help_desk: HelpDesk) -> None:
    assert meet(hospital.chen, help_desk.create_post(hospital.chen)).status == 409


def test_a_post_is_made_once_for_each_and_changed(hospital: Hospital, help_desk: HelpDesk, li: Person) -> None:
    position = help_desk.create_post(li, skill="检查预约")
    again = call_messagecenter(hospital.admin, "savePost", userId=li.user_id, title="又一个")
    assert (again.status, again.error) == (409, "userId：已有岗位")
    call_messagecenter(hospital.desk, "savePost", positionId=position, title="导诊台", cap=9)
    [one] = call_messagecenter(hospital.desk, "postList").data
    assert {name: one[name] for name in ("positionId", "title", "cap", "skill", "open", "onDuty", "deptId")} == {
        "positionId": position,
        "title": "导诊台",
        "cap": 9,
        "skill": "",
        "open": 0,
        "onDuty": True,
        "deptId": "",
    }


def test_a_post_is_for_staff_of_the_hospital(hospital: Hospital, help_desk: HelpDesk, other_hospital: Hospital) -> None:
    theirs = HelpDesk(other_hospital).create_post(other_hospital.desk)
    admin = hospital.admin
    position = help_desk.create_post(hospital.chen)
    disable(hospital, hospital.zhou)
    for holder in (hospital.lin, hospital.zhou, other_hospital.chen):
        assert call_messagecenter(admin, "savePost", userId=holder.user_id, title="x").error == "userId：员工不存在"
    assert call_messagecenter(admin, "savePost", title="x").error == "userId：员工不存在"
    assert call_messagecenter(admin, "savePost", positionId=theirs, title="x").error == "岗位不存在"
    assert (
        call_messagecenter(admin, "savePost", positionId=theirs, userId=other_hospital.desk.user_id, title="x").status
        == 404
    )
    assert (
        call_messagecenter(admin, "savePost", positionId=position, userId=hospital.desk.user_id, title="x").status
        == 404
    )
    assert (
        call_messagecenter(admin, "savePost", positionId=position, title="x", deptId=999_999_999).error == "科室不存在"
    )
    assert call_messagecenter(admin, "setDuty", positionId=theirs, onDuty=False).error == "岗位不存在"
    assert [one["title"] for one in call_messagecenter(admin, "postList").data] == ["导诊"]
    assert card(other_hospital.lin, theirs).data["onDuty"] is True


def test_only_the_desk_and_admins_set_posts(hospital: Hospital, help_desk: HelpDesk) -> None:
    position = help_desk.create_post(hospital.desk)
    for who in (hospital.lin, hospital.chen):
        assert call_messagecenter(who, "savePost", userId=hospital.zhou.user_id, title="x").status == 403
        assert call_messagecenter(who, "setDuty", positionId=position, onDuty=False).status == 403
        assert call_messagecenter(who, "postList").status == 403
    assert help_desk.call_with_key("postList", {"newUserId": hospital.admin.user_id}).status == 401
    assert call_messagecenter(hospital.desk, "setDuty", positionId=position, onDuty=False).status == 200


def test_who_goes_off_duty_keeps_who_they_serve_and_gets_nobody_new(
    help_desk: HelpDesk, li: Person, lin: Person, wang: Person
) -> None:
    position = help_desk.create_post(li)
    request_assignment(lin)
    help_desk.set_duty(position, on=False)
    assert [get_agent_or_place(request_assignment(one)) for one in (lin, wang)] == ["客服小李", "1"]


@pytest.mark.parametrize(
    ("what", "fields", "why"),
    [
        ("oneUserPosition", {}, "positionId"),
        ("oneUserPosition", {"positionId": "0"}, "positionId"),
        ("oneUserPosition", {"positionId": "x"}, "positionId"),
        ("oneUserConversation", {}, "youPositionId"),
        ("oneUserConversation", {"youPositionId": -1}, "youPositionId"),
        ("savePost", {}, "title"),
        ("savePost", {"title": " "}, "title"),
        ("savePost", {"title": "x", "cap": 201}, "cap"),
        ("savePost", {"title": "x", "cap": -1}, "cap"),
        ("savePost", {"title": "x", "skill": "x" * 65}, "skill"),
        ("savePost", {"title": "x", "userId": "x"}, "userId"),
        ("savePost", {"title": "x", "deptId": "x"}, "deptId"),
        ("savePost", {"title": "x", "positionId": "x"}, "positionId"),
        ("setDuty", {"onDuty": True}, "positionId"),
        ("setDuty", {"positionId": 1, "onDuty": "maybe"}, "onDuty"),
    ],
)
def test_a_bad_field_is_named(hospital: Hospital, what: str, fields: dict[str, Any], why: str) -> None:
    answer = call_messagecenter(hospital.admin, what, **fields)
    assert (answer.status, answer.code, answer.error.partition("：")[0]) == (400, 10001, why)
    assert list_rows("posts", hospital) == []
