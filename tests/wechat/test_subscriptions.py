"""Subscription messages: one for each consent, before the template message."""

import pytest

from chalicelib.adapters import mysql
from chalicelib.wechat_account import subscriptions
from chalicelib.wechat_account.templates import TemplateKind
from devstack.demo import wechat_account
from devstack.fakes import wechat_callbacks
from devstack.fakes.wechat import WeChat
from devstack.fakes.wechat_callbacks import CallbackTarget
from tests.support.booking_client import BookingDepartment, list_rows
from tests.support.client import get, post
from tests.support.factories import Hospital, Person
from tests.support.ladder_client import SentSms, Time, list_states, provider, run_jobs, time
from tests.support.stopped_booking import stop, target
from tests.support.wechat_callback_client import report
from tests.support.wechat_client import WECHAT_PATH
from tests.support.wechat_notifications import LIN_OPENID

__all__ = ["provider", "target", "time"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("time", "provider")]
TEMPLATE_ID, BIZSEND_PATH = "subscription-cancelled", "/cgi-bin/message/subscribe/bizsend"


@pytest.fixture
def subscribed(target: CallbackTarget, department: BookingDepartment, wechat: WeChat) -> CallbackTarget:
    """The hospital has a subscription template for cancellations."""
    wechat.subscription_templates[TEMPLATE_ID] = "就诊人:{{thing1.DATA}}\n就诊时间:{{time2.DATA}}"
    response = post(
        f"{WECHAT_PATH}/subscription_template",
        department.hospital.admin.token,
        wech_temp_type=2,
        wech_temp_id=TEMPLATE_ID,
    )
    assert response.status == 200
    return target


def consent(target: CallbackTarget, wechat: WeChat) -> None:
    wechat.consents[LIN_OPENID, TEMPLATE_ID] += 1
    choices = {TEMPLATE_ID: "accept", "unknown": "accept"}
    assert report(target, wechat_callbacks.build_subscription_choice(LIN_OPENID, choices)).content == b"success"


def get_credits(hospital: Hospital) -> list[int]:
    return [row["credits"] for row in list_rows("wechat_subscription_credits", hospital)]


def test_consent_permits_one_message(
    subscribed: CallbackTarget, department: BookingDepartment, lin: Person, wechat: WeChat, provider: SentSms
) -> None:
    consent(subscribed, wechat)
    assert get_credits(department.hospital) == [1], "none for an unknown template"
    stop(department, lin)
    assert [one["template_id"] for one in wechat.sent] == [TEMPLATE_ID]
    assert get_credits(department.hospital) == [0]
    report(subscribed, wechat_callbacks.build_subscription_result(LIN_OPENID, TEMPLATE_ID, 1))
    run_jobs()
    assert (list_states(department), provider.sent) == ([(1102, "arrived", "")], [])
    stop(department, lin)
    assert wechat.sent[-1]["template_id"] == wechat_account.TEMPLATE_IDS[TemplateKind.CANCELLED]


def test_reported_rejection_goes_on_to_sms(
    subscribed: CallbackTarget, department: BookingDepartment, lin: Person, wechat: WeChat, provider: SentSms
) -> None:
    consent(subscribed, wechat)
    stop(department, lin)
    report(subscribed, wechat_callbacks.build_subscription_result(LIN_OPENID, TEMPLATE_ID, 1, 43101))
    run_jobs()
    assert len(provider.sent) == 1


def test_withdrawn_consent_falls_back_to_the_template_message(
    subscribed: CallbackTarget, department: BookingDepartment, lin: Person, wechat: WeChat
) -> None:
    consent(subscribed, wechat)
    wechat.consents.clear()
    stop(department, lin)
    assert [one["template_id"] for one in wechat.sent] == [wechat_account.TEMPLATE_IDS[TemplateKind.CANCELLED]]
    assert get_credits(department.hospital) == [0]


def test_rejection_in_the_settings_ends_the_credits(
    subscribed: CallbackTarget, department: BookingDepartment, wechat: WeChat
) -> None:
    consent(subscribed, wechat)
    rejected = wechat_callbacks.build_subscription_choice(LIN_OPENID, {TEMPLATE_ID: "reject"}, is_popup=False)
    report(subscribed, rejected)
    assert get_credits(department.hospital) == [0]


def test_transient_error_returns_the_credit(
    subscribed: CallbackTarget, department: BookingDepartment, lin: Person, wechat: WeChat, time: Time
) -> None:
    consent(subscribed, wechat)
    wechat.failures[BIZSEND_PATH] = -1
    stop(department, lin)
    assert get_credits(department.hospital) == [1]
    wechat.failures.clear()
    time.wait(1)
    run_jobs()
    assert [one["template_id"] for one in wechat.sent] == [TEMPLATE_ID]


def test_message_uses_one_credit(hospital: Hospital) -> None:
    tx, tenant_id = mysql.autocommit, hospital.tenant_id
    subscriptions.save(tx, tenant_id, TemplateKind.CANCELLED, TEMPLATE_ID, 1, 1)
    for _ in range(2):
        subscriptions.add_credit(tx, tenant_id, "o1", TEMPLATE_ID)
    used = [subscriptions.use_credit(tx, tenant_id, "o1", TEMPLATE_ID, key) for key in ("a", "a", "b", "c")]
    assert used == [True, False, True, False]


def test_templates_are_listed_for_pages(subscribed: CallbackTarget, department: BookingDepartment, lin: Person) -> None:
    assert subscribed.token
    listed = get(f"{WECHAT_PATH}/subscription_templates", lin.token).data
    assert listed == [{"wech_temp_type": 2, "wech_temp_id": TEMPLATE_ID}]
    path, token = f"{WECHAT_PATH}/subscription_template", department.hospital.admin.token
    assert post(path, token, wech_temp_type=2, wech_temp_id="").status == 200
    assert get(f"{WECHAT_PATH}/subscription_templates", lin.token).data == []
    assert post(path, token, wech_temp_type=9, wech_temp_id="a").status == 400
