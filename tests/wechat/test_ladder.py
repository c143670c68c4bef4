"""What must arrive goes from WeChat to SMS to the call list, each step once."""

from functools import partial

import pytest

from app import release_unpaid
from chalicelib.adapters import mysql
from chalicelib.booking.jobs import sms_messages, wechat_messages
from chalicelib.notifications import delivery_states
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from devstack.fakes import wechat_callbacks
from devstack.fakes.wechat import WeChat
from devstack.fakes.wechat_callbacks import CallbackTarget
from tests.support import ladder_client
from tests.support.booking_client import BookingDepartment, get_iso_date, list_rows
from tests.support.factories import Hospital, Person
from tests.support.inbox_client import list_texts
from tests.support.ladder_client import (
    SentSms,
    Time,
    list_states,
    provider,
    run_jobs,
    time,
)
from tests.support.stopped_booking import STOPPED, report_result, stop, stopped, target
from tests.support.threads import run_in_threads
from tests.support.wechat_callback_client import report, set_up
from tests.support.wechat_notifications import LIN_OPENID, SEND_PATH

__all__ = ["provider", "stopped", "target", "time"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("time", "provider")]


@pytest.mark.usefixtures("stopped")
def test_reported_success_ends_the_way(
    target: CallbackTarget, department: BookingDepartment, provider: SentSms, time: Time
) -> None:
    assert list_states(department) == [(STOPPED, "sent", "")]
    report_result(target)
    time.wait(10)
    run_jobs()
    assert list_states(department) == [(STOPPED, "arrived", "")]
    assert provider.sent == []


@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize("status", ["failed:user block", "failed: system failed"])
def test_reported_failure_goes_on_to_sms_at_once(
    target: CallbackTarget, department: BookingDepartment, lin: Person, provider: SentSms, time: Time, status: str
) -> None:
    report_result(target, status)
    [(phone, message)] = provider.sent
    assert (phone, message.sign_name, message.template_id) == (lin.phone, "仁和医院", "SMS_1102")
    assert message.variables == {
        "patient": "林*",
        "time": f"{get_iso_date(1)} 09:00",
        "dept": "呼吸内科",
        "doctor": "陈医生",
        "before": "无",
        "until": "无",
        "reason": "医生外出",
    }
    assert list_states(department) == [(STOPPED, "texted", "")]
    time.wait(10)
    run_jobs()
    assert len(provider.sent) == 1


@pytest.mark.usefixtures("stopped")
def test_unconfirmed_message_goes_on_to_sms_after_five_minutes(
    target: CallbackTarget, department: BookingDepartment, provider: SentSms, time: Time
) -> None:
    time.wait(4.9)
    run_jobs()
    assert provider.sent == []
    time.wait(0.2)
    run_jobs()
    assert len(provider.sent) == 1
    report_result(target, "failed:user block")
    report_result(target)
    assert (len(provider.sent), list_states(department)) == (1, [(STOPPED, "texted", "")]), "a late report"


def test_accepted_message_has_arrived_where_wechat_does_not_report(
    department: BookingDepartment, lin: Person, provider: SentSms, time: Time
) -> None:
    ladder_client.save_templates(department.hospital)
    department.save_rules(hold_hours=0)
    stop(department, lin)
    assert list_states(department) == [(STOPPED, "arrived", "")]
    time.wait(10)
    run_jobs()
    assert provider.sent == []


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("errcode", [43004, 40003, 47003, 43101])
def test_message_that_wechat_rejects_goes_on_to_sms_at_once(
    department: BookingDepartment, lin: Person, wechat: WeChat, provider: SentSms, errcode: int
) -> None:
    wechat.failures[SEND_PATH] = errcode
    stop(department, lin)
    assert (len(provider.sent), list_states(department)) == (1, [(STOPPED, "texted", "")])


@pytest.mark.usefixtures("target")
def test_patient_without_openid_gets_an_sms(department: BookingDepartment, wang: Person, provider: SentSms) -> None:
    stop(department, wang)
    assert [phone for phone, _ in provider.sent] == [wang.phone]


def test_patient_who_has_unfollowed_gets_an_sms(
    target: CallbackTarget, department: BookingDepartment, lin: Person, wechat: WeChat, provider: SentSms
) -> None:
    report(target, wechat_callbacks.build_event(LIN_OPENID, "unsubscribe"))
    stop(department, lin)
    assert (len(wechat.sent), len(provider.sent)) == (0, 1)


@pytest.mark.usefixtures("target")
def test_outage_of_wechat_is_not_waited_for(
    department: BookingDepartment, lin: Person, wechat: WeChat, provider: SentSms, time: Time
) -> None:
    wechat.failures[SEND_PATH] = -1
    stop(department, lin)
    assert provider.sent == []
    time.wait(5.1)
    run_jobs()
    assert len(provider.sent) == 1
    wechat.failures.clear()
    time.wait(120)
    run_jobs()
    assert wechat.sent == [], "the SMS was faster"


def test_what_is_merely_nice_ends_at_wechat(
    target: CallbackTarget, department: BookingDepartment, lin: Person, wang: Person, provider: SentSms, time: Time
) -> None:
    schedule_id = department.create_schedule()
    for number, person in enumerate((lin, wang), 1):
        department.book_slot(person, schedule_id, number)
    run_jobs()
    report_result(target, "failed:user block")
    time.wait(10)
    run_jobs()
    assert (provider.sent, list_states(department)) == ([], [])


def test_report_that_comes_before_the_message_is_recorded(
    target: CallbackTarget,
    department: BookingDepartment,
    lin: Person,
    provider: SentSms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """WeChat is faster than our commit."""
    record = wechat_messages._record

    def report_first(*arguments: object) -> None:
        report(target, wechat_callbacks.build_template_result(LIN_OPENID, 1, "failed:user block"))
        record(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(wechat_messages, "_record", report_first)
    stop(department, lin)
    assert (len(provider.sent), list_states(department)) == (1, [(STOPPED, "texted", "")])


@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize("change", ["phone_sealed = NULL, phone_blind = NULL", "identity_locked_at = 1"])
def test_account_without_a_phone_of_its_owner_is_left_to_the_front_desk(
    target: CallbackTarget, department: BookingDepartment, lin: Person, provider: SentSms, change: str
) -> None:
    """A number that may belong to another person now must not learn of the visit."""
    mysql.autocommit.execute(f"UPDATE accounts SET {change} WHERE user_id = %(user_id)s", user_id=lin.user_id)
    report_result(target, "failed:user block")
    assert (provider.sent, list_states(department)) == ([], [(STOPPED, "unreached", "no_phone")])


@pytest.mark.usefixtures("stopped")
def test_patient_who_has_read_the_site_message_gets_no_sms(
    target: CallbackTarget, department: BookingDepartment, lin: Person, provider: SentSms
) -> None:
    assert len(list_texts(lin)) == 1
    mysql.autocommit.execute("UPDATE site_deliveries SET is_read = 1 WHERE user_id = %(user_id)s", user_id=lin.user_id)
    report_result(target, "failed:user block")
    assert (provider.sent, list_states(department)) == ([], [(STOPPED, "arrived", "")])


def test_notification_that_is_no_longer_true_is_dropped(
    target: CallbackTarget, department: BookingDepartment, lin: Person, wechat: WeChat, provider: SentSms, time: Time
) -> None:
    """The patient has moved the booking elsewhere, so that the time in the message is wrong."""
    schedules = [department.create_schedule(date=get_iso_date(ahead)) for ahead in (1, 2, 3)]
    book_id = department.book_slot(lin, schedules[0])
    mysql.autocommit.execute("DELETE FROM outbox")
    wechat.failures[SEND_PATH] = -1
    department.reschedule_as_desk(book_id, schedules[1])
    run_jobs()
    department.reschedule(lin, book_id, schedules[2])
    time.wait(6)
    run_jobs()
    assert (provider.sent, list_states(department)) == ([], [(1108, "outdated", "")])
    assert target.token


@pytest.mark.usefixtures("stopped")
def test_concurrent_reports_send_one_sms(
    target: CallbackTarget, department: BookingDepartment, provider: SentSms
) -> None:
    reports = [wechat_callbacks.build_template_result(LIN_OPENID, 1, status) for status in ("failed:user block", "x")]
    run_in_threads([partial(report, target, one) for one in reports])
    [row] = list_rows("booking_notifications", department.hospital)
    payload = {"notification_id": row["notification_id"]}
    run_in_threads([partial(sms_messages.send_booking_sms, department.hospital.tenant_id, payload)] * 3)
    run_jobs()
    assert (len(provider.sent), list_states(department)) == (1, [(STOPPED, "texted", "")])


@pytest.mark.usefixtures("stopped")
def test_success_and_failure_at_the_same_time_leave_one_state(
    target: CallbackTarget, department: BookingDepartment, provider: SentSms
) -> None:
    reports = [wechat_callbacks.build_template_result(LIN_OPENID, 1, status) for status in ("success", "failed")]
    run_in_threads([partial(report, target, one) for one in reports])
    run_jobs()
    assert (len(provider.sent), list_states(department)) in (
        (0, [(STOPPED, "arrived", "")]),
        (1, [(STOPPED, "texted", "")]),
    )


@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize("msg_id", ["x", "", "9" * 30, "-1", "2"])
def test_report_about_an_unknown_message_has_no_effect(
    target: CallbackTarget, department: BookingDepartment, msg_id: str
) -> None:
    content = f"<MsgID>{msg_id}</MsgID><Status>failed:user block</Status>"
    response = report(target, wechat_callbacks.build_event(LIN_OPENID, "TEMPLATESENDJOBFINISH", content))
    assert response.content == b"success"
    assert list_states(department) == [(STOPPED, "sent", "")]


def test_report_of_another_hospital_has_no_effect(
    stopped: str, department: BookingDepartment, other_hospital: Hospital
) -> None:
    assert stopped
    other_target = set_up(other_hospital)
    mysql.autocommit.execute(
        "INSERT INTO bas_tenant_wechat_mp SELECT %(id)s, app_id, secret_sealed, auth_url, changed_by, changed_at"
        " FROM bas_tenant_wechat_mp WHERE tenant_id = %(own)s",
        id=other_hospital.tenant_id,
        own=department.hospital.tenant_id,
    )
    report(other_target, wechat_callbacks.build_template_result(LIN_OPENID, 1, "failed:user block"))
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 0
    assert list_states(department) == [(STOPPED, "sent", "")]


def test_long_values_are_cut(
    target: CallbackTarget, department: BookingDepartment, lin: Person, provider: SentSms
) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id)
    department.stop_schedule(schedule_id, reason="因" * 36)
    run_jobs()
    for msg_id in (1, 2):
        report_result(target, "failed:user block", msg_id)
    [(_, message)] = provider.sent
    assert message.variables["reason"] == "因" * 34 + "…"


def test_each_event_that_must_arrive_is_sent_by_sms(
    department: BookingDepartment, wang: Person, provider: SentSms, time: Time
) -> None:
    """Wang has no openid. Held, lapsed, moved, substituted and stopped; the waitlist has a test of its own."""
    ladder_client.save_templates(department.hospital)
    zhou = department.hospital.zhou.user_id
    first, second, third = (department.create_schedule(date=get_iso_date(ahead)) for ahead in (2, 3, 4))
    book_id = department.book_slot(wang, first)
    department.reschedule_as_desk(book_id, second)
    run_jobs()
    department.substitute_doctor(second, zhou)
    run_jobs()
    substitute = next(
        row["schedule_id"] for row in list_rows("schedules", department.hospital) if row["doctor_id"] == zhou
    )
    department.stop_schedule(substitute)
    run_jobs()
    assert third
    time.wait(25 * 60)
    release_unpaid({**outbox.WAKE_EVENT}, None)
    run_jobs()
    assert [message.template_id for _, message in provider.sent] == ["SMS_1108", "SMS_1120", "SMS_1121", "SMS_1122"]
    assert [state for _, state, _ in list_states(department)] == ["texted"] * 4


def test_unknown_notification_is_ignored(department: BookingDepartment, provider: SentSms) -> None:
    sms_messages.send_booking_sms(department.hospital.tenant_id, {"notification_id": 1 << 40})
    assert provider.sent == []
    assert delivery_states.find(mysql.autocommit, department.hospital.tenant_id, 1 << 40) is None
