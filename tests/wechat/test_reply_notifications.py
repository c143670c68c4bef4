"""A doctor's answer is told at the patient's WeChat where the patient is away, once for what they leave unread."""

import json
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.consult import store, unread_reminder
from chalicelib.messaging import log
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.wechat_account.unread_replies import UNREAD_NOTIFICATION_DELAY
from devstack.demo import wechat_account
from devstack.fakes.wechat import WeChat
from tests.consult.test_send_res_msg import show, show_as_doctor, uploaded
from tests.support.booking_client import BookingDepartment, list_rows
from tests.support.consult_client import (
    create_session,
    list_as_doctor,
    list_as_patient,
    send_as_doctor,
    send_as_patient,
)
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import create_conversation_of, send
from tests.support.helpdesk_client import add_message
from tests.support.wechat_client import SITE_URL
from tests.support.wechat_notifications import LIN_OPENID, get_field_values, save_template_id

pytestmark = [pytest.mark.usefixtures("department"), pytest.mark.store]


def promised(hospital: Hospital) -> list[dict[str, Any]]:
    return [json.loads(row["payload"]) for row in list_rows("outbox", hospital) if row["job"] == "wechat_unread_reply"]


def deliver(hospital: Hospital) -> None:
    for payload in promised(hospital):
        unread_reminder.notify_unread_reply(hospital.tenant_id, payload)


@pytest.fixture
def session_no(lin: Person, chen: Person) -> str:
    """Lin has asked, and is away."""
    return str(send_as_patient(lin, chen, "我发烧了").data["session_no"])


def test_lin_is_told_that_doctor_chen_has_answered(
    hospital: Hospital, session_no: str, chen: Person, wechat: WeChat
) -> None:
    send_as_doctor(chen, session_no, "多少度？")
    assert wechat.sent == [], "the request itself asks WeChat nothing"
    deliver(hospital)
    [message] = wechat.sent
    assert (message["touser"], message["url"]) == (LIN_OPENID, f"{SITE_URL}/chat")
    assert message["template_id"] == wechat_account.TEMPLATE_IDS[5]
    assert get_field_values(message)["thing1"] == "陈医生"
    assert "多少度" not in json.dumps(message, ensure_ascii=False), "what was said stays between the two"


def test_she_has_a_minute_to_read_it(
    session_no: str, hospital: Hospital, chen: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    mysql.autocommit.execute("DELETE FROM outbox")
    send_as_doctor(chen, session_no, "多少度？")
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 0
    later = clock.now() + UNREAD_NOTIFICATION_DELAY + clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (outbox.run_due_jobs(), outbox.run_due_jobs(Queue.EXTERNAL)) == (0, 1)
    assert len(wechat.sent) == len(promised(hospital)) == 1


def test_who_reads_meanwhile_is_told_nothing(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, wechat: WeChat
) -> None:
    send_as_doctor(chen, session_no, "多少度？")
    list_as_patient(lin, session_no)
    deliver(hospital)
    assert wechat.sent == []


def test_who_writes_meanwhile_is_told_nothing(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, wechat: WeChat
) -> None:
    send_as_doctor(chen, session_no, "多少度？")
    send_as_patient(lin, chen, "三十九度")
    deliver(hospital)
    assert wechat.sent == []


def test_several_answers_are_one_message_until_she_reads(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, wechat: WeChat
) -> None:
    for text in ("多少度？", "咳嗽吗？", "来医院吧"):
        send_as_doctor(chen, session_no, text)
    assert len(promised(hospital)) == 1
    for _ in range(2):
        deliver(hospital)
    send_as_doctor(chen, session_no, "在吗？")
    deliver(hospital)
    assert len(wechat.sent) == 1
    list_as_patient(lin, session_no)
    send_as_doctor(chen, session_no, "好些了吗？")
    deliver(hospital)
    assert len(wechat.sent) == 2
    send_as_patient(lin, chen, "好多了")
    send_as_doctor(chen, session_no, "那就好")
    deliver(hospital)
    assert len(wechat.sent) == 3


def test_what_was_read_is_not_told_of_by_what_came_after(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, wechat: WeChat
) -> None:
    """Each job speaks for its own: those of one that she has read are late."""
    list_as_patient(lin, session_no)
    for text in ("多少度？", "咳嗽吗？"):
        send_as_doctor(chen, session_no, text)
        list_as_patient(lin, session_no)
    send_as_doctor(chen, session_no, "来医院吧")
    assert len(promised(hospital)) == 3
    deliver(hospital)
    assert len(wechat.sent) == 1


def test_an_answer_sent_again_is_one(hospital: Hospital, session_no: str, chen: Person, wechat: WeChat) -> None:
    for _ in range(2):
        send_as_doctor(chen, session_no, "多少度？", key="k")
    deliver(hospital)
    assert len(wechat.sent) == 1


def test_an_answer_by_the_gateway_is_an_answer(
    hospital: Hospital, session_no: str, chen: Person, wechat: WeChat
) -> None:
    assert send(chen, session_no, "多少度？").status == 200
    deliver(hospital)
    assert len(wechat.sent) == 1


def test_an_answer_by_the_messagecenter_is_an_answer(hospital: Hospital, session_no: str, chen: Person) -> None:
    assert add_message(chen, "多少度？", receiveId=session_no).status == 200
    assert len(promised(hospital)) == 1


def test_an_answer_that_was_refused_promises_nothing(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, zhou: Person
) -> None:
    """Not even for the conversation that the same connection wrote to before."""
    send_as_doctor(chen, session_no, "多少度？")
    list_as_patient(lin, session_no)
    assert send_as_doctor(zhou, session_no, "多少度？").status == 404
    assert len(promised(hospital)) == 1


def test_what_a_doctor_says_elsewhere_is_no_answer(hospital: Hospital, lin: Person, wang: Person, chen: Person) -> None:
    assert send(chen, create_conversation_of(hospital, chen, lin, wang), "大家好").status == 200
    assert promised(hospital) == []


def test_a_picture_is_an_answer(hospital: Hospital, session_no: str, lin: Person, chen: Person) -> None:
    show(lin, chen, uploaded(lin, session_no))
    assert promised(hospital) == []
    show_as_doctor(chen, session_no, uploaded(chen, session_no))
    assert len(promised(hospital)) == 1


def test_one_that_was_withdrawn_is_told_no_more(
    hospital: Hospital, session_no: str, chen: Person, wechat: WeChat
) -> None:
    sent = send_as_doctor(chen, session_no, "多少度？").data["msg_id"]
    log.withdraw(chen.tenant_id, session_no, sent, chen.principal)
    deliver(hospital)
    assert wechat.sent == []


def test_what_was_promised_by_another_hospital_is_nothing_here(
    hospital: Hospital, other_hospital: Hospital, session_no: str, chen: Person, wechat: WeChat
) -> None:
    send_as_doctor(chen, session_no, "多少度？")
    [payload] = promised(hospital)
    assert store.find_unread_reply(mysql.autocommit, other_hospital.tenant_id, **payload) is None
    unread_reminder.notify_unread_reply(other_hospital.tenant_id, payload)
    assert wechat.sent == []


def test_a_doctor_is_told_nothing_by_wechat(hospital: Hospital, session_no: str, lin: Person, chen: Person) -> None:
    send_as_patient(lin, chen, "还有咳嗽")
    list_as_doctor(chen, session_no)
    assert promised(hospital) == []


def test_each_session_is_told_of(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, zhou: Person, wechat: WeChat
) -> None:
    other = create_session(lin, zhou)
    send_as_doctor(chen, session_no, "多少度？")
    send_as_doctor(zhou, other, "该复查了")
    deliver(hospital)
    assert sorted(get_field_values(one)["thing1"] for one in wechat.sent) == ["周医生", "陈医生"]


def test_a_hospital_without_a_template_promises_nothing(
    department: BookingDepartment, session_no: str, chen: Person, other_hospital: Hospital
) -> None:
    save_template_id(department.hospital, 5, "")
    assert send_as_doctor(chen, session_no, "多少度？").status == 200
    assert (
        send_as_doctor(other_hospital.chen, create_session(other_hospital.lin, other_hospital.chen), "您好").status
        == 200
    )
    assert promised(department.hospital) == promised(other_hospital) == []
