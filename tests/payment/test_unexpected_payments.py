"""Money that comes where it is not wanted, twice, or for an old account: nothing is lost, and nothing counts twice."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import ApiVersion, SignType
from devstack.fakes import wechat_pay_protocol_v3
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client as tills
from tests.support.client import post
from tests.support.factories import Hospital
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store


def test_money_for_what_was_cancelled_goes_back_once(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    notice = checkout.pay_without_notification(book_id)
    assert checkout.department.cancel(checkout.hospital.lin, book_id).status == 200
    for _ in range(2):
        assert checkout.deliver_notification(notice).status == 200
        checkout.run_refund_jobs()
    assert checkout.get_booking_state(book_id) == (1, 1)
    [refund] = checkout.list_refunds(book_id)
    assert (refund["fee"], refund["reason"]) == (1250, "late")
    assert [one.fee for one in pay.refunds.values()] == [1250]


def test_who_pays_twice_is_paid_back_the_second(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    first = checkout.create_order(book_id)["out_trade_no"]
    second = checkout.request_order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data["out_trade_no"]
    for number in (second, first):
        pay.pay(number)
        assert checkout.deliver_notification(pay.build_payment_notification(number)).status == 200
    checkout.run_refund_jobs()
    [refund] = checkout.list_refunds(book_id)
    assert (refund["reason"], checkout.get_booking_state(book_id)) == ("duplicate", (0, 2))
    assert [one.order.out_trade_no for one in pay.refunds.values()] == [first]


def test_who_changed_the_account_still_hears_of_the_old_ones_orders(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    notice = checkout.pay_without_notification(book_id)
    newer = pay.add_merchant(appid=checkout.merchant.appid)
    assert post(tills.CONF_PATH, checkout.hospital.admin.token, **tills.build_conf(newer)).status == 200
    assert checkout.deliver_notification(notice).status == 200
    checkout.department.cancel(checkout.hospital.lin, book_id)
    checkout.run_refund_jobs()
    assert [one.order.merchant.mch_id for one in pay.refunds.values()] == [checkout.merchant.mch_id]


@pytest.mark.parametrize(("before", "after"), [(ApiVersion.V3, ApiVersion.V2), (ApiVersion.V2, ApiVersion.V3)])
def test_who_changed_the_accounts_version_still_pays_back_through_it(
    hospital: Hospital, pay: WeChatPay, before: str, after: str
) -> None:
    """The merchant is the same one; what it is asked in, and how that is signed, is what is set up now."""
    till = tills.create_checkout(hospital, pay, before)
    book_id = till.book_slot()
    number = till.pay_and_notify(book_id)["out_trade_no"]
    kind = SignType.HMAC_SHA256 if after == ApiVersion.V2 else SignType.RSA
    newer = pay.add_merchant(after, kind, appid=till.merchant.appid, mch_id=till.merchant.mch_id)
    assert post(tills.CONF_PATH, hospital.admin.token, **tills.build_conf(newer)).status == 200
    pay.orders[number] = replace(pay.orders[number], merchant=newer)  # the same to WeChat
    till.department.cancel(hospital.lin, book_id)
    till.run_refund_jobs()
    assert [(one["state"], one["error"]) for one in till.list_refunds(book_id)] == [("processing", "")]


def test_what_one_account_was_told_is_not_believed_of_anothers_order(checkout: Checkout, pay: WeChatPay) -> None:
    """Whoever holds the keys of an account that the hospital has left can speak of that account's orders alone."""
    left = checkout.merchant
    newer = pay.add_merchant(appid=left.appid)
    assert post(tills.CONF_PATH, checkout.hospital.admin.token, **tills.build_conf(newer)).status == 200
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    number = checkout.list_payments(book_id)[0]["out_trade_no"]
    headers, body = wechat_pay_protocol_v3.build_payment_notification(
        pay, replace(pay.orders[number], merchant=replace(newer, key=left.key)), clock.now()
    )
    assert checkout.deliver_notification((headers, body)).status == 400
    assert checkout.get_booking_state(book_id) == (0, 1)


def test_two_orders_paid_at_once_are_one_payment_and_one_refund(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    first = checkout.create_order(book_id)["out_trade_no"]
    second = checkout.request_order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data["out_trade_no"]
    notices = [pay.build_payment_notification(pay.pay(number).out_trade_no) for number in (first, second)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(checkout.deliver_notification, notices * 4))
    assert {one.status for one in answers} == {200}
    assert (checkout.get_booking_state(book_id), len(checkout.list_refunds(book_id))) == ((0, 2), 1)
