"""A merchant's certificate that ends stops refunds, and WeChat's stops payments: somebody is told in time."""

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
from tests.files.test_sweep import said
from tests.support import payment_client as tills
from tests.support.factories import Hospital
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store

END = 1_893_369_600 * clock.SECOND  # of a certificate that began with 2025: 2029-12-31


def told(hospital: Hospital, caplog: pytest.LogCaptureFixture, now: int) -> list[tuple[str, str]]:
    """What a run at that time logs of the hospital: level and event."""
    caplog.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: now)
        watch_certificates(said(), None)
    lines: list[dict[str, Any]] = [json.loads(JsonFormatter().format(one)) for one in caplog.records]
    return [(one["level"], one["event"]) for one in lines if one.get("tenant_id") == hospital.tenant_id]


def keep(checkout: Checkout, *pems: str) -> None:
    keys = json.dumps({str(number): pem for number, pem in enumerate(pems)})
    sql = "UPDATE wechat_merchants SET public_keys = %(keys)s WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(sql, keys=keys, id=checkout.tenant_id)


def test_somebody_is_told_a_month_before_refunds_stop(
    hospital: Hospital, pay: WeChatPay, caplog: pytest.LogCaptureFixture
) -> None:
    tills.create_checkout(hospital, pay, ApiVersion.V2)
    assert told(hospital, caplog, END - 31 * clock.DAY) == []
    assert told(hospital, caplog, END - 29 * clock.DAY) == [("ERROR", "merchant certificate ends")]
    assert told(hospital, caplog, END + clock.DAY) == [("ERROR", "merchant certificate ends")]


def test_of_wechats_the_last_one_counts_and_a_key_never_ends(
    checkout: Checkout, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = (wechat_pay_keys.get_certificate_pem("platform", year) for year in (2025, 2028))
    keep(checkout, old)
    assert told(checkout.hospital, caplog, END) == [("ERROR", "platform certificate ends")]
    keep(checkout, old, new)
    assert told(checkout.hospital, caplog, END) == []
    keep(checkout, old, wechat_pay_keys.get_public_pem("platform"))
    assert told(checkout.hospital, caplog, END) == []
