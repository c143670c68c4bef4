"""Races between the release of an unpaid booking and its payment: the row lock of the booking decides."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.billing import bookings as billed_bookings
from chalicelib.booking.jobs import scheduled
from chalicelib.booking.reservations import booking_store
from devstack.fakes.wechat_pay import SignedMessage, WeChatPay
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.payment_client import BOOKED_PAID, CANCELLED_PAID, CANCELLED_UNPAID, Checkout

pytestmark = pytest.mark.store


@pytest.fixture
def late(checkout: Checkout) -> tuple[str, SignedMessage]:
    """A booking past its payment deadline that was paid, and the notification that has not arrived yet."""
    checkout.department.save_rules(pay_minutes=30)
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    expire = "UPDATE bookings SET pay_by = %(now)s WHERE book_id = %(id)s"
    mysql.autocommit.execute(expire, now=clock.now() - 1, id=book_id)
    return book_id, notification


class PausedCall:
    """Replaces a function: its first call sets `reached` and waits for `proceed`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
        self.reached, self.proceed, self.function = Event(), Event(), getattr(module, name)
        monkeypatch.setattr(module, name, self.call)

    def call(self, *arguments: Any) -> Any:
        if not self.reached.is_set():
            self.reached.set()
            assert self.proceed.wait(30)
        return self.function(*arguments)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_payment_before_the_release_keeps_the_booking(
    checkout: Checkout, late: tuple[str, SignedMessage], monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    book_id, notification = late
    paused = PausedCall(monkeypatch, billed_bookings, "mark_paid")
    notified = pool.submit(checkout.deliver_notification, notification)
    assert paused.reached.wait(10)
    released = pool.submit(scheduled.cancel_unpaid)
    wait_until(is_row_lock_waiting)
    paused.proceed.set()
    assert (notified.result().status, released.exception()) == (200, None)
    assert (checkout.get_booking_state(book_id), checkout.list_refunds(book_id)) == (BOOKED_PAID, [])


def test_payment_during_the_release_is_refunded(
    checkout: Checkout,
    pay: WeChatPay,
    late: tuple[str, SignedMessage],
    monkeypatch: pytest.MonkeyPatch,
    pool: ThreadPoolExecutor,
) -> None:
    book_id, notification = late
    paused = PausedCall(monkeypatch, booking_store, "cancel")
    released = pool.submit(scheduled.cancel_unpaid)
    assert paused.reached.wait(10)
    notified = pool.submit(checkout.deliver_notification, notification)
    wait_until(is_row_lock_waiting)
    paused.proceed.set()
    assert (notified.result().status, released.exception()) == (200, None)
    assert checkout.get_booking_state(book_id) == CANCELLED_UNPAID
    checkout.run_refund_jobs()
    assert [one["reason"] for one in checkout.list_refunds(book_id)] == ["late"]
    assert len(pay.refunds) == 1


def test_cancellation_during_the_payment_refunds_once(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    paused = PausedCall(monkeypatch, billed_bookings, "mark_paid")
    notified = pool.submit(checkout.deliver_notification, notification)
    assert paused.reached.wait(10)
    cancelled = pool.submit(checkout.department.cancel, checkout.hospital.lin, book_id)
    wait_until(is_row_lock_waiting)
    paused.proceed.set()
    assert (notified.result().status, cancelled.result().status) == (200, 200)
    for _ in range(2):
        checkout.run_refund_jobs()
    assert checkout.get_booking_state(book_id) == CANCELLED_PAID
    assert [one["reason"] for one in checkout.list_refunds(book_id)] == ["patient"]
    assert len(pay.refunds) == 1
