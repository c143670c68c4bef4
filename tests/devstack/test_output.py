"""What bin/dev prints of messages and payments that would leave the machine, also if its output is a file."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chalicelib.adapters import sms
from chalicelib.adapters.wechat_pay import client
from chalicelib.settings import settings
from devstack.cli import dev
from devstack.fakes import wechat_pay
from devstack.paths import ROOT
from devstack.services import app_environment
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
