"""Merchant keys do not leak into logs and errors, and importing the adapter stays cheap."""

import logging
import subprocess
import sys

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.client import WechatPayUnavailableError
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.wechat_pay_orders import (
    CALLS,
    OUT_TRADE_NO,
    MerchantKind,
    create_paid_order,
    parametrize_kinds,
    request_refund,
)


@parametrize_kinds
def test_keys_are_neither_logged_nor_shown_in_errors(
    pay: WeChatPay, kind: MerchantKind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    merchant = create_paid_order(pay, kind)
    request_refund(merchant)
    texts = [repr(merchant), str(merchant)]
    for pay.signs_with_wrong_key in (False, True):
        for call in CALLS.values():
            try:
                texts.append(repr(call(merchant)))
            except WechatPayUnavailableError as error:
                texts.append(repr(error) + repr(error.__cause__))
    for notification in (pay.build_payment_notification(OUT_TRADE_NO), ({}, b"<xml></xml>"), ({}, b"{}")):
        try:
            texts.append(repr(wechat_pay.parse_notification(merchant, *notification, clock.now())))
        except wechat_pay.InvalidNotificationError as error:
            texts.append(repr(error) + repr(error.__cause__))
    secrets = [merchant.key, *merchant.private_key.splitlines()[1:-1]]
    assert [one for one in secrets if one in caplog.text or any(one in text for text in texts)] == []


def test_import_loads_no_cryptography() -> None:
    heavy = ("cryptography", "ssl", "http.client", "pyexpat")
    code = f"import sys, chalicelib.adapters.wechat_pay.client; print([one for one in {heavy} if one in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"[]\n"
