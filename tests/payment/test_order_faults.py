"""pay/appo_order while WeChat Pay is slow, rejects orders or its responses are lost."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import OrderResult, WechatPayUnavailableError
from chalicelib.billing.orders import OrderState
from chalicelib.payment import reconciliation
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.booking_client import list_rows
from tests.support.faults.final_state import wait_until
from tests.support.payment_client import BOOKED_PAID, Checkout

pytestmark = pytest.mark.store


class Killed(BaseException):
    """Simulates the end of the process."""


@pytest.mark.parametrize("failing", [500, ""])
def test_order_without_response_is_requested_again(checkout: Checkout, pay: WeChatPay, failing: Any) -> None:
    book_id = checkout.book_slot()
    pay.failures["prepay"] = failing
    response = checkout.request_order(book_id)
    assert (response.status, response.headers["Retry-After"]) == (503, "5")
    [payment] = checkout.list_payments(book_id)
    assert (payment["state"], payment["live"], payment["prepay_id"]) == ("created", 1, "")
    pay.failures.clear()
    assert checkout.create_order(book_id)["out_trade_no"] == payment["out_trade_no"]
    assert len(checkout.list_payments(book_id)) == 1


def test_response_with_invalid_signature_is_ignored(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    pay.signs_with_wrong_key = True
    assert checkout.request_order(book_id).status == 503
    assert checkout.list_payments(book_id)[0]["prepay_id"] == ""


def test_lost_response_does_not_create_a_second_order(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id, prepay = checkout.book_slot(), wechat_pay.prepay

    def lose_response(*arguments: Any) -> Any:
        prepay(*arguments)
        raise WechatPayUnavailableError("no response in time")

    with monkeypatch.context() as patched:
        patched.setattr(wechat_pay, "prepay", lose_response)
        assert checkout.request_order(book_id).status == 503
    [order_at_wechat] = pay.orders.values()
    assert checkout.create_order(book_id)["prepay_id"] == order_at_wechat.prepay_id
    assert len(pay.orders) == 1


def test_order_of_a_killed_process_is_continued(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = checkout.book_slot()

    def kill(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(wechat_pay, "prepay", kill)
        with pytest.raises(Killed):
            checkout.request_order(book_id)
    [payment] = checkout.list_payments(book_id)
    assert (pay.orders, payment["state"]) == ({}, "created")
    checkout.make_checks_due()
    reconciliation.run()
    assert checkout.list_payments(book_id)[0]["state"] == "created"
    assert checkout.create_order(book_id)["out_trade_no"] == payment["out_trade_no"]


def test_abandoned_order_is_closed_after_expiry(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    pay.failures["prepay"] = 500
    checkout.request_order(book_id)
    checkout.expire_orders()
    reconciliation.run()
    assert [(one["state"], one["live"]) for one in checkout.list_payments(book_id)] == [("closed", None)]


def test_rejected_order_can_be_followed_by_another(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    pay.failures["prepay"] = "NO_AUTH"
    found = checkout.request_order(book_id).data
    assert (found["is_success"], found["error_code"]) == (True, "FAIL")
    assert found["error_msg"]
    empty_fields = ("prepay_id", "out_trade_no", "nonce_str", "sign_type", "timestamp", "agency_id", "url")
    assert {found[name] for name in empty_fields} == {""}
    assert ("rejected", "order") in checkout.list_ledger()
    pay.failures.clear()
    checkout.create_order(book_id)
    assert [one["live"] for one in checkout.list_payments(book_id)] == [None, 1]
    reconciliation.run()
    assert [one["state"] for one in checkout.list_payments(book_id)] == ["closed", "created"]


def test_no_lock_is_held_while_wechat_pay_is_called(checkout: Checkout, pay: WeChatPay) -> None:
    """The booking can be cancelled meanwhile; the order is then not returned."""
    book_id = checkout.book_slot()
    pay.accepting.clear()
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(checkout.request_order, book_id)
        wait_until(lambda: bool(checkout.list_payments(book_id)))
        assert checkout.department.cancel(checkout.hospital.lin, book_id).status == 200
        pay.accepting.set()
        assert (request.result().status, request.result().error) == (409, "该预约已支付或已取消")
    checkout.make_checks_due()
    reconciliation.run()
    assert [one["state"] for one in checkout.list_payments(book_id)] == ["closed"]
    assert [one.state for one in pay.orders.values()] == ["CLOSED"]
    assert list_rows("refunds", checkout.hospital) == []


def test_notification_before_the_response_is_applied(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id, prepay = checkout.book_slot(), wechat_pay.prepay

    def notify_first(merchant: Any, order: Any) -> Any:
        response = prepay(merchant, order)
        pay.pay(order.out_trade_no)
        assert checkout.deliver_notification(pay.build_payment_notification(order.out_trade_no)).status == 200
        return response

    monkeypatch.setattr(wechat_pay, "prepay", notify_first)
    assert checkout.request_order(book_id).status == 409
    assert checkout.get_booking_state(book_id) == BOOKED_PAID
    assert [one["state"] for one in checkout.list_payments(book_id)] == [OrderState.SUCCESS]


def test_order_superseded_during_the_call_is_not_returned(checkout: Checkout, pay: WeChatPay) -> None:
    """It could not be paid, because only live orders are signed."""
    book_id = checkout.book_slot()
    pay.accepting.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(checkout.request_order, book_id)
        wait_until(lambda: bool(checkout.list_payments(book_id)))
        second = pool.submit(checkout.request_order, book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE")
        wait_until(lambda: len(checkout.list_payments(book_id)) == 2)
        pay.accepting.set()
        assert (first.result().status, first.result().error) == (409, "已有另一订单，请重新下单")
        assert checkout.request_signature(second.result().data).status == 200
    assert [bool(one["prepay_id"]) for one in checkout.list_payments(book_id)] == [False, True]


def test_rejection_of_a_concurrent_request_keeps_the_order(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    book_id, prepay = checkout.book_slot(), wechat_pay.prepay

    def reject_second(*_: Any) -> OrderResult:
        monkeypatch.setattr(wechat_pay, "prepay", prepay)
        checkout.create_order(book_id)  # the other request completes meanwhile
        return OrderResult("OUT_TRADE_NO_USED")

    monkeypatch.setattr(wechat_pay, "prepay", reject_second)
    order = checkout.create_order(book_id)
    assert [(one["live"], one["prepay_id"]) for one in checkout.list_payments(book_id)] == [(1, order["prepay_id"])]
    assert checkout.request_signature(order).status == 200
    assert ("rejected", "order") not in checkout.list_ledger()
