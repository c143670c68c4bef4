"""Template messages about doctors' replies: one for each reply or series of replies that the patient leaves unread."""

import json
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.consult import store, unread_reminder
from chalicelib.messaging import log
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.wechat_account.templates import TemplateKind
from chalicelib.wechat_account.unread_replies import UNREAD_NOTIFICATION_DELAY
from devstack.demo import wechat_account
from devstack.fakes.wechat import WeChat
from tests.support.booking_client import BookingDepartment, list_rows
from tests.support.consult_client import (
    create_session,
    list_as_doctor,
    list_as_patient,
    send_as_doctor,
    send_as_patient,
    send_picture_as_doctor,
    send_picture_as_patient,
    upload_picture,
)
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import create_conversation_of, send
from tests.support.helpdesk_client import add_message
from tests.support.wechat_client import SITE_URL
from tests.support.wechat_notifications import LIN_OPENID, get_field_values, save_template_id

pytestmark = [pytest.mark.usefixtures("department"), pytest.mark.store]


def list_reply_jobs(hospital: Hospital) -> list[dict[str, Any]]:
    return [json.loads(row["payload"]) for row in list_rows("outbox", hospital) if row["job"] == "wechat_unread_reply"]


def run_reply_jobs(hospital: Hospital) -> None:
    for payload in list_reply_jobs(hospital):
        unread_reminder.notify_unread_reply(hospital.tenant_id, payload)


@pytest.fixture
def session_no(lin: Person, chen: Person) -> str:
    """A consultation in which Lin has written and then left."""
    return str(send_as_patient(lin, chen, "我发烧了").data["session_no"])


def test_reply_sends_a_message(hospital: Hospital, session_no: str, chen: Person, wechat: WeChat) -> None:
    send_as_doctor(chen, session_no, "多少度？")
    assert wechat.sent == [], "the request itself calls WeChat"
    run_reply_jobs(hospital)
    [message] = wechat.sent
    assert (message["touser"], message["url"]) == (LIN_OPENID, f"{SITE_URL}/chat")
    assert message["template_id"] == wechat_account.TEMPLATE_IDS[TemplateKind.DOCTOR_REPLY]
    assert get_field_values(message)["thing1"] == "陈医生"
    assert "多少度" not in json.dumps(message, ensure_ascii=False), "the reply's text is not sent to WeChat"


def test_message_is_sent_after_a_minute(
    session_no: str, hospital: Hospital, chen: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    mysql.autocommit.execute("DELETE FROM outbox")
    send_as_doctor(chen, session_no, "多少度？")
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 0
    later = clock.now() + UNREAD_NOTIFICATION_DELAY + clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (outbox.run_due_jobs(), outbox.run_due_jobs(Queue.EXTERNAL)) == (0, 1)
    assert len(wechat.sent) == len(list_reply_jobs(hospital)) == 1


def test_patient_who_has_read_the_reply_gets_no_message(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, wechat: WeChat
) -> None:
    send_as_doctor(chen, session_no, "多少度？")
    list_as_patient(lin, session_no)
    run_reply_jobs(hospital)
    assert wechat.sent == []


def test_patient_who_has_written_since_gets_no_message(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, wechat: WeChat
) -> None:
    send_as_doctor(chen, session_no, "多少度？")
    send_as_patient(lin, chen, "三十九度")
    run_reply_jobs(hospital)
    assert wechat.sent == []


def test_further_unread_replies_send_no_further_message(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, wechat: WeChat
) -> None:
    for text in ("多少度？", "咳嗽吗？", "来医院吧"):
        send_as_doctor(chen, session_no, text)
    assert len(list_reply_jobs(hospital)) == 1
    for _ in range(2):
        run_reply_jobs(hospital)
    send_as_doctor(chen, session_no, "在吗？")
    run_reply_jobs(hospital)
    assert len(wechat.sent) == 1
    list_as_patient(lin, session_no)
    send_as_doctor(chen, session_no, "好些了吗？")
    run_reply_jobs(hospital)
    assert len(wechat.sent) == 2
    send_as_patient(lin, chen, "好多了")
    send_as_doctor(chen, session_no, "那就好")
    run_reply_jobs(hospital)
    assert len(wechat.sent) == 3


def test_job_of_a_read_reply_does_not_report_a_later_one(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, wechat: WeChat
) -> None:
    """Each job concerns its own reply; a job whose reply was read sends nothing."""
    list_as_patient(lin, session_no)
    for text in ("多少度？", "咳嗽吗？"):
        send_as_doctor(chen, session_no, text)
        list_as_patient(lin, session_no)
    send_as_doctor(chen, session_no, "来医院吧")
    assert len(list_reply_jobs(hospital)) == 3
    run_reply_jobs(hospital)
    assert len(wechat.sent) == 1


def test_repeated_send_of_a_reply_sends_one_message(
    hospital: Hospital, session_no: str, chen: Person, wechat: WeChat
) -> None:
    for _ in range(2):
        send_as_doctor(chen, session_no, "多少度？", key="k")
    run_reply_jobs(hospital)
    assert len(wechat.sent) == 1


def test_reply_through_the_gateway_sends_a_message(
    hospital: Hospital, session_no: str, chen: Person, wechat: WeChat
) -> None:
    assert send(chen, session_no, "多少度？").status == 200
    run_reply_jobs(hospital)
    assert len(wechat.sent) == 1


def test_reply_through_the_messagecenter_enqueues_a_job(hospital: Hospital, session_no: str, chen: Person) -> None:
    assert add_message(chen, "多少度？", receiveId=session_no).status == 200
    assert len(list_reply_jobs(hospital)) == 1


def test_rejected_reply_enqueues_no_job(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, zhou: Person
) -> None:
    """SQL variables of the connection's previous statement must not enqueue a job for that conversation."""
    send_as_doctor(chen, session_no, "多少度？")
    list_as_patient(lin, session_no)
    assert send_as_doctor(zhou, session_no, "多少度？").status == 404
    assert len(list_reply_jobs(hospital)) == 1


def test_message_outside_consultations_enqueues_no_job(
    hospital: Hospital, lin: Person, wang: Person, chen: Person
) -> None:
    assert send(chen, create_conversation_of(hospital, chen, lin, wang), "大家好").status == 200
    assert list_reply_jobs(hospital) == []


def test_picture_counts_as_a_reply(hospital: Hospital, session_no: str, lin: Person, chen: Person) -> None:
    send_picture_as_patient(lin, chen, upload_picture(lin, session_no))
    assert list_reply_jobs(hospital) == []
    send_picture_as_doctor(chen, session_no, upload_picture(chen, session_no))
    assert len(list_reply_jobs(hospital)) == 1


def test_withdrawn_reply_sends_no_message(hospital: Hospital, session_no: str, chen: Person, wechat: WeChat) -> None:
    sent = send_as_doctor(chen, session_no, "多少度？").data["msg_id"]
    log.withdraw(chen.tenant_id, session_no, sent, chen.principal)
    run_reply_jobs(hospital)
    assert wechat.sent == []


def test_remaining_reply_sends_one_message_after_another_is_withdrawn(
    hospital: Hospital, session_no: str, chen: Person, wechat: WeChat
) -> None:
    sent = send_as_doctor(chen, session_no, "多少度？").data["msg_id"]
    send_as_doctor(chen, session_no, "咳嗽吗？")
    log.withdraw(chen.tenant_id, session_no, sent, chen.principal)
    send_as_doctor(chen, session_no, "来医院吧")
    assert len(list_reply_jobs(hospital)) == 1
    run_reply_jobs(hospital)
    assert len(wechat.sent) == 1


def test_job_of_another_hospital_finds_nothing(
    hospital: Hospital, other_hospital: Hospital, session_no: str, chen: Person, wechat: WeChat
) -> None:
    send_as_doctor(chen, session_no, "多少度？")
    [payload] = list_reply_jobs(hospital)
    assert store.find_unread_reply(mysql.autocommit, other_hospital.tenant_id, **payload) is None
    unread_reminder.notify_unread_reply(other_hospital.tenant_id, payload)
    assert wechat.sent == []


def test_message_of_a_patient_enqueues_no_job(hospital: Hospital, session_no: str, lin: Person, chen: Person) -> None:
    send_as_patient(lin, chen, "还有咳嗽")
    list_as_doctor(chen, session_no)
    assert list_reply_jobs(hospital) == []


def test_each_consultation_sends_a_message(
    hospital: Hospital, session_no: str, lin: Person, chen: Person, zhou: Person, wechat: WeChat
) -> None:
    other = create_session(lin, zhou)
    send_as_doctor(chen, session_no, "多少度？")
    send_as_doctor(zhou, other, "该复查了")
    run_reply_jobs(hospital)
    assert sorted(get_field_values(one)["thing1"] for one in wechat.sent) == ["周医生", "陈医生"]


def test_hospital_without_template_enqueues_no_job(
    department: BookingDepartment, session_no: str, chen: Person, other_hospital: Hospital
) -> None:
    save_template_id(department.hospital, TemplateKind.DOCTOR_REPLY, "")
    assert send_as_doctor(chen, session_no, "多少度？").status == 200
    assert (
        send_as_doctor(other_hospital.chen, create_session(other_hospital.lin, other_hospital.chen), "您好").status
        == 200
    )
    assert list_reply_jobs(department.hospital) == list_reply_jobs(other_hospital) == []
