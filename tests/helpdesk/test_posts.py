"""oneUserPosition, oneUserConversation, savePost, setDuty and postList."""

from functools import partial
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.people import departments
from tests.support.client import ApiResponse, post
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
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def get_card(who: Person, position: Any) -> ApiResponse:
    return call_messagecenter(who, "oneUserPosition", positionId=position)


def open_conversation(who: Person, position: Any, mine: str = "0") -> ApiResponse:
    return call_messagecenter(who, "oneUserConversation", {"positionId": mine}, youPositionId=position)


def disable_staff(hospital: Hospital, who: Person) -> None:
    assert post("/pati_service/manager_service/staff_disable", hospital.admin.token, user_id=who.user_id).status == 200


def test_card_of_a_post_is_visible_to_all_callers_of_the_tenant(hospital: Hospital, help_desk: HelpDesk) -> None:
    dept = mysql.run_transaction(lambda tx: departments.create(tx, hospital.tenant_id, "呼吸内科"))
    position = help_desk.create_post(hospital.chen, deptId=dept, on_duty=False)
    for who in (hospital.lin, hospital.zhou, hospital.desk, hospital.admin):
        assert get_card(who, int(position)).data == {
            "positionId": position,
            "userId": str(hospital.chen.user_id),
            "title": "导诊",
            "name": "陈医生",
            "photo": "",
            "department": "呼吸内科",
            "onDuty": False,
        }
    help_desk.set_duty(position)
    assert get_card(hospital.lin, position).data["onDuty"] is True


def test_unknown_post_or_disabled_holder_is_not_found(
    hospital: Hospital, help_desk: HelpDesk, other_hospital: Hospital
) -> None:
    theirs = HelpDesk(other_hospital).create_post(other_hospital.desk)
    position = help_desk.create_post(hospital.chen)
    disable_staff(hospital, hospital.chen)
    for one in (theirs, position, "999999999"):
        assert (get_card(hospital.lin, one).status, get_card(hospital.lin, one).error) == (404, "岗位不存在")
        assert open_conversation(hospital.lin, one).status == 404


def test_first_contact_creates_one_conversation_with_both_cards(
    hospital: Hospital, help_desk: HelpDesk, lin: Person, chen: Person
) -> None:
    theirs, own = help_desk.create_post(chen), help_desk.create_post(hospital.desk)
    opened = open_conversation(lin, theirs).data
    assert (opened["mine"]["positionId"], opened["mine"]["name"], opened["yours"]["name"]) == ("0", "林小雨", "陈医生")
    assert open_conversation(lin, theirs).data["sessionId"] == opened["sessionId"]
    add_message(lin, "您好", receiveId=opened["sessionId"])
    assert list_contents(find_messages(chen, 2, sendId=lin.user_id)) == ["您好"]
    colleague = open_conversation(hospital.desk, theirs, mine=own).data
    assert (colleague["mine"]["positionId"], colleague["sessionId"] == opened["sessionId"]) == (own, False)
    back = open_conversation(chen, own, mine=theirs).data
    assert (back["sessionId"], back["mine"]) == (colleague["sessionId"], colleague["yours"])
    assert len(list_rows("chats", hospital)) == 2


def test_conversation_with_own_post_is_a_conflict(hospital: Hospital, help_desk: HelpDesk) -> None:
    assert open_conversation(hospital.chen, help_desk.create_post(hospital.chen)).status == 409


def test_post_is_unique_for_each_holder_and_can_be_changed(hospital: Hospital, help_desk: HelpDesk, li: Person) -> None:
    position = help_desk.create_post(li, skill="检查预约")
    duplicate = call_messagecenter(hospital.admin, "savePost", userId=li.user_id, title="又一个")
    assert (duplicate.status, duplicate.error) == (409, "userId：已有岗位")
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


@pytest.mark.usefixtures("frozen_clock")
def test_double_click_creates_one_post(hospital: Hospital, li: Person) -> None:
    body: dict[str, Any] = {"userId": li.user_id, "title": "导诊", "cap": 2}
    first = call_messagecenter(hospital.admin, "savePost", **body)
    assert call_messagecenter(hospital.admin, "savePost", **body).data == first.data
    for who, other in ((hospital.admin, {"title": "前台"}), (hospital.admin, {"cap": 3}), (hospital.desk, {})):
        response = call_messagecenter(who, "savePost", **{**body, **other})
        assert (response.status, response.error) == (409, "userId：已有岗位")
    mysql.autocommit.execute(
        "UPDATE posts SET changed_at = changed_at - %(age)s WHERE tenant_id = %(id)s",
        age=5 * clock.SECOND,
        id=hospital.tenant_id,
    )
    assert call_messagecenter(hospital.admin, "savePost", **body).status == 409


def test_concurrent_requests_for_a_post_create_one(hospital: Hospital, li: Person) -> None:
    save = partial(call_messagecenter, hospital.admin, "savePost", userId=li.user_id, title="导诊")
    assert len({response.data["positionId"] for response in run_in_threads([save] * 4)}) == 1


def test_post_holder_must_be_enabled_staff_of_the_tenant(
    hospital: Hospital, help_desk: HelpDesk, other_hospital: Hospital
) -> None:
    theirs = HelpDesk(other_hospital).create_post(other_hospital.desk)
    admin = hospital.admin
    position = help_desk.create_post(hospital.chen)
    disable_staff(hospital, hospital.zhou)
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
    assert get_card(other_hospital.lin, theirs).data["onDuty"] is True


def test_only_service_staff_and_admins_manage_posts(hospital: Hospital, help_desk: HelpDesk) -> None:
    position = help_desk.create_post(hospital.desk)
    for who in (hospital.lin, hospital.chen):
        assert call_messagecenter(who, "savePost", userId=hospital.zhou.user_id, title="x").status == 403
        assert call_messagecenter(who, "setDuty", positionId=position, onDuty=False).status == 403
        assert call_messagecenter(who, "postList").status == 403
    assert help_desk.call_with_key("postList", {"newUserId": hospital.admin.user_id}).status == 401
    assert call_messagecenter(hospital.desk, "setDuty", positionId=position, onDuty=False).status == 200


def test_agent_off_duty_keeps_open_sessions_and_gets_no_new_ones(
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
def test_invalid_field_is_rejected_with_its_name(
    hospital: Hospital, what: str, fields: dict[str, Any], why: str
) -> None:
    response = call_messagecenter(hospital.admin, what, **fields)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, why)
    assert list_rows("posts", hospital) == []
