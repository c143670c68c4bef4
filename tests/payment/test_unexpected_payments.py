"""Payments of cancelled bookings, duplicate payments, and payments through a former account."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import ApiVersion, SignType
from devstack.fakes import wechat_pay_protocol_v3
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client
from tests.support.client import post
from tests.support.factories import Hospital
from tests.support.payment_client import BOOKED_PAID, BOOKED_UNPAID, CANCELLED_UNPAID, Checkout

pytestmark = pytest.mark.store


def test_payment_of_a_cancelled_booking_is_refunded_once(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    assert checkout.department.cancel(checkout.hospital.lin, book_id).status == 200
    for _ in range(2):
        assert checkout.deliver_notification(notification).status == 200
        checkout.run_refund_jobs()
    assert checkout.get_booking_state(book_id) == CANCELLED_UNPAID
    [refund] = checkout.list_refunds(book_id)
    assert (refund["fee"], refund["reason"]) == (1250, "late")
    assert [one.fee for one in pay.refunds.values()] == [1250]


def test_second_payment_is_refunded(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    first = checkout.create_order(book_id)["out_trade_no"]
    second = checkout.request_order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data["out_trade_no"]
    for number in (second, first):
        pay.pay(number)
        assert checkout.deliver_notification(pay.build_payment_notification(number)).status == 200
    checkout.run_refund_jobs()
    [refund] = checkout.list_refunds(book_id)
    assert (refund["reason"], checkout.get_booking_state(book_id)) == ("duplicate", BOOKED_PAID)
    assert [one.order.out_trade_no for one in pay.refunds.values()] == [first]


def test_orders_of_a_former_account_are_notified_and_refunded(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    newer = pay.add_merchant(appid=checkout.merchant.appid)
    assert (
        post(payment_client.CONF_PATH, checkout.hospital.admin.token, **payment_client.build_conf(newer)).status == 200
    )
    assert checkout.deliver_notification(notification).status == 200
    checkout.department.cancel(checkout.hospital.lin, book_id)
    checkout.run_refund_jobs()
    assert [one.order.merchant.mch_id for one in pay.refunds.values()] == [checkout.merchant.mch_id]


@pytest.mark.parametrize(("before", "after"), [(ApiVersion.V3, ApiVersion.V2), (ApiVersion.V2, ApiVersion.V3)])
def test_refund_works_after_a_change_of_api_version(
    hospital: Hospital, pay: WeChatPay, before: str, after: str
) -> None:
    """The refund uses the version and keys that are configured now."""
    checkout = payment_client.create_checkout(hospital, pay, before)
    book_id = checkout.book_slot()
    number = checkout.pay_and_notify(book_id)["out_trade_no"]
    sign_type = SignType.HMAC_SHA256 if after == ApiVersion.V2 else SignType.RSA
    newer = pay.add_merchant(after, sign_type, appid=checkout.merchant.appid, mch_id=checkout.merchant.mch_id)
    assert post(payment_client.CONF_PATH, hospital.admin.token, **payment_client.build_conf(newer)).status == 200
    pay.orders[number] = replace(pay.orders[number], merchant=newer)  # the same merchant at WeChat Pay
    checkout.department.cancel(hospital.lin, book_id)
    checkout.run_refund_jobs()
    assert [(one["state"], one["error"]) for one in checkout.list_refunds(book_id)] == [("processing", "")]


def test_notification_through_another_account_is_rejected(checkout: Checkout, pay: WeChatPay) -> None:
    """Keys of a former account must not authenticate notifications of the current account's orders."""
    former = checkout.merchant
    newer = pay.add_merchant(appid=former.appid)
    assert (
        post(payment_client.CONF_PATH, checkout.hospital.admin.token, **payment_client.build_conf(newer)).status == 200
    )
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    number = checkout.list_payments(book_id)[0]["out_trade_no"]
    headers, body = wechat_pay_protocol_v3.build_payment_notification(
        pay, replace(pay.orders[number], merchant=replace(newer, key=former.key)), clock.now()
    )
    assert checkout.deliver_notification((headers, body)).status == 400
    assert checkout.get_booking_state(book_id) == BOOKED_UNPAID


def test_concurrent_payments_of_two_orders_cause_one_refund(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    first = checkout.create_order(book_id)["out_trade_no"]
    second = checkout.request_order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data["out_trade_no"]
    notifications = [pay.build_payment_notification(pay.pay(number).out_trade_no) for number in (first, second)]
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(checkout.deliver_notification, notifications * 4))
    assert {one.status for one in responses} == {200}
    assert (checkout.get_booking_state(book_id), len(checkout.list_refunds(book_id))) == (BOOKED_PAID, 1)
