"""Reconciliation finds payments without notification; runs may overlap, and hospitals do not affect each other."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from app import reconcile_payments
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import ApiVersion, OrderResult, Trade
from chalicelib.payment import query_schedule, reconciliation
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client
from tests.support.booking_client import list_rows
from tests.support.client import build_schedule_event
from tests.support.factories import Hospital
from tests.support.payment_client import BOOKED_PAID, BOOKED_UNPAID, Checkout
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def test_payment_without_notification_is_found(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    reconciliation.run()
    assert checkout.get_booking_state(book_id) == BOOKED_UNPAID  # the notification may take a minute
    checkout.make_checks_due()
    for _ in range(2):
        reconcile_payments(build_schedule_event(), None)
    assert (checkout.get_booking_state(book_id), checkout.list_payments(book_id)[0]["state"]) == (
        BOOKED_PAID,
        "success",
    )
    assert checkout.list_payments(book_id)[0]["transaction_id"] == next(iter(pay.orders.values())).transaction_id
    assert [one for one in checkout.list_ledger() if one[0] == "paid"] == [("paid", "query")]
    assert (
        checkout.deliver_notification(
            pay.build_payment_notification(checkout.list_payments(book_id)[0]["out_trade_no"])
        ).status
        == 200
    )  # it arrives late
    assert list_rows("refunds", checkout.hospital) == []


def test_concurrent_runs_query_once(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    checkout.make_checks_due()
    run_in_threads([reconciliation.run] * 4)
    assert checkout.list_payments(book_id)[0]["checks"] == 1
    assert [one for one in checkout.list_ledger() if one[0] == "paid"] == [("paid", "query")]


def test_concurrent_notification_and_query_are_recorded_once(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    checkout.make_checks_due()
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(checkout.deliver_notification, notification) for _ in range(2)]
        runs = [pool.submit(reconciliation.run) for _ in range(2)]
        assert [one.result().status for one in calls] == [200, 200]
        assert [one.exception() for one in runs] == [None, None]
    assert len([one for one in checkout.list_ledger() if one[0] == "paid"]) == 1
    assert (checkout.get_booking_state(book_id), checkout.list_refunds(book_id)) == (BOOKED_PAID, [])


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_expired_order_is_closed(hospital: Hospital, pay: WeChatPay, version: str) -> None:
    checkout = payment_client.create_checkout(hospital, pay, version)
    book_id = checkout.book_slot()
    number = checkout.create_order(book_id)["out_trade_no"]
    checkout.make_checks_due()
    reconciliation.run()
    assert (pay.orders[number].state, checkout.list_payments(book_id)[0]["state"]) == ("NOTPAY", "created")
    checkout.expire_orders()
    for _ in range(2):
        reconciliation.run()
    assert pay.orders[number].state == "CLOSED"
    assert [(one["state"], one["live"]) for one in checkout.list_payments(book_id)] == [("closed", None)]
    assert [one for one in checkout.list_ledger() if one[0] == "closed"] == [("closed", "query")]
    assert checkout.create_order(book_id)["out_trade_no"] != number


def test_order_of_a_cancelled_booking_is_closed_early(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    number = checkout.create_order(book_id)["out_trade_no"]
    checkout.department.cancel(checkout.hospital.lin, book_id)
    checkout.make_checks_due()
    reconciliation.run()
    assert (pay.orders[number].state, checkout.list_payments(book_id)[0]["state"]) == ("CLOSED", "closed")


def test_order_being_paid_is_not_closed(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    number = checkout.create_order(book_id)["out_trade_no"]
    checkout.expire_orders()
    pay.failures["close"] = "USERPAYING"
    reconciliation.run()
    assert checkout.list_payments(book_id)[0]["state"] == "created"
    pay.pay(number)
    checkout.expire_orders()
    reconciliation.run()
    assert (checkout.get_booking_state(book_id), checkout.list_payments(book_id)[0]["state"]) == (
        BOOKED_PAID,
        "success",
    )


def test_notification_while_closing_is_applied(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = checkout.book_slot()
    number = checkout.create_order(book_id)["out_trade_no"]
    checkout.expire_orders()

    def notify_meanwhile(*_: Any) -> OrderResult:
        pay.pay(number)
        assert checkout.deliver_notification(pay.build_payment_notification(number)).status == 200
        return OrderResult()

    monkeypatch.setattr(wechat_pay, "close_order", notify_meanwhile)
    reconciliation.run()
    assert (checkout.get_booking_state(book_id), checkout.list_payments(book_id)[0]["state"]) == (
        BOOKED_PAID,
        "success",
    )
    assert checkout.list_ledger()[-1] == ("paid", "notification")


def test_payment_of_a_closed_order_is_applied(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    number = checkout.create_order(book_id)["out_trade_no"]
    checkout.expire_orders()
    reconciliation.run()
    pay.orders[number] = replace(pay.orders[number], state="NOTPAY")
    pay.pay(number)
    assert checkout.deliver_notification(pay.build_payment_notification(number)).status == 200
    assert checkout.get_booking_state(book_id) == BOOKED_PAID


def test_late_payment_is_refunded(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    checkout.department.cancel(checkout.hospital.lin, book_id)
    checkout.make_checks_due()
    reconciliation.run()  # finds the payment and requests the refund
    assert [(one["reason"], one["state"]) for one in checkout.list_refunds(book_id)] == [("late", "processing")]
    assert len(pay.refunds) == 1


def test_wrong_amount_is_not_recorded(checkout: Checkout, pay: WeChatPay, caplog: pytest.LogCaptureFixture) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    number = checkout.list_payments(book_id)[0]["out_trade_no"]
    pay.orders[number] = replace(pay.orders[number], fee=1)
    checkout.make_checks_due()
    reconciliation.run()
    assert checkout.get_booking_state(book_id) == BOOKED_UNPAID
    assert "paid amount differs from the order" in caplog.messages


def test_other_currency_is_not_recorded(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    monkeypatch.setattr(wechat_pay, "query_order", lambda *_: Trade("SUCCESS", "42", 1250, "USD"))
    checkout.make_checks_due()
    reconciliation.run()
    assert checkout.get_booking_state(book_id) == BOOKED_UNPAID


def test_order_refunded_by_hand_is_reported(
    checkout: Checkout, pay: WeChatPay, caplog: pytest.LogCaptureFixture
) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    number = checkout.list_payments(book_id)[0]["out_trade_no"]
    late = pay.build_payment_notification(number)
    pay.orders[number] = replace(pay.orders[number], state="REFUND")
    checkout.make_checks_due()
    reconciliation.run()
    assert checkout.deliver_notification(late).status == 200  # WeChat Pay repeats notifications for a day
    assert (checkout.get_booking_state(book_id), checkout.list_ledger()[-1]) == (BOOKED_UNPAID, ("refunded", "query"))
    assert checkout.create_order(book_id)["out_trade_no"] != number
    assert [one.levelname for one in caplog.records if one.message == "order refunded outside the system"] == ["ERROR"]
    assert checkout.list_refunds(book_id) == []


def test_undecryptable_key_does_not_stop_other_hospitals(
    checkout: Checkout, pay: WeChatPay, other_hospital: Hospital
) -> None:
    broken_checkout, book_id = payment_client.create_checkout(other_hospital, pay), checkout.book_slot()
    broken_book_id = broken_checkout.book_slot()
    broken_checkout.pay_without_notification(broken_book_id)
    checkout.pay_without_notification(book_id)
    break_key = "UPDATE wechat_merchants SET key_sealed = 'x' WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(break_key, id=other_hospital.tenant_id)
    for one in (broken_checkout, checkout):
        one.make_checks_due()
    reconciliation.run()
    assert (checkout.get_booking_state(book_id), broken_checkout.get_booking_state(broken_book_id)) == (
        BOOKED_PAID,
        BOOKED_UNPAID,
    )


def test_failed_query_is_repeated_later(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    pay.failures["query"] = 500
    checkout.make_checks_due()
    for _ in range(2):
        reconciliation.run()
    assert checkout.list_payments(book_id)[0]["checks"] == 1
    pay.failures.clear()
    checkout.make_checks_due()
    reconciliation.run()
    assert checkout.get_booking_state(book_id) == BOOKED_PAID


def test_query_intervals_grow_but_the_last_query_precedes_expiry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 0)
    minutes = [query_schedule.compute_next_check(number) // clock.SECOND // 60 for number in range(9)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert query_schedule.compute_next_order_check(9, 3600 * clock.SECOND) == 300 * clock.SECOND
    assert query_schedule.compute_next_order_check(9, 240 * clock.SECOND) == 220 * clock.SECOND
    assert query_schedule.compute_next_order_check(9, 0) == 3600 * clock.SECOND
