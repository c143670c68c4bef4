"""What bin/dev prints of messages and payments that would leave the machine, also if its output is a file."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from chalicelib.adapters import mysql, sms, wechat_api
from chalicelib.adapters.sms import SmsMessage
from chalicelib.adapters.wechat_pay import client
from chalicelib.booking.jobs import notified_bookings
from chalicelib.booking.reservations import notifications
from chalicelib.notifications import sms_templates
from chalicelib.notifications.event_types import EventType
from chalicelib.settings import settings
from devstack.cli import dev
from devstack.demo import sms_notices
from devstack.fakes import wechat, wechat_pay
from devstack.paths import ROOT
from devstack.services import app_environment
from tests.support.factories import Hospital
from tests.support.wechat_pay_orders import OUT_TRADE_NO, build_order, create_merchant, request_refund

PRINT_CODE_BETWEEN_LINES = """
from chalicelib.adapters import sms
from devstack.console import print_line
print_line("a longer line before")
sms.send("13800000001", "042917")
print_line("a longer line after")
"""


def test_code_is_not_overwritten_in_an_output_file(tmp_path: Path) -> None:
    env = app_environment.build("venv-dev", {"DATABASE_URL": "mysql://a:b@127.0.0.1:1/c"}, tests=False)
    with (tmp_path / "log").open("w") as log:
        subprocess.run([sys.executable, "-c", PRINT_CODE_BETWEEN_LINES], env=env, cwd=ROOT, stderr=log, check=True)
    assert (tmp_path / "log").read_text() == "a longer line before\nSMS 13800000001 042917\na longer line after\n"


def test_code_is_written_to_standard_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sms, "settings", replace(settings, sms=replace(settings.sms, file_path="-")))
    sms.send("13800000001", "042917")
    assert capsys.readouterr().err == "SMS 13800000001 042917\n"


@pytest.mark.store
def test_notice_by_a_template_of_the_demo_hospital_is_printed(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sms_notices.seed(hospital.tenant_id, "仁和医院", hospital.admin.user_id)
    saved = {one.event_type: one for one in sms_templates.list_all(mysql.autocommit, hospital.tenant_id)}
    assert saved.keys() == notifications.MUST_ARRIVE
    stopped = saved[EventType.SCHEDULE_STOPPED]
    assert set(stopped.variables) <= set(get_args(notified_bookings.VariableName))
    file_settings = replace(settings.sms, provider="file", file_path="-")
    monkeypatch.setattr(sms, "settings", replace(settings, sms=file_settings))
    sms.send_message(
        "13800000001", SmsMessage(stopped.sign_name, stopped.template_id, {"patient": "林**", "dept": "内科"})
    )
    assert capsys.readouterr().err == "SMS 13800000001 【仁和医院】SMS_1102: 林**，内科\n"


def test_messages_to_wechat_are_printed() -> None:
    printed: list[str] = []
    with wechat.replace_real_server() as server:
        server.on_send, server.accounts["wx1"] = printed.append, "secret"
        server.templates = {"t1": "就诊人：{{thing1.DATA}}"}
        server.subscription_templates = {"s1": "就诊人:{{thing1.DATA}}"}
        server.consents["o1", "s1"] = 1
        token = wechat_api.fetch_stable_token("wx1", "secret").value
        message = {"touser": "o1", "data": {"thing1": {"value": "林小雨"}}}
        wechat_api.send_template(token, {**message, "template_id": "t1"})
        wechat_api.send_subscription(token, {**message, "template_id": "s1"})
    assert printed == ["  WeChat to o1: 林小雨", "  WeChat 订阅 to o1: 林小雨"]


def test_order_payment_and_refund_are_printed() -> None:
    printed: list[str] = []
    with wechat_pay.replace_real_server() as pay:
        pay.on_event = printed.append
        merchant = create_merchant(pay, ("v3", "RSA"))
        for _ in range(2):  # the second is the same order
            client.prepay(merchant, build_order())
        pay.pay(OUT_TRADE_NO)
        request_refund(merchant)
    order = f"  WeChat Pay order {OUT_TRADE_NO}: 15.00 yuan"
    command = f"curl -X POST {pay.url}/devstack/pay/{OUT_TRADE_NO}"
    assert printed == [f"{order}. To pay it: {command}", f"{order} paid", f"{order} refunded"]


@pytest.mark.parametrize(
    ("arguments", "port"),
    [(["local"], 8000), (["local", "--port", "8019"], 8019), (["local", "--port=8019", "--no-autoreload"], 8019)],
)
def test_websocket_address_has_the_port_of_chalice_local(arguments: list[str], port: int) -> None:
    assert dev.find_port(arguments) == port
