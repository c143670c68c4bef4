"""Rescheduling while the booking is paid, or released because it was not: one decision after the other."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib import clock
from chalicelib.billing import bookings as billed_bookings
from chalicelib.booking.jobs import scheduled
from chalicelib.booking.reservations import booking_store, rescheduling_store
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.booking_client import AFTERNOON, freeze_clock, get_iso_date
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.pauses import pause_first_call
from tests.support.payment_client import BOOKED_PAID, CANCELLED_UNPAID, Checkout

pytestmark = pytest.mark.store


@pytest.fixture
def later(checkout: Checkout) -> str:
    """A schedule to which a booking of Checkout.book_slot can be moved."""
    return checkout.department.create_schedule(**{**AFTERNOON, "date": get_iso_date(2)})


def get_slot(checkout: Checkout, book_id: str) -> tuple[str, int]:
    details = checkout.department.get_booking(checkout.hospital.lin, book_id).data
    return details["treaTime"], details["treaNo"]


def test_payment_during_a_move_pays_the_moved_booking(checkout: Checkout, later: str, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    with ThreadPoolExecutor(2) as pool, pause_first_call(rescheduling_store, "move") as pause:
        moved = pool.submit(checkout.department.reschedule, checkout.hospital.lin, book_id, later, 2)
        pause.wait_until_reached()
        notified = pool.submit(checkout.deliver_notification, notification)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert (moved.result().status, notified.result().status) == (200, 200)
    assert checkout.get_booking_state(book_id) == BOOKED_PAID
    assert get_slot(checkout, book_id) == (f"{get_iso_date(2)} 15:00:00", 2)
    assert (checkout.list_refunds(book_id), pay.refunds) == ([], {})


def test_move_during_a_payment_keeps_the_payment(checkout: Checkout, later: str) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    with ThreadPoolExecutor(2) as pool, pause_first_call(billed_bookings, "mark_paid") as pause:
        notified = pool.submit(checkout.deliver_notification, notification)
        pause.wait_until_reached()
        moved = pool.submit(checkout.department.reschedule, checkout.hospital.lin, book_id, later, 2)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert (moved.result().status, notified.result().status) == (200, 200)
    assert checkout.get_booking_state(book_id) == BOOKED_PAID
    assert checkout.list_refunds(book_id) == []


def test_deadline_that_passes_during_a_move_releases_the_new_slot(
    checkout: Checkout, later: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    department = checkout.department
    department.save_rules(pay_minutes=30)
    freeze_clock(monkeypatch, "10:00")
    book_id = checkout.book_slot()
    with ThreadPoolExecutor(2) as pool, pause_first_call(rescheduling_store, "move") as pause:
        moved = pool.submit(department.reschedule, checkout.hospital.lin, book_id, later, 2)
        pause.wait_until_reached()
        freeze_clock(monkeypatch, "10:30")
        released = pool.submit(scheduled.cancel_unpaid)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert (moved.result().status, released.result()) == (200, 1)
    assert checkout.get_booking_state(book_id) == CANCELLED_UNPAID
    assert department.list_free_serial_nos(later) == [1, 2, 3]


def test_move_during_the_release_is_too_late(checkout: Checkout, later: str, monkeypatch: pytest.MonkeyPatch) -> None:
    department = checkout.department
    department.save_rules(pay_minutes=30)
    book_id = checkout.book_slot()
    now = clock.now() + 31 * 60 * clock.SECOND
    with ThreadPoolExecutor(2) as pool, pause_first_call(booking_store, "cancel") as pause:
        monkeypatch.setattr(clock, "now", lambda: now)
        released = pool.submit(scheduled.cancel_unpaid)
        pause.wait_until_reached()
        moved = pool.submit(department.reschedule, checkout.hospital.lin, book_id, later, 2)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert released.result() == 1
        assert (moved.result().status, moved.result().error) == (409, "该预约已取消，请重新预约")
    assert department.list_free_serial_nos(later) == [1, 2, 3]
