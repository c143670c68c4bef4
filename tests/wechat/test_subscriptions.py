"""Subscription messages: one for each consent, before the template message."""

from typing import Any

import pytest

from chalicelib import errors
from chalicelib.adapters import mysql, wechat_api
from chalicelib.errors import ApiError
from chalicelib.wechat_account import subscriptions, templates
from chalicelib.wechat_account.templates import TemplateKind, TemplateTable
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
CONTENTS_PATH = "/wxaapi/newtmpl/gettemplate"


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
    unknown = f"unknown{wechat.consents.total() + len(wechat.sent)}"  # differs: it is no repeated call
    choices = {TEMPLATE_ID: "accept", unknown: "accept"}
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


@pytest.mark.parametrize("other_credits", [0, 1])
def test_message_that_wechat_may_have_accepted_goes_on_to_sms(
    subscribed: CallbackTarget,
    department: BookingDepartment,
    lin: Person,
    wechat: WeChat,
    provider: SentSms,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
    other_credits: int,
) -> None:
    send = wechat_api.send_subscription

    def send_without_response(token: str, message: dict[str, Any]) -> int:
        send(token, message)
        raise ApiError(errors.UNAVAILABLE, retry_after=2)

    for _ in range(1 + other_credits):
        consent(subscribed, wechat)
    with monkeypatch.context() as patched:
        patched.setattr(wechat_api, "send_subscription", send_without_response)
        stop(department, lin)
    time.wait(1)
    run_jobs()
    assert [one["template_id"] for one in wechat.sent] == [TEMPLATE_ID]
    assert (len(provider.sent), list_states(department)) == (1, [(1102, "texted", "")])
    assert get_credits(department.hospital) == [other_credits]


def test_credit_is_not_used_while_the_content_is_unknown(
    subscribed: CallbackTarget, department: BookingDepartment, lin: Person, wechat: WeChat, time: Time
) -> None:
    consent(subscribed, wechat)
    wechat.failures[CONTENTS_PATH] = 500
    stop(department, lin)
    assert (get_credits(department.hospital), wechat.sent) == ([1], [])
    wechat.failures.clear()
    time.wait(1)
    run_jobs()
    assert [one["template_id"] for one in wechat.sent] == [TEMPLATE_ID]


def test_content_is_cached(
    subscribed: CallbackTarget, department: BookingDepartment, lin: Person, wechat: WeChat
) -> None:
    for _ in range(2):
        consent(subscribed, wechat)
        stop(department, lin)
    assert [one["template_id"] for one in wechat.sent] == [TEMPLATE_ID] * 2
    assert wechat.calls[CONTENTS_PATH] == 1


def test_message_uses_one_credit(hospital: Hospital) -> None:
    tx, tenant_id = mysql.autocommit, hospital.tenant_id
    templates.save(tx, TemplateTable.SUBSCRIPTIONS, tenant_id, TemplateKind.CANCELLED, TEMPLATE_ID, 1, 1)
    for _ in range(2):
        subscriptions.add_credit(tx, tenant_id, "o1", TEMPLATE_ID)

    def use(key: str) -> bool:
        return mysql.run_transaction(lambda tx: subscriptions.use_credit(tx, tenant_id, "o1", TEMPLATE_ID, key))

    assert use("a")
    with pytest.raises(mysql.DuplicateKeyError):
        use("a")
    assert get_credits(hospital) == [1]
    assert [use("b"), use("c")] == [True, False]
    assert [subscriptions.was_used(tx, tenant_id, key) for key in ("a", "b", "c")] == [True, True, False]


def test_templates_are_listed_for_pages(subscribed: CallbackTarget, department: BookingDepartment, lin: Person) -> None:
    assert subscribed.token
    listed = get(f"{WECHAT_PATH}/subscription_templates", lin.token).data
    assert listed == [{"wech_temp_type": 2, "wech_temp_id": TEMPLATE_ID}]
    path, token = f"{WECHAT_PATH}/subscription_template", department.hospital.admin.token
    assert post(path, token, wech_temp_type=2, wech_temp_id="").status == 200
    assert get(f"{WECHAT_PATH}/subscription_templates", lin.token).data == []
    assert post(path, token, wech_temp_type=9, wech_temp_id="a").status == 400
