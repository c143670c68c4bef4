"""Quotas of messages: of a person and of a hospital, in a day, apart for what must arrive."""

import json
import logging
from dataclasses import replace
from functools import partial

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.jobs import notification_quotas
from chalicelib.booking.jobs.notification_quotas import Channel, QuotaUsedUpError
from chalicelib.logs import JsonFormatter
from chalicelib.settings import NotificationSettings, settings
from devstack.fakes.wechat import WeChat
from tests.support import ladder_client
from tests.support.booking_client import BookingDepartment, get_iso_date
from tests.support.factories import Person
from tests.support.ladder_client import SentSms, Time, get_call_list, list_states, provider, run_jobs, time
from tests.support.metric_filters import get_pattern, matches
from tests.support.wechat_notifications import SEND_PATH

__all__ = ["provider", "time"]
pytestmark = pytest.mark.store


@pytest.fixture
def quotas(
    time: Time, department: BookingDepartment, provider: SentSms, monkeypatch: pytest.MonkeyPatch
) -> BookingDepartment:
    """A hospital that sends SMS and holds no slots. Two messages a day for a person, three for all."""
    limits = NotificationSettings(wechat_of_person=2, wechat_of_hospital=3, sms_of_person=2, sms_of_hospital=3)
    monkeypatch.setattr(notification_quotas, "settings", replace(settings, notifications=limits))
    ladder_client.save_templates(department.hospital)
    department.save_rules(hold_hours=0)
    assert (time.now > 0, provider.sent) == (True, [])
    return department


def stop(department: BookingDepartment, patient: Person, ahead: int) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(ahead))
    department.book_slot(patient, schedule_id)
    mysql.autocommit.execute("DELETE FROM outbox")
    department.stop_schedule(schedule_id)
    run_jobs()


def use(tx: Tx, tenant_id: int, user_id: int) -> None:
    notification_quotas.use(tx, tenant_id, Channel.SMS, user_id, must_arrive=True)


def test_sms_above_the_quota_of_a_person_are_left_to_the_front_desk(
    quotas: BookingDepartment, wang: Person, provider: SentSms, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    for ahead in (2, 3, 4):
        stop(quotas, wang, ahead)
    assert len(provider.sent) == 2, "exactly the quota"
    assert list_states(quotas)[-1] == (1102, "unreached", "quota")
    assert len(get_call_list(quotas.hospital.desk)) == 1
    assert [one for one in caplog.records if one.message == "notification quota used up"] == []
    time.wait(12 * 60 + 1)
    stop(quotas, wang, 5)
    assert len(provider.sent) == 3, "it comes back: one in twelve hours"


def test_quota_of_a_hospital_raises_an_alarm(
    quotas: BookingDepartment, wang: Person, provider: SentSms, caplog: pytest.LogCaptureFixture
) -> None:
    tenant_id = quotas.hospital.tenant_id
    for user_id in (1, 2, 3):
        mysql.run_transaction(partial(use, tenant_id=tenant_id, user_id=user_id))
    stop(quotas, wang, 2)
    assert (provider.sent, list_states(quotas)) == ([], [(1102, "unreached", "quota")])
    [line] = [one for one in caplog.records if one.message == "notification quota used up"]
    formatted = json.loads(JsonFormatter().format(line))
    assert matches(get_pattern("NotificationQuotaUsedUp"), formatted), "an alarm counts these lines"
    assert (line.levelno, line.__dict__["ids"]) == (
        logging.WARNING,
        {"tenant_id": tenant_id, "channel": "sms", "must_arrive": True},
    )


def test_rejected_use_takes_nothing(quotas: BookingDepartment) -> None:
    """Who is above the own quota does not use up the hospital's."""
    tenant_id = quotas.hospital.tenant_id

    def is_within(user_id: int) -> bool:
        try:
            mysql.run_transaction(partial(use, tenant_id=tenant_id, user_id=user_id))
        except QuotaUsedUpError:
            return False
        return True

    assert [is_within(1) for _ in range(10)] == [True, True, *[False] * 8]
    assert [is_within(2), is_within(3)] == [True, False]


def test_what_patients_cause_takes_nothing_from_what_must_arrive(
    quotas: BookingDepartment, lin: Person, wechat: WeChat
) -> None:
    schedule_id = quotas.create_schedule()
    for _ in range(3):
        book_id = quotas.book_slot(lin, schedule_id)
        quotas.cancel(lin, book_id)
        run_jobs()
    assert len(wechat.sent) == 2
    stop(quotas, lin, 2)
    assert len(wechat.sent) == 3


def test_wechat_message_above_the_quota_goes_on_to_sms(
    quotas: BookingDepartment, lin: Person, wechat: WeChat, provider: SentSms
) -> None:
    for ahead in (2, 3, 4):
        stop(quotas, lin, ahead)
    assert (len(wechat.sent), len(provider.sent)) == (2, 1)


def test_messages_that_were_not_sent_use_no_quota(quotas: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    wechat.failures[SEND_PATH] = 43004
    for ahead in (2, 3, 4):
        stop(quotas, lin, ahead)
    wechat.failures.clear()
    stop(quotas, lin, 5)
    assert len(wechat.sent) == 1
