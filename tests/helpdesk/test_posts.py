"""oneUserPosition, oneUserConversation, and what an admin sets: posts and duty."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import departments
from tests.helpdesk.desk import Desk, add, ask, contents, find, rows, served_by, shunt
from tests.people import Hospital, Person
from tests.wire import Answer, post

pytestmark = pytest.mark.store


def card(who: Person, position: Any) -> Answer:
    return ask(who, "oneUserPosition", positionId=position)


def meet(who: Person, position: Any, mine: str = "0") -> Answer:
    return ask(who, "oneUserConversation", {"positionId": mine}, youPositionId=position)


def disable(hospital: Hospital, who: Person) -> None:
    assert post("/pati_service/manager_service/staff_disable", hospital.admin.token, user_id=who.user_id).status == 200


def test_everybody_of_the_hospital_sees_the_card_of_a_post(hospital: Hospital, desk: Desk) -> None:
    dept = mysql.run_transaction(lambda tx: departments.create(tx, hospital.tenant_id, "呼吸内科"))
    position = desk.post(hospital.chen, deptId=dept, on_duty=False)
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
    desk.duty(position)
    assert card(hospital.lin, position).data["onDuty"] is True


def test_no_card_is_shown_of_what_is_not_there(hospital: Hospital, desk: Desk, elsewhere: Hospital) -> None:
    theirs = Desk(elsewhere).post(elsewhere.desk)
    position = desk.post(hospital.chen)
    disable(hospital, hospital.chen)
    for one in (theirs, position, "999999999"):
        assert (card(hospital.lin, one).status, card(hospital.lin, one).error) == (404, "岗位不存在")
        assert meet(hospital.lin, one).status == 404


def test_first_contact_makes_one_conversation_with_both_cards(
    hospital: Hospital, desk: Desk, lin: Person, chen: Person
) -> None:
    theirs, own = desk.post(chen), desk.post(hospital.desk)
    met = meet(lin, theirs).data
    assert (met["mine"]["positionId"], met["mine"]["name"], met["yours"]["name"]) == ("0", "林小雨", "陈医生")
    assert meet(lin, theirs).data["sessionId"] == met["sessionId"]
    add(lin, "您好", receiveId=met["sessionId"])
    assert contents(find(chen, 2, sendId=lin.user_id)) == ["您好"]
    colleague = meet(hospital.desk, theirs, mine=own).data
    assert (colleague["mine"]["positionId"], colleague["sessionId"] == met["sessionId"]) == (own, False)
    back = meet(chen, own, mine=theirs).data
    assert (back["sessionId"], back["mine"]) == (colleague["sessionId"], colleague["yours"])
    assert len(rows("chats", hospital)) == 2


def test_nobody_meets_themselves(hospital: Hospital, desk: Desk) -> None:
    assert meet(hospital.chen, desk.post(hospital.chen)).status == 409


def test_a_post_is_made_once_for_each_and_changed(hospital: Hospital, desk: Desk, li: Person) -> None:
    position = desk.post(li, skill="检查预约")
    again = ask(hospital.admin, "savePost", userId=li.user_id, title="又一个")
    assert (again.status, again.error) == (409, "userId：已有岗位")
    ask(hospital.desk, "savePost", positionId=position, title="导诊台", cap=9)
    [one] = ask(hospital.desk, "postList").data
    assert {name: one[name] for name in ("positionId", "title", "cap", "skill", "open", "onDuty", "deptId")} == {
        "positionId": position,
        "title": "导诊台",
        "cap": 9,
        "skill": "",
        "open": 0,
        "onDuty": True,
        "deptId": "",
    }


def test_a_post_is_for_staff_of_the_hospital(hospital: Hospital, desk: Desk, elsewhere: Hospital) -> None:
    theirs = Desk(elsewhere).post(elsewhere.desk)
    admin = hospital.admin
    position = desk.post(hospital.chen)
    disable(hospital, hospital.zhou)
    for holder in (hospital.lin, hospital.zhou, elsewhere.chen):
        assert ask(admin, "savePost", userId=holder.user_id, title="x").error == "userId：员工不存在"
    assert ask(admin, "savePost", title="x").error == "userId：员工不存在"
    assert ask(admin, "savePost", positionId=theirs, title="x").error == "岗位不存在"
    assert ask(admin, "savePost", positionId=theirs, userId=elsewhere.desk.user_id, title="x").status == 404
    assert ask(admin, "savePost", positionId=position, userId=hospital.desk.user_id, title="x").status == 404
    assert ask(admin, "savePost", positionId=position, title="x", deptId=999_999_999).error == "科室不存在"
    assert ask(admin, "setDuty", positionId=theirs, onDuty=False).error == "岗位不存在"
    assert [one["title"] for one in ask(admin, "postList").data] == ["导诊"]
    assert card(elsewhere.lin, theirs).data["onDuty"] is True


def test_only_the_desk_and_admins_set_posts(hospital: Hospital, desk: Desk) -> None:
    position = desk.post(hospital.desk)
    for who in (hospital.lin, hospital.chen):
        assert ask(who, "savePost", userId=hospital.zhou.user_id, title="x").status == 403
        assert ask(who, "setDuty", positionId=position, onDuty=False).status == 403
        assert ask(who, "postList").status == 403
    assert desk.by_key("postList", {"newUserId": hospital.admin.user_id}).status == 401
    assert ask(hospital.desk, "setDuty", positionId=position, onDuty=False).status == 200


def test_who_goes_off_duty_keeps_who_they_serve_and_gets_nobody_new(
    desk: Desk, li: Person, lin: Person, wang: Person
) -> None:
    position = desk.post(li)
    shunt(lin)
    desk.duty(position, on=False)
    assert [served_by(shunt(one)) for one in (lin, wang)] == ["客服小李", "1"]


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
    answer = ask(hospital.admin, what, **fields)
    assert (answer.status, answer.code, answer.error.partition("：")[0]) == (400, 10001, why)
    assert rows("posts", hospital) == []
