"""Processes that die and SMS providers that fail: each step is taken once; the front desk gets what is uncertain."""

import pytest

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.sms import SmsError, SmsNotSentError
from chalicelib.booking.jobs import sms_messages, wechat_messages
from chalicelib.errors import ApiError
from devstack.fakes.wechat import WeChat
from devstack.fakes.wechat_callbacks import CallbackTarget
from tests.support import ladder_client
from tests.support.booking_client import BookingDepartment
from tests.support.factories import Person
from tests.support.ladder_client import (
    SentSms,
    Time,
    get_call_list,
    list_states,
    provider,
    run_jobs,
    save_template,
    time,
)
from tests.support.stopped_booking import STOPPED, report_result, stop, stopped, target
from tests.support.wechat_notifications import SEND_PATH

__all__ = ["provider", "stopped", "target", "time"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("time", "provider")]


@pytest.mark.usefixtures("target")
def test_process_that_dies_before_recording_sends_one_message(
    department: BookingDepartment,
    lin: Person,
    wechat: WeChat,
    provider: SentSms,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as dying:
        send = wechat_messages._send
        dying.setattr(wechat_messages, "_send", lambda *arguments: die(send(*arguments)))
        with pytest.raises(SystemExit):
            stop(department, lin)
    time.wait(1.1)  # the lease of the job ends
    run_jobs()
    assert (wechat.calls[SEND_PATH], len(wechat.sent)) == (2, 1), "WeChat knows its client_msg_id"
    assert (provider.sent, list_states(department)) == ([], [(STOPPED, "sent", "")])


@pytest.mark.usefixtures("stopped")
def test_process_that_dies_while_sending_an_sms_leaves_it_to_the_front_desk(
    department: BookingDepartment, provider: SentSms, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.wait(5.1)
    with monkeypatch.context() as dying:
        dying.setattr(sms_messages, "_finish", die)
        with pytest.raises(SystemExit):
            run_jobs()
    assert (len(provider.sent), list_states(department)) == (1, [(STOPPED, "texting", "")])
    time.wait(1.1)
    run_jobs()
    assert (len(provider.sent), list_states(department)) == (1, [(STOPPED, "unreached", "uncertain")])


def die(*_: object) -> None:
    raise SystemExit


@pytest.mark.usefixtures("stopped")
def test_other_job_waits_for_the_one_that_is_sending(
    target: CallbackTarget, department: BookingDepartment, provider: SentSms, time: Time
) -> None:
    mysql.autocommit.execute(
        "UPDATE booking_notifications SET state = 'texting', changed_at = %(now)s WHERE tenant_id = %(tenant_id)s",
        now=clock.now(),
        tenant_id=department.hospital.tenant_id,
    )
    report_result(target, "failed:user block")
    assert (provider.sent, list_states(department)) == ([], [(STOPPED, "texting", "")])
    time.wait(1.1)
    run_jobs()
    assert (provider.sent, list_states(department)) == ([], [(STOPPED, "unreached", "uncertain")])


@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize(
    ("error", "failure"),
    [(SmsError("isv.BUSINESS_LIMIT_CONTROL"), "rejected"), (ApiError(errors.UNAVAILABLE), "uncertain")],
)
def test_sms_that_fails_is_left_to_the_front_desk(
    target: CallbackTarget, department: BookingDepartment, provider: SentSms, time: Time, error: Exception, failure: str
) -> None:
    provider.error = error
    report_result(target, "failed:user block")
    time.wait(60)
    run_jobs()
    assert (len(provider.sent), list_states(department)) == (1, [(STOPPED, "unreached", failure)])
    [entry] = get_call_list(department.hospital.desk)
    assert entry["failure"] == failure


@pytest.mark.usefixtures("stopped")
def test_sms_that_was_certainly_not_sent_is_retried(
    target: CallbackTarget, department: BookingDepartment, provider: SentSms, time: Time
) -> None:
    provider.error = SmsNotSentError()
    report_result(target, "failed:user block")
    assert list_states(department) == [(STOPPED, "unreached", "not_sent")]
    assert len(get_call_list(department.hospital.desk)) == 1, "meanwhile the front desk can call"
    provider.error = None
    time.wait(1)
    run_jobs()
    assert list_states(department) == [(STOPPED, "texted", "")]
    assert get_call_list(department.hospital.desk) == []


@pytest.mark.usefixtures("stopped")
def test_sms_is_not_retried_once_the_front_desk_has_called(
    target: CallbackTarget, department: BookingDepartment, provider: SentSms, time: Time
) -> None:
    provider.error = SmsNotSentError()
    report_result(target, "failed:user block")
    [entry] = get_call_list(department.hospital.desk)
    assert ladder_client.mark_called(department.hospital.desk, entry["notification_id"]).status == 200
    attempts, provider.error = len(provider.sent), None
    time.wait(60)
    run_jobs()
    assert (len(provider.sent), list_states(department)) == (attempts, [(STOPPED, "called", "not_sent")])


@pytest.mark.usefixtures("stopped")
def test_event_without_a_template_is_left_to_the_front_desk(
    target: CallbackTarget, department: BookingDepartment, provider: SentSms
) -> None:
    save_template(department.hospital, template_id="")
    report_result(target, "failed:user block")
    assert (provider.sent, list_states(department)) == ([], [(STOPPED, "unreached", "no_template")])
