"""A payment is refunded in parts: never more than was paid, a minute apart, at most fifty, within a year."""

import random
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay.types import ApiVersion
from chalicelib.billing import refunds_due
from chalicelib.billing.bookings import PaymentState
from chalicelib.payment import reconciliation
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client
from tests.support.booking_client import list_rows, mark_paid
from tests.support.client import get
from tests.support.factories import Hospital
from tests.support.payment_client import BOOKED_PAID, CANCELLED_PAID, Checkout, refund_part
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store

FEE = 1250
parametrize_versions = pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])


def book_and_pay(checkout: Checkout) -> str:
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    return book_id


def reconcile(checkout: Checkout) -> None:
    """Let an hour pass and reconcile."""
    checkout.make_checks_due()
    reconciliation.run()


def settle_all(checkout: Checkout, pay: WeChatPay, book_id: str) -> None:
    """Have WeChat Pay accept and finish all refunds of a booking, one each minute."""
    for _ in range(2 * refunds_due.MAX_REFUNDS + 2):  # each is requested, then queried
        if all(one["state"] == "success" for one in checkout.list_refunds(book_id)):
            return
        reconcile(checkout)
        for number, refund in list(pay.refunds.items()):
            if refund.state == "PROCESSING":
                pay.settle_refund(number)
    raise AssertionError("refunds remain open")


def show_refund(checkout: Checkout, book_id: str) -> tuple[Any, ...]:
    details = checkout.department.get_booking(checkout.hospital.lin, book_id).data
    return details["refundStatus"], details["refundAmount"], details["visiCharge"]


@parametrize_versions
def test_parts_and_the_rest_of_a_cancelled_booking_are_refunded(
    hospital: Hospital, pay: WeChatPay, version: str
) -> None:
    checkout = payment_client.create_checkout(hospital, pay, version)
    book_id = book_and_pay(checkout)
    assert refund_part(checkout, book_id, 250) == refund_part(checkout, book_id, 300) == ""
    assert (checkout.get_booking_state(book_id), show_refund(checkout, book_id)) == (
        BOOKED_PAID,
        ("processing", 5.5, PaymentState.PAID),
    )
    checkout.department.cancel(hospital.lin, book_id)
    rows = checkout.list_refunds(book_id)
    assert [(one["number"], one["fee"], one["reason"]) for one in rows] == [
        (1, 250, "partial"),
        (2, 300, "partial"),
        (3, 700, "patient"),
    ]
    due = list_rows("refunds_due", hospital)
    assert [(one["due_id"], one["fee"]) for one in due] == [(one["due_id"], one["fee"]) for one in rows]
    settle_all(checkout, pay, book_id)
    assert sorted((one.fee, one.state) for one in pay.refunds.values()) == [
        (250, "SUCCESS"),
        (300, "SUCCESS"),
        (700, "SUCCESS"),
    ]
    assert len(pay.refunds) == 3
    assert show_refund(checkout, book_id) == ("success", 12.5, PaymentState.UNPAID)


def test_each_part_is_notified_with_its_amount(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = book_and_pay(checkout)
    for fee in (100, 200):
        assert refund_part(checkout, book_id, fee) == ""
        settle_all(checkout, pay, book_id)
    for _ in range(2):
        checkout.run_notification_jobs()
    texts = [text for text in checkout.list_site_messages(checkout.hospital.lin) if "退款成功" in text]
    assert sorted(texts) == [f"退款成功：挂号费 {yuan} 元已原路退回，预约编号 {book_id}。" for yuan in ("1.00", "2.00")]
    assert show_refund(checkout, book_id) == ("success", 3.0, PaymentState.PAID)
    assert {one.reason for one in pay.refunds.values()} == {"医院退费"}


def test_more_than_what_is_left_is_rejected(checkout: Checkout) -> None:
    book_id = book_and_pay(checkout)
    assert refund_part(checkout, book_id, FEE + 1) == "最多还可退 12.50 元"
    assert refund_part(checkout, book_id, 1000) == ""
    assert refund_part(checkout, book_id, 251) == "已退 10.00 元，最多还可退 2.50 元"
    assert refund_part(checkout, book_id, 250) == ""
    assert refund_part(checkout, book_id, 1) == "已退 12.50 元，最多还可退 0.00 元"
    checkout.department.cancel(checkout.hospital.lin, book_id)
    assert [one["fee"] for one in checkout.list_refunds(book_id)] == [1000, 250], "nothing is left to refund"
    assert len(list_rows("refunds_due", checkout.hospital)) == 2


def test_failed_part_still_counts_and_keeps_its_number(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = book_and_pay(checkout)
    pay.failures["refund"] = "NOT_ENOUGH"
    assert refund_part(checkout, book_id, 1000) == ""
    checkout.run_refund_jobs()
    [failed] = checkout.list_refunds(book_id)
    assert (failed["state"], failed["error"]) == ("pending", "NOT_ENOUGH")
    assert refund_part(checkout, book_id, 300) == "已退 10.00 元，最多还可退 2.50 元"
    pay.failures.clear()
    settle_all(checkout, pay, book_id)
    assert list(pay.refunds) == [failed["out_refund_no"]]


@parametrize_versions
def test_requests_for_a_payment_are_a_minute_apart(hospital: Hospital, pay: WeChatPay, version: str) -> None:
    checkout = payment_client.create_checkout(hospital, pay, version)
    book_id = book_and_pay(checkout)
    for fee in (100, 200, 300):
        refund_part(checkout, book_id, fee)
    run_in_threads([checkout.run_refund_jobs] * 4)
    reconciliation.run()
    assert (pay.calls["refund"], len(pay.refunds)) == (1, 1)
    states = [(one["state"], one["error"]) for one in checkout.list_refunds(book_id)]
    assert sorted(states) == [("pending", ""), ("pending", ""), ("processing", "")]
    waiting = [one["check_at"] - clock.now() for one in checkout.list_refunds(book_id) if one["state"] == "pending"]
    assert all(50 * clock.SECOND < one <= 65 * clock.SECOND for one in waiting)
    reconcile(checkout)
    assert (pay.calls["refund"], len(pay.refunds)) == (2, 2)
    reconcile(checkout)
    assert (pay.calls["refund"], len(pay.refunds)) == (3, 3)


def test_the_fiftieth_refund_must_be_the_rest(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = book_and_pay(checkout)
    assert {refund_part(checkout, book_id, 1) for _ in range(49)} == {""}
    assert refund_part(checkout, book_id, 1) == "退款次数已达上限，只能一次退清余下的 12.01 元"
    checkout.department.cancel(checkout.hospital.lin, book_id)
    settle_all(checkout, pay, book_id)
    assert len(pay.refunds) == 50
    assert sum(one.fee for one in pay.refunds.values()) == FEE


def test_a_payment_is_refunded_within_a_year(checkout: Checkout) -> None:
    book_id = book_and_pay(checkout)
    sql = "UPDATE payments SET paid_at = %(at)s WHERE book_id = %(id)s"
    mysql.autocommit.execute(sql, at=clock.now() - 365 * clock.DAY - clock.SECOND, id=book_id)
    assert refund_part(checkout, book_id, 1) == "支付已超过一年，微信不再受理退款，请由医院窗口退费"
    mysql.autocommit.execute(sql, at=clock.now() - 364 * clock.DAY, id=book_id)
    assert refund_part(checkout, book_id, 1) == ""


def test_only_what_was_paid_through_wechat_pay_is_refunded_in_parts(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    assert refund_part(checkout, book_id, 1) == "该预约没有可退的微信支付"
    mark_paid(book_id)
    assert refund_part(checkout, book_id, 1) == "该预约没有可退的微信支付"


def test_concurrent_parts_never_exceed_the_payment(checkout: Checkout) -> None:
    book_id = book_and_pay(checkout)
    results: list[str] = []

    def refund_and_cancel() -> None:
        results.append(refund_part(checkout, book_id, 400))

    run_in_threads([refund_and_cancel] * 6 + [lambda: checkout.department.cancel(checkout.hospital.lin, book_id)] * 2)
    fees = [one["fee"] for one in checkout.list_refunds(book_id)]
    assert (sum(fees), results.count(""), checkout.get_booking_state(book_id)) == (FEE, fees.count(400), CANCELLED_PAID)


@pytest.mark.parametrize("seed", range(4))
def test_random_sequences_balance(checkout: Checkout, pay: WeChatPay, seed: int) -> None:
    """Parts, cancellations, failures, lost and closed refunds in any order: in the end the ledger balances."""
    chance = random.Random(seed)
    book_id = book_and_pay(checkout)
    for _ in range(12):
        match chance.choice(["part", "part", "cancel", "fail", "work", "close", "reconcile"]):
            case "part":
                refund_part(checkout, book_id, chance.randint(1, 600))
            case "cancel" if chance.random() < 0.3:
                checkout.department.cancel(checkout.hospital.lin, book_id)
            case "fail":
                failures: list[int | str] = [500, "NOT_ENOUGH", ""]
                pay.failures["refund"] = chance.choice(failures)
            case "work":
                pay.failures.clear()
            case "close" if pay.refunds:
                number = chance.choice(list(pay.refunds))
                if pay.refunds[number].state == "PROCESSING":
                    pay.settle_refund(number, "CLOSED")
            case "reconcile":
                reconcile(checkout)
        refunded = sum(one["fee"] for one in checkout.list_refunds(book_id))
        assert refunded <= FEE
        assert sum(one.fee for one in pay.refunds.values() if one.state != "CLOSED") <= refunded
    pay.failures.clear()
    checkout.department.cancel(checkout.hospital.lin, book_id)
    settle_all(checkout, pay, book_id)
    rows = checkout.list_refunds(book_id)
    assert sum(one["fee"] for one in rows) == FEE
    assert {one["out_refund_no"]: one["fee"] for one in rows} == {
        number: one.fee for number, one in pay.refunds.items() if one.state == "SUCCESS"
    }
    assert [one["number"] for one in rows] == list(range(1, len(rows) + 1))


def test_parts_appear_in_the_list_of_bookings(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = book_and_pay(checkout)
    refund_part(checkout, book_id, 250)
    settle_all(checkout, pay, book_id)
    refund_part(checkout, book_id, 100)
    [listed] = get("/pati_service/book_service/books", checkout.hospital.lin.token).data["list"]
    assert (listed["refundStatus"], listed["refundAmount"], listed["refundTime"]) == ("processing", 3.5, None)
