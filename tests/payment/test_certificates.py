"""Certificates that expire soon are logged as errors: a merchant's stops refunds, a platform certificate payments."""

import json
from typing import Any

import pytest

from app import watch_certificates
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay.types import ApiVersion
from chalicelib.logs import JsonFormatter
from devstack.fakes import wechat_pay_keys
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client
from tests.support.client import build_schedule_event
from tests.support.factories import Hospital
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store

EXPIRES_AT = 1_893_369_600 * clock.SECOND  # 2029-12-31: of a certificate valid from 2025


def run_job(hospital: Hospital, caplog: pytest.LogCaptureFixture, now: int) -> list[tuple[str, str]]:
    """Run the job at a time; return level and event of the log lines about the hospital."""
    caplog.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: now)
        watch_certificates(build_schedule_event(), None)
    lines: list[dict[str, Any]] = [json.loads(JsonFormatter().format(one)) for one in caplog.records]
    return [(one["level"], one["event"]) for one in lines if one.get("tenant_id") == hospital.tenant_id]


def set_public_keys(checkout: Checkout, *pems: str) -> None:
    keys = json.dumps({str(number): pem for number, pem in enumerate(pems)})
    sql = "UPDATE wechat_merchants SET public_keys = %(keys)s WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(sql, keys=keys, id=checkout.tenant_id)


def test_merchant_certificate_is_reported_a_month_before_expiry(
    hospital: Hospital, pay: WeChatPay, caplog: pytest.LogCaptureFixture
) -> None:
    payment_client.create_checkout(hospital, pay, ApiVersion.V2)
    assert run_job(hospital, caplog, EXPIRES_AT - 31 * clock.DAY) == []
    assert run_job(hospital, caplog, EXPIRES_AT - 29 * clock.DAY) == [("ERROR", "merchant certificate expires")]
    assert run_job(hospital, caplog, EXPIRES_AT + clock.DAY) == [("ERROR", "merchant certificate expires")]


def test_newest_platform_certificate_counts_and_public_keys_do_not_expire(
    checkout: Checkout, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = (wechat_pay_keys.get_certificate_pem("platform", year) for year in (2025, 2028))
    set_public_keys(checkout, old)
    assert run_job(checkout.hospital, caplog, EXPIRES_AT) == [("ERROR", "platform certificate expires")]
    set_public_keys(checkout, old, new)
    assert run_job(checkout.hospital, caplog, EXPIRES_AT) == []
    set_public_keys(checkout, old, wechat_pay_keys.get_public_pem("platform"))
    assert run_job(checkout.hospital, caplog, EXPIRES_AT) == []
