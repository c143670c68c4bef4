"""What the holder of a booking is shown of its refund: refundStatus, refundAmount, refundTime and visiCharge."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.billing.refunds_due import RefundState
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import booking_client, payment_client
from tests.support.booking_client import BOOKING_PATH
from tests.support.client import get
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store

NO_REFUND = ("", None, None)


def get_refund(checkout: Checkout, book_id: str) -> tuple[int, tuple[Any, ...]]:
    """Return visiCharge and the refund, which the list and the details must show alike."""
    lin = checkout.hospital.lin
    details = checkout.department.get_booking(lin, book_id).data
    [listed] = [one for one in get(f"{BOOKING_PATH}/books", lin.token).data["list"] if one["bookId"] == book_id]
    shown = [
        (one["visiCharge"], tuple(one[name] for name in ("refundStatus", "refundAmount", "refundTime")))
        for one in (details, listed)
    ]
    assert shown[0] == shown[1]
    return shown[0]


def pay_and_cancel(checkout: Checkout) -> str:
    book_id = checkout.book_slot()
    assert get_refund(checkout, book_id) == (1, NO_REFUND)
    checkout.pay_and_notify(book_id)
    assert get_refund(checkout, book_id) == (2, NO_REFUND)
    assert checkout.department.cancel(checkout.hospital.lin, book_id).status == 200
    return book_id


def finish_refund(checkout: Checkout, pay: WeChatPay, book_id: str) -> None:
    [refund] = checkout.list_refunds(book_id)
    pay.settle_refund(refund["out_refund_no"])
    notification = pay.build_refund_notification(refund["out_refund_no"])
    assert checkout.deliver_notification(notification, payment_client.REFUND_NOTIFY_PATH).status == 200


def test_booking_is_unpaid_again_after_its_refund(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = pay_and_cancel(checkout)
    assert get_refund(checkout, book_id) == (2, ("processing", 12.5, None)), "not sent yet"
    checkout.run_refund_jobs()
    assert get_refund(checkout, book_id) == (2, ("processing", 12.5, None))
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    finish_refund(checkout, pay, book_id)
    assert get_refund(checkout, book_id) == (1, ("success", 12.5, clock.format_wire_time(now)))


def test_refunded_booking_cannot_be_paid_again(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = pay_and_cancel(checkout)
    checkout.run_refund_jobs()
    finish_refund(checkout, pay, book_id)
    response = checkout.request_order(book_id)
    assert (response.status, response.error) == (409, "该预约已取消，不能支付，已付费用原路退回")
    assert response.body["data"]["error_code"] == "FAIL"
    assert len(checkout.list_payments(book_id)) == 1


def test_refund_that_the_bank_rejects_is_abnormal(checkout: Checkout) -> None:
    book_id = pay_and_cancel(checkout)
    sql = "UPDATE refunds SET state = %(state)s WHERE book_id = %(book_id)s"
    mysql.autocommit.execute(sql, state=RefundState.ABNORMAL, book_id=book_id)
    assert get_refund(checkout, book_id) == (2, ("abnormal", 12.5, None))


def test_refund_of_a_smaller_amount_leaves_the_booking_paid(checkout: Checkout) -> None:
    book_id = pay_and_cancel(checkout)
    sql = "UPDATE refunds SET state = %(state)s, fee = 1000, done_at = %(at)s WHERE book_id = %(book_id)s"
    at = clock.now()
    mysql.autocommit.execute(sql, state=RefundState.SUCCESS, at=at, book_id=book_id)
    assert get_refund(checkout, book_id) == (2, ("success", 10.0, clock.format_wire_time(at)))


def test_payment_without_an_order_of_ours_is_being_refunded(checkout: Checkout) -> None:
    """The front desk refunds it: docs/payment.md."""
    book_id = checkout.book_slot()
    booking_client.mark_paid(book_id)
    checkout.department.cancel(checkout.hospital.lin, book_id)
    assert get_refund(checkout, book_id) == (2, ("processing", 12.5, None))


def test_payment_after_the_cancellation_is_shown_as_refunded(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    checkout.department.cancel(checkout.hospital.lin, book_id)
    assert get_refund(checkout, book_id) == (1, NO_REFUND)
    checkout.deliver_notification(notification)
    assert get_refund(checkout, book_id) == (1, ("processing", 12.5, None))
    checkout.run_refund_jobs()
    finish_refund(checkout, pay, book_id)
    assert get_refund(checkout, book_id)[1][:2] == ("success", 12.5)


def test_refund_of_a_duplicate_payment_leaves_the_booking_paid(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    first = checkout.pay_without_notification(book_id)
    other = checkout.request_order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data["out_trade_no"]
    pay.pay(other)
    checkout.deliver_notification(first)
    checkout.deliver_notification(pay.build_payment_notification(other))
    checkout.run_refund_jobs()
    finish_refund(checkout, pay, book_id)
    assert get_refund(checkout, book_id) == (2, NO_REFUND)


def test_online_payment_after_the_receipt_of_the_till_leaves_the_booking_paid(
    checkout: Checkout, pay: WeChatPay
) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    assert checkout.department.record_receipt(book_id, "SF-1").status == 200
    checkout.deliver_notification(notification)
    checkout.run_refund_jobs()
    finish_refund(checkout, pay, book_id)
    assert [one["reason"] for one in checkout.list_refunds(book_id)] == ["duplicate"]
    assert get_refund(checkout, book_id) == (2, NO_REFUND)
