"""A booking that is released, and its money, in the same moment: one of them comes first, and the other finds it so."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.billing import bookings as dues
from chalicelib.booking.jobs import scheduled
from chalicelib.booking.reservations import booking_store
from devstack.fakes.wechat_pay import SignedMessage, WeChatPay
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store


@pytest.fixture
def late(checkout: Checkout) -> tuple[str, SignedMessage]:
    """A booking that is paid and not told of, whose time to pay is over."""
    checkout.department.save_rules(pay_minutes=30)
    book_id = checkout.book_slot()
    notice = checkout.pay_without_notification(book_id)
    over = "UPDATE bookings SET pay_by = %(now)s WHERE book_id = %(id)s"
    mysql.autocommit.execute(over, now=clock.now() - 1, id=book_id)
    return book_id, notice


class Held:
    """Whoever is about to do it says so, once, and waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> None:
        self.about, self.go, self.do = Event(), Event(), getattr(place, name)
        monkeypatch.setattr(place, name, self.waits)

    def waits(self, *arguments: Any) -> Any:
        if not self.about.is_set():
            self.about.set()
            assert self.go.wait(30)
        return self.do(*arguments)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_who_pays_while_it_is_about_to_be_released_keeps_it(
    checkout: Checkout, late: tuple[str, SignedMessage], monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    book_id, notice = late
    held = Held(monkeypatch, dues, "mark_paid")
    told = pool.submit(checkout.deliver_notification, notice)
    assert held.about.wait(10)
    released = pool.submit(scheduled.cancel_unpaid)
    wait_until(is_row_lock_waiting)
    held.go.set()
    assert (told.result().status, released.exception()) == (200, None)
    assert (checkout.get_booking_state(book_id), checkout.list_refunds(book_id)) == ((0, 2), [])


def test_money_that_comes_while_it_is_released_goes_back(
    checkout: Checkout,
    pay: WeChatPay,
    late: tuple[str, SignedMessage],
    monkeypatch: pytest.MonkeyPatch,
    pool: ThreadPoolExecutor,
) -> None:
    book_id, notice = late
    held = Held(monkeypatch, booking_store, "cancel")
    released = pool.submit(scheduled.cancel_unpaid)
    assert held.about.wait(10)
    told = pool.submit(checkout.deliver_notification, notice)
    wait_until(is_row_lock_waiting)
    held.go.set()
    assert (told.result().status, released.exception()) == (200, None)
    assert checkout.get_booking_state(book_id) == (1, 1)
    checkout.run_refund_jobs()
    assert [one["reason"] for one in checkout.list_refunds(book_id)] == ["late"]
    assert len(pay.refunds) == 1


def test_who_cancels_while_the_money_comes_has_it_back_once(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    book_id = checkout.book_slot()
    notice = checkout.pay_without_notification(book_id)
    held = Held(monkeypatch, dues, "mark_paid")
    told = pool.submit(checkout.deliver_notification, notice)
    assert held.about.wait(10)
    cancelled = pool.submit(checkout.department.cancel, checkout.hospital.lin, book_id)
    wait_until(is_row_lock_waiting)
    held.go.set()
    assert (told.result().status, cancelled.result().status) == (200, 200)
    for _ in range(2):
        checkout.run_refund_jobs()
    assert checkout.get_booking_state(book_id) == (1, 2)
    assert [one["reason"] for one in checkout.list_refunds(book_id)] == ["patient"]
    assert len(pay.refunds) == 1
