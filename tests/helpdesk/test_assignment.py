"""obtainShunt and createChatSession at the help desk: which agent is assigned, and who waits."""

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import departments
from tests.support import factories
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    HelpDesk,
    add_message,
    call_messagecenter,
    close_session,
    create_patients,
    create_session,
    find_messages,
    get_agent_or_place,
    get_message_count,
    list_contents,
    list_rows,
    request_assignment,
)

pytestmark = pytest.mark.store


def test_agent_with_fewest_sessions_then_longest_idle_is_assigned(
    hospital: Hospital, help_desk: HelpDesk, li: Person, sun: Person
) -> None:
    help_desk.create_post(li, cap=3), help_desk.create_post(sun, cap=3)
    assigned = [get_agent_or_place(request_assignment(one)) for one in create_patients(hospital, 6)]
    assert assigned == ["客服小李", "客服小孙"] * 3
    assert help_desk.list_open_counts() == {"客服小李": 3, "客服小孙": 3}


def test_last_agent_is_preferred_to_idle_agents(
    hospital: Hospital, help_desk: HelpDesk, li: Person, sun: Person, lin: Person, wang: Person
) -> None:
    help_desk.create_post(li), help_desk.create_post(sun)
    session = request_assignment(lin).data["sessionId"]
    close_session(lin, session)
    assert get_agent_or_place(request_assignment(wang)) == "客服小孙"
    assert get_agent_or_place(request_assignment(create_patients(hospital, 1)[0])) == "客服小李"
    assert get_agent_or_place(request_assignment(lin)) == "客服小李", "although this agent has more open sessions"
    assert request_assignment(lin).data["sessionId"] == session, "a patient has one conversation, with whichever agent"


def test_last_agent_off_duty_is_not_assigned(help_desk: HelpDesk, li: Person, sun: Person, lin: Person) -> None:
    first, _ = help_desk.create_post(li, cap=1), help_desk.create_post(sun, cap=5)
    close_session(lin, request_assignment(lin).data["sessionId"])
    help_desk.set_duty(first, on=False)
    session = request_assignment(lin)
    assert get_agent_or_place(session) == "客服小孙"
    add_message(sun, "您好", receiveId=lin.user_id)
    assert find_messages(li, 3, sendId=lin.user_id).status == 404, "the former agent is no participant any more"
    assert list_contents(find_messages(sun, 3, sendId=lin.user_id)) == ["您好", "会话已结束"]


def test_patient_waits_with_a_position_if_no_agent_is_available(
    hospital: Hospital, help_desk: HelpDesk, li: Person, lin: Person, wang: Person
) -> None:
    assert get_agent_or_place(request_assignment(lin)) == "1", "the hospital has no posts"
    help_desk.create_post(li, cap=1)
    third = create_patients(hospital, 1)[0]
    assert [get_agent_or_place(request_assignment(one)) for one in (wang, third)] == ["1", "2"]
    assert [get_agent_or_place(request_assignment(one)) for one in (third, wang, lin)] == ["2", "1", "客服小李"], (
        "repeated requests change nothing"
    )
    assert help_desk.list_open_counts() == {"客服小李": 1}


def test_patient_requests_a_skill_or_a_department(
    hospital: Hospital, help_desk: HelpDesk, li: Person, sun: Person, lin: Person, wang: Person
) -> None:
    dept = create_department(hospital, "放射科")
    help_desk.create_post(li, cap=1, skill="检查预约"), help_desk.create_post(sun, cap=5, deptId=dept)
    assert get_agent_or_place(request_assignment(lin, "检查预约")) == "客服小李"
    assert get_agent_or_place(request_assignment(wang, "检查预约")) == "1", "the other agent does not have the skill"
    third, fourth, fifth = create_patients(hospital, 3)
    assert get_agent_or_place(request_assignment(third, "放射科")) == "客服小孙", (
        "a patient who waits for another skill does not block"
    )
    assert get_agent_or_place(request_assignment(fourth, str(dept))) == "客服小孙"
    assert get_agent_or_place(request_assignment(fifth, "没有这个")) == "客服小孙", "an unknown skill is ignored"
    assert get_agent_or_place(request_assignment(wang, "")) == "客服小孙", "the requested skill can be changed"


def create_department(hospital: Hospital, name: str) -> int:
    return mysql.run_transaction(lambda tx: departments.create(tx, hospital.tenant_id, name))


def test_higher_cap_or_start_of_duty_assigns_waiting_patients(
    hospital: Hospital, help_desk: HelpDesk, li: Person, sun: Person
) -> None:
    position = help_desk.create_post(li, cap=1)
    waiting = create_patients(hospital, 4)
    assert [get_agent_or_place(request_assignment(one)) for one in waiting] == ["客服小李", "1", "2", "3"]
    call_messagecenter(hospital.admin, "savePost", positionId=position, title="导诊", cap=2)
    help_desk.create_post(sun, cap=1)
    assert help_desk.list_open_counts() == {"客服小李": 2, "客服小孙": 1}
    assert get_agent_or_place(request_assignment(waiting[3])) == "1"


def test_patient_of_disabled_agent_is_assigned_to_another(
    hospital: Hospital, help_desk: HelpDesk, li: Person, sun: Person, lin: Person
) -> None:
    help_desk.create_post(sun)
    request_assignment(lin)
    help_desk.create_post(li, cap=1)
    post("/pati_service/manager_service/staff_disable", hospital.admin.token, user_id=str(sun.user_id))
    assert get_agent_or_place(request_assignment(lin)) == "客服小李"


def test_staff_serve_a_patient_by_name(
    hospital: Hospital, help_desk: HelpDesk, li: Person, sun: Person, lin: Person
) -> None:
    request_assignment(lin)
    add_message(lin, "有人吗", ownType=2)
    assert create_session(li, 3, receiveId=lin.user_id).error == "没有客服岗位，不能接待"
    own_position, _ = help_desk.create_post(li, cap=1, on_duty=False), help_desk.create_post(sun, cap=1, on_duty=False)
    session = create_session(li, 3, receiveId=lin.user_id)
    assert get_agent_or_place(session) == "客服小李"
    assert create_session(li, 3, receiveId=lin.user_id).data == session.data
    assert list_contents(find_messages(li, 3, sendId=lin.user_id)) == ["有人吗"]
    assert create_session(li, 3, receiveId=hospital.wang.user_id).error == "接待人数已满"
    help_desk.set_duty(own_position)
    assert create_session(sun, 3, receiveId=lin.user_id).error == "该用户正由其他客服接待"
    help_desk.set_duty(own_position, on=False)
    assert get_agent_or_place(create_session(sun, 3, receiveId=lin.user_id)) == "客服小孙"
    assert help_desk.list_open_counts() == {"客服小李": 0, "客服小孙": 1}
    assert find_messages(li, 3, sendId=lin.user_id).status == 404


def test_doctor_serves_own_patients_and_those_who_ask_the_help_desk(
    hospital: Hospital, help_desk: HelpDesk, chen: Person, lin: Person, wang: Person
) -> None:
    help_desk.create_post(chen, on_duty=False)
    unknown = f"用户不存在，或不是您的患者：{lin.user_id}"
    response = create_session(chen, 3, receiveId=lin.user_id)
    assert (response.status, response.error) == (404, unknown)
    assert [list_rows(table, hospital) for table in ("chats", "conversations")] == [[], []]
    assert get_agent_or_place(request_assignment(lin)) == "1"
    session = create_session(chen, 3, receiveId=lin.user_id)
    assert get_agent_or_place(session) == "陈医生"
    close_session(lin, session.data["sessionId"])
    response = create_session(chen, 3, receiveId=lin.user_id)
    assert (response.status, response.error) == (404, unknown)
    assert help_desk.list_open_counts() == {"陈医生": 0}
    factories.let_treat(chen, lin, wang)
    for patient in (lin, wang):
        assert get_agent_or_place(create_session(chen, 3, receiveId=patient.user_id)) == "陈医生"


def test_nothing_is_created_for_staff_who_cannot_serve(
    hospital: Hospital, help_desk: HelpDesk, li: Person, lin: Person, wang: Person
) -> None:
    assert create_session(li, 3, receiveId=lin.user_id).error == "没有客服岗位，不能接待"
    assert [list_rows(table, hospital) for table in ("chats", "conversations")] == [[], []]
    help_desk.create_post(li, cap=1)
    create_session(li, 3, receiveId=lin.user_id)
    assert create_session(li, 3, receiveId=wang.user_id).error == "接待人数已满"
    assert len(list_rows("chats", hospital)) == 1


def test_only_patients_are_served(
    hospital: Hospital, help_desk: HelpDesk, li: Person, other_hospital: Hospital
) -> None:
    help_desk.create_post(li)
    for who in (hospital.chen, hospital.desk, hospital.admin):
        assert request_assignment(who).status == 403
    for one in (hospital.chen.user_id, other_hospital.lin.user_id, 999_999_999):
        assert create_session(li, 3, receiveId=one).status == 404


def test_help_desk_serves_only_its_own_tenant(hospital: Hospital, other_hospital: Hospital) -> None:
    HelpDesk(other_hospital).create_post(other_hospital.desk)
    assert get_agent_or_place(request_assignment(hospital.lin)) == "1"
    assert HelpDesk(other_hospital).list_open_counts() == {"客服小李": 0}


def disable_staff(hospital: Hospital, who: Person) -> None:
    post("/pati_service/manager_service/staff_disable", hospital.admin.token, user_id=str(who.user_id))


@pytest.mark.parametrize("by_session", [True, False])
def test_message_to_disabled_agent_assigns_another(
    hospital: Hospital, help_desk: HelpDesk, li: Person, sun: Person, lin: Person, by_session: bool
) -> None:
    help_desk.create_post(sun)
    session = request_assignment(lin).data["sessionId"]
    add_message(lin, "有人吗", ownType=2)
    help_desk.create_post(li)
    disable_staff(hospital, sun)
    add_message(lin, "还在吗", **({"receiveId": session} if by_session else {"ownType": 2}))
    assert get_message_count(li) == 2, "messages to the former agent are unread for the new one"
    assert list_contents(find_messages(li, 3, sendId=lin.user_id)) == ["还在吗", "有人吗"]


def test_skill_that_no_agent_has_any_more_is_ignored(
    hospital: Hospital, help_desk: HelpDesk, li: Person, sun: Person, lin: Person, wang: Person
) -> None:
    position = help_desk.create_post(li, skill="检查预约", on_duty=False)
    for one in (lin, wang):
        request_assignment(one, "检查预约")
    call_messagecenter(hospital.admin, "savePost", positionId=position, title="导诊", skill="报告")
    help_desk.create_post(sun, cap=1)
    assert help_desk.list_open_counts() == {"客服小李": 0, "客服小孙": 1}
    assert get_agent_or_place(request_assignment(lin)) == "客服小孙"
    disable_staff(hospital, li)
    third = create_patients(hospital, 1)[0]
    assert get_agent_or_place(request_assignment(third, "报告")) == "2"
    call_messagecenter(hospital.admin, "savePost", positionId=get_position_id(hospital, sun), title="导诊", cap=3)
    assert help_desk.list_open_counts()["客服小孙"] == 3


def get_position_id(hospital: Hospital, holder: Person) -> str:
    [position] = [
        one["positionId"]
        for one in call_messagecenter(hospital.admin, "postList").data
        if one["userId"] == str(holder.user_id)
    ]
    return str(position)


def test_requested_skill_lasts_until_another_is_requested(
    help_desk: HelpDesk, li: Person, sun: Person, lin: Person
) -> None:
    help_desk.create_post(li, skill="检查预约", on_duty=False), help_desk.create_post(sun)
    assert get_agent_or_place(request_assignment(lin, "检查预约")) == "1"
    assert get_agent_or_place(create_session(lin, 3, customerserviceName="")) == "1"
    add_message(lin, "有人吗", ownType=2)
    assert help_desk.list_open_counts() == {"客服小李": 0, "客服小孙": 0}
    assert get_agent_or_place(create_session(lin, 3, customerserviceName="随便")) == "客服小孙"
