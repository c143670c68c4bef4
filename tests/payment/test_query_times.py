"""When WeChat Pay is queried, and in which order a hospital's accounts are tried."""

from dataclasses import replace

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import ApiVersion, Merchant, Order, OrderResult
from chalicelib.payment import merchants, query_schedule, refund_store, store
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.client import post
from tests.support.notify_client import read_events
from tests.support.payment_client import CONF_PATH, Checkout, build_conf
from tests.support.wechat_client import APP_ID

pytestmark = pytest.mark.store


def test_intervals_between_queries_double_from_a_minute_to_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 0)
    minutes = [query_schedule.compute_next_check(checks) / (60 * clock.SECOND) for checks in range(8)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60]


def test_order_and_refund_are_due_at_their_very_time(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    paid = checkout.book_slot()
    ordered = checkout.book_slot(checkout.hospital.wang, half="PM", begin="14:00", end="17:00")
    checkout.pay_and_notify(paid)
    checkout.department.cancel(checkout.hospital.lin, paid)
    checkout.run_refund_jobs()
    assert checkout.request_order(ordered, checkout.hospital.wang).status == 200
    [payment], [refund] = checkout.list_payments(ordered), checkout.list_refunds(paid)
    monkeypatch.setattr(clock, "now", lambda: payment["check_at"])
    assert payment["payment_id"] in [one.payment_id for one in store.list_due(mysql.autocommit, 1000)]
    monkeypatch.setattr(clock, "now", lambda: refund["check_at"])
    assert refund["refund_id"] in [one.refund_id for one in refund_store.list_due(mysql.autocommit, 1000)]


def test_accounts_are_tried_by_their_last_change_after_the_active_one(checkout: Checkout, pay: WeChatPay) -> None:
    added = [pay.add_merchant(ApiVersion.V3, "", appid=APP_ID) for _ in range(2)]
    for merchant in added:
        assert post(CONF_PATH, checkout.hospital.admin.token, **build_conf(merchant)).data is None
    expected = [added[1].mch_id, added[0].mch_id, checkout.merchant.mch_id]
    assert [one.mch_id for one in merchants.list_all(checkout.tenant_id)] == expected


def test_order_that_fails_without_a_message_shows_the_code(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wechat_pay, "prepay", lambda *_: OrderResult(error_code="PARAM_ERROR"))
    assert checkout.request_order(checkout.book_slot()).data["error_msg"] == "PARAM_ERROR"


def test_payment_is_published_to_the_patients_feed(checkout: Checkout) -> None:
    lin = checkout.hospital.lin
    _, cursor = read_events(lin.token)
    checkout.pay_and_notify(checkout.book_slot())
    checkout.run_notification_jobs()
    events, _ = read_events(lin.token, cursor, events="1")
    assert events


def test_refund_is_claimed_only_as_it_was_read(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    checkout.department.cancel(checkout.hospital.lin, book_id)
    checkout.run_refund_jobs()
    checkout.make_checks_due()
    [row] = checkout.list_refunds(book_id)
    due = refund_store.list_due(mysql.autocommit, 1000)
    [refund] = [one for one in due if one.refund_id == row["refund_id"]]
    for outdated in (replace(refund, checks=refund.checks + 1), replace(refund, check_at=refund.check_at + 1)):
        assert not refund_store.claim(mysql.autocommit, outdated, clock.now())
    assert refund_store.claim(mysql.autocommit, refund, clock.now())
    assert not refund_store.claim(mysql.autocommit, refund, clock.now())


def test_order_has_the_address_of_the_payer(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[Order] = []

    def prepay(_: Merchant, order: Order) -> OrderResult:
        orders.append(order)
        return OrderResult(error_code="NOAUTH")

    monkeypatch.setattr(wechat_pay, "prepay", prepay)
    checkout.request_order(checkout.book_slot())
    assert [order.client_ip for order in orders] == ["203.0.113.7"]
