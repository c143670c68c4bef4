"""obtainShunt and createChatSession at the desk: who serves whom, and who waits."""

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import departments
from tests.helpdesk.desk import (
    Desk,
    add,
    ask,
    close,
    contents,
    count,
    create,
    find,
    patients,
    served_by,
    shunt,
)
from tests.people import Hospital, Person
from tests.wire import post

pytestmark = pytest.mark.store


def test_who_serves_the_fewest_is_chosen_then_who_is_idle_longest(
    hospital: Hospital, desk: Desk, li: Person, sun: Person
) -> None:
    desk.post(li, cap=3), desk.post(sun, cap=3)
    served = [served_by(shunt(one)) for one in patients(hospital, 6)]
    assert served == ["客服小李", "客服小孙"] * 3
    assert desk.open() == {"客服小李": 3, "客服小孙": 3}


def test_who_served_last_serves_again_though_others_are_idler(
    hospital: Hospital, desk: Desk, li: Person, sun: Person, lin: Person, wang: Person
) -> None:
    desk.post(li), desk.post(sun)
    session = shunt(lin).data["sessionId"]
    close(lin, session)
    assert served_by(shunt(wang)) == "客服小孙"
    assert served_by(shunt(patients(hospital, 1)[0])) == "客服小李"
    assert served_by(shunt(lin)) == "客服小李", "and has more open than the other now"
    assert shunt(lin).data["sessionId"] == session, "it is one conversation, whoever serves"


def test_who_served_last_and_is_full_or_off_duty_does_not(desk: Desk, li: Person, sun: Person, lin: Person) -> None:
    first, _ = desk.post(li, cap=1), desk.post(sun, cap=5)
    close(lin, shunt(lin).data["sessionId"])
    desk.duty(first, on=False)
    session = shunt(lin)
    assert served_by(session) == "客服小孙"
    add(sun, "您好", receiveId=lin.user_id)
    assert find(li, 3, sendId=lin.user_id).status == 404, "who no longer serves reads no more"
    assert contents(find(sun, 3, sendId=lin.user_id)) == ["您好", "会话已结束"]


def test_a_patient_waits_where_nobody_has_room_and_is_told_the_place(
    hospital: Hospital, desk: Desk, li: Person, lin: Person, wang: Person
) -> None:
    assert served_by(shunt(lin)) == "1", "there is no desk at all"
    desk.post(li, cap=1)
    third = patients(hospital, 1)[0]
    assert [served_by(shunt(one)) for one in (wang, third)] == ["1", "2"]
    assert [served_by(shunt(one)) for one in (third, wang, lin)] == ["2", "1", "客服小李"], (
        "asking again changes nothing"
    )
    assert desk.open() == {"客服小李": 1}


def test_a_patient_asks_for_a_skill_or_a_department(
    hospital: Hospital, desk: Desk, li: Person, sun: Person, lin: Person, wang: Person
) -> None:
    dept = department(hospital, "放射科")
    desk.post(li, cap=1, skill="检查预约"), desk.post(sun, cap=5, deptId=dept)
    assert served_by(shunt(lin, "检查预约")) == "客服小李"
    assert served_by(shunt(wang, "检查预约")) == "1", "the other does not do that"
    third, fourth, fifth = patients(hospital, 3)
    assert served_by(shunt(third, "放射科")) == "客服小孙", "who waits for another does not hold them up"
    assert served_by(shunt(fourth, str(dept))) == "客服小孙"
    assert served_by(shunt(fifth, "没有这个")) == "客服小孙", "what nobody does, anybody may"
    assert served_by(shunt(wang, "")) == "客服小孙", "a wish may change"


def department(hospital: Hospital, name: str) -> int:
    return mysql.run_transaction(lambda tx: departments.create(tx, hospital.tenant_id, name))


def test_a_higher_cap_or_coming_on_duty_lets_in_who_waits(
    hospital: Hospital, desk: Desk, li: Person, sun: Person
) -> None:
    position = desk.post(li, cap=1)
    waiting = patients(hospital, 4)
    assert [served_by(shunt(one)) for one in waiting] == ["客服小李", "1", "2", "3"]
    ask(hospital.admin, "savePost", positionId=position, title="导诊", cap=2)
    desk.post(sun, cap=1)
    assert desk.open() == {"客服小李": 2, "客服小孙": 1}
    assert served_by(shunt(waiting[3])) == "1"


def test_who_was_locked_out_serves_nobody_and_loses_who_comes_again(
    hospital: Hospital, desk: Desk, li: Person, sun: Person, lin: Person
) -> None:
    desk.post(sun)
    shunt(lin)
    desk.post(li, cap=1)
    post("/pati_service/manager_service/staff_disable", hospital.admin.token, user_id=str(sun.user_id))
    assert served_by(shunt(lin)) == "客服小李"


def test_staff_take_a_patient_themselves(hospital: Hospital, desk: Desk, li: Person, sun: Person, lin: Person) -> None:
    shunt(lin)
    add(lin, "有人吗", ownType=2)
    assert create(li, 3, receiveId=lin.user_id).error == "没有客服岗位，不能接待"
    mine, _ = desk.post(li, cap=1, on_duty=False), desk.post(sun, cap=1, on_duty=False)
    taken = create(li, 3, receiveId=lin.user_id)
    assert served_by(taken) == "客服小李"
    assert create(li, 3, receiveId=lin.user_id).data == taken.data
    assert contents(find(li, 3, sendId=lin.user_id)) == ["有人吗"]
    assert create(li, 3, receiveId=hospital.wang.user_id).error == "接待人数已满"
    desk.duty(mine)
    assert create(sun, 3, receiveId=lin.user_id).error == "该用户正由其他客服接待"
    desk.duty(mine, on=False)
    assert served_by(create(sun, 3, receiveId=lin.user_id)) == "客服小孙"
    assert desk.open() == {"客服小李": 0, "客服小孙": 1}
    assert find(li, 3, sendId=lin.user_id).status == 404


def test_only_patients_are_served(hospital: Hospital, desk: Desk, li: Person, elsewhere: Hospital) -> None:
    desk.post(li)
    for who in (hospital.chen, hospital.desk, hospital.admin):
        assert shunt(who).status == 403
    for one in (hospital.chen.user_id, elsewhere.lin.user_id, 999_999_999):
        assert create(li, 3, receiveId=one).status == 404


def test_the_desk_of_one_hospital_serves_no_other(hospital: Hospital, elsewhere: Hospital) -> None:
    Desk(elsewhere).post(elsewhere.desk)
    assert served_by(shunt(hospital.lin)) == "1"
    assert Desk(elsewhere).open() == {"客服小李": 0}


def disabled(hospital: Hospital, who: Person) -> None:
    post("/pati_service/manager_service/staff_disable", hospital.admin.token, user_id=str(who.user_id))


@pytest.mark.parametrize("by_session", [True, False])
def test_who_writes_to_somebody_who_was_locked_out_is_given_to_another(
    hospital: Hospital, desk: Desk, li: Person, sun: Person, lin: Person, by_session: bool
) -> None:
    desk.post(sun)
    session = shunt(lin).data["sessionId"]
    add(lin, "有人吗", ownType=2)
    desk.post(li)
    disabled(hospital, sun)
    add(lin, "还在吗", **({"receiveId": session} if by_session else {"ownType": 2}))
    assert count(li) == 2, "what the other was told is for them to read"
    assert contents(find(li, 3, sendId=lin.user_id)) == ["还在吗", "有人吗"]


def test_who_waits_for_what_nobody_does_any_more_waits_for_anybody(
    hospital: Hospital, desk: Desk, li: Person, sun: Person, lin: Person, wang: Person
) -> None:
    position = desk.post(li, skill="检查预约", on_duty=False)
    for one in (lin, wang):
        shunt(one, "检查预约")
    ask(hospital.admin, "savePost", positionId=position, title="导诊", skill="报告")
    desk.post(sun, cap=1)
    assert desk.open() == {"客服小李": 0, "客服小孙": 1}
    assert served_by(shunt(lin)) == "客服小孙"
    disabled(hospital, li)
    third = patients(hospital, 1)[0]
    assert served_by(shunt(third, "报告")) == "2"
    ask(hospital.admin, "savePost", positionId=desk_of(hospital, sun), title="导诊", cap=3)
    assert desk.open()["客服小孙"] == 3


def desk_of(hospital: Hospital, holder: Person) -> str:
    [position] = [
        one["positionId"] for one in ask(hospital.admin, "postList").data if one["userId"] == str(holder.user_id)
    ]
    return str(position)


def test_a_wish_lasts_until_another_is_said(desk: Desk, li: Person, sun: Person, lin: Person) -> None:
    desk.post(li, skill="检查预约", on_duty=False), desk.post(sun)
    assert served_by(shunt(lin, "检查预约")) == "1"
    assert served_by(create(lin, 3, customerserviceName="")) == "1"
    add(lin, "有人吗", ownType=2)
    assert desk.open() == {"客服小李": 0, "客服小孙": 0}
    assert served_by(create(lin, 3, customerserviceName="随便")) == "客服小孙"
