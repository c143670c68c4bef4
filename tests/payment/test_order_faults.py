"""pay/appo_order while WeChat is slow, refuses, or is told and not heard: nothing is ordered twice or forgotten."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import OrderResult, WechatPayUnavailableError
from chalicelib.payment import reconciliation
from chalicelib.payment.store import OrderState
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.booking_client import list_rows
from tests.support.faults.final_state import wait_until
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store


class Killed(BaseException):
    """The process is no more."""


@pytest.mark.parametrize("failing", [500, ""])
def test_where_wechat_cannot_be_reached_the_row_stays_and_is_asked_again(
    checkout: Checkout, pay: WeChatPay, failing: Any
) -> None:
    book_id = checkout.book_slot()
    pay.failures["prepay"] = failing
    answer = checkout.request_order(book_id)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    [payment] = checkout.list_payments(book_id)
    assert (payment["state"], payment["live"], payment["prepay_id"]) == ("created", 1, "")
    pay.failures.clear()
    assert checkout.create_order(book_id)["out_trade_no"] == payment["out_trade_no"]
    assert len(checkout.list_payments(book_id)) == 1


def test_an_answer_that_is_not_wechats_is_none(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    pay.signs_with_wrong_key = True
    assert checkout.request_order(book_id).status == 503
    assert checkout.list_payments(book_id)[0]["prepay_id"] == ""


def test_wechat_did_it_and_its_answer_was_lost(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id, prepay = checkout.book_slot(), wechat_pay.prepay

    def lost(*arguments: Any) -> Any:
        prepay(*arguments)
        raise WechatPayUnavailableError("no answer in time")

    with monkeypatch.context() as patched:
        patched.setattr(wechat_pay, "prepay", lost)
        assert checkout.request_order(book_id).status == 503
    [theirs] = pay.orders.values()
    assert checkout.create_order(book_id)["prepay_id"] == theirs.prepay_id
    assert len(pay.orders) == 1


def test_a_process_that_dies_between_row_and_call_leaves_a_row_to_go_on_with(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = checkout.book_slot()

    def killed(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(wechat_pay, "prepay", killed)
        with pytest.raises(Killed):
            checkout.request_order(book_id)
    [payment] = checkout.list_payments(book_id)
    assert (pay.orders, payment["state"]) == ({}, "created")
    checkout.make_checks_due()
    reconciliation.run()
    assert checkout.list_payments(book_id)[0]["state"] == "created"
    assert checkout.create_order(book_id)["out_trade_no"] == payment["out_trade_no"]


def test_what_nobody_goes_on_with_is_closed_when_it_is_over(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    pay.failures["prepay"] = 500
    checkout.request_order(book_id)
    checkout.expire_orders()
    reconciliation.run()
    assert [(one["state"], one["live"]) for one in checkout.list_payments(book_id)] == [("closed", None)]


def test_what_wechat_refuses_is_told_and_leaves_the_way_open(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    pay.failures["prepay"] = "NO_AUTH"
    found = checkout.request_order(book_id).data
    assert (found["is_success"], found["error_code"]) == (True, "FAIL")
    assert found["error_msg"]
    empty = ("prepay_id", "out_trade_no", "nonce_str", "sign_type", "timestamp", "agency_id", "url")
    assert {found[name] for name in empty} == {""}
    assert ("rejected", "order") in checkout.list_ledger()
    pay.failures.clear()
    checkout.create_order(book_id)
    assert [one["live"] for one in checkout.list_payments(book_id)] == [None, 1]
    reconciliation.run()
    assert [one["state"] for one in checkout.list_payments(book_id)] == ["closed", "created"]


def test_while_wechat_is_slow_nobody_waits_for_a_lock(checkout: Checkout, pay: WeChatPay) -> None:
    """The booking can be cancelled meanwhile; then the answer is no order any more."""
    book_id = checkout.book_slot()
    pay.accepting.clear()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(checkout.request_order, book_id)
        wait_until(lambda: bool(checkout.list_payments(book_id)))
        assert checkout.department.cancel(checkout.hospital.lin, book_id).status == 200
        pay.accepting.set()
        assert (asked.result().status, asked.result().error) == (409, "该预约已支付或已取消")
    checkout.make_checks_due()
    reconciliation.run()
    assert [one["state"] for one in checkout.list_payments(book_id)] == ["closed"]
    assert [one.state for one in pay.orders.values()] == ["CLOSED"]
    assert list_rows("refunds", checkout.hospital) == []


def test_a_notice_that_comes_before_the_answer_counts(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id, prepay = checkout.book_slot(), wechat_pay.prepay

    def told_first(merchant: Any, order: Any) -> Any:
        answer = prepay(merchant, order)
        pay.pay(order.out_trade_no)
        assert checkout.deliver_notification(pay.build_payment_notification(order.out_trade_no)).status == 200
        return answer

    monkeypatch.setattr(wechat_pay, "prepay", told_first)
    assert checkout.request_order(book_id).status == 409
    assert checkout.get_booking_state(book_id) == (0, 2)
    assert [one["state"] for one in checkout.list_payments(book_id)] == [OrderState.PAID]


def test_an_order_that_lost_its_place_while_wechat_was_slow_is_not_answered(checkout: Checkout, pay: WeChatPay) -> None:
    """Nobody could pay by it: it would not be signed."""
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


def test_an_order_that_wechat_refuses_to_a_second_request_is_still_the_firsts(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id, prepay = checkout.book_slot(), wechat_pay.prepay

    def second(*_: Any) -> OrderResult:
        monkeypatch.setattr(wechat_pay, "prepay", prepay)
        checkout.create_order(book_id)  # the first is answered meanwhile
        return OrderResult("OUT_TRADE_NO_USED")

    monkeypatch.setattr(wechat_pay, "prepay", second)
    order = checkout.create_order(book_id)
    assert [(one["live"], one["prepay_id"]) for one in checkout.list_payments(book_id)] == [(1, order["prepay_id"])]
    assert checkout.request_signature(order).status == 200
    assert ("rejected", "order") not in checkout.list_ledger()
