"""A booking that is rescheduled keeps its payment."""

from tests.support.booking_client import AFTERNOON, get_iso_date
from tests.support.payment_client import BOOKED_PAID, CANCELLED_PAID, Checkout


def test_paid_booking_keeps_its_payment_and_is_refunded_once(checkout: Checkout) -> None:
    department, lin = checkout.department, checkout.hospital.lin
    later = department.create_schedule(**{**AFTERNOON, "date": get_iso_date(2)})
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    assert department.reschedule(lin, book_id, later).status == 200
    assert checkout.get_booking_state(book_id) == BOOKED_PAID
    assert department.cancel(lin, book_id).status == 200
    assert checkout.get_booking_state(book_id) == CANCELLED_PAID
    checkout.run_refund_jobs()
    [refund] = checkout.list_refunds(book_id)
    assert (refund["fee"], refund["state"]) == (1250, "processing")


def test_order_from_before_pays_the_rescheduled_booking(checkout: Checkout) -> None:
    department, lin = checkout.department, checkout.hospital.lin
    later = department.create_schedule(**{**AFTERNOON, "date": get_iso_date(2)})
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    assert department.reschedule(lin, book_id, later).status == 200
    assert checkout.deliver_notification(notification).status == 200
    assert checkout.get_booking_state(book_id) == BOOKED_PAID
    assert checkout.list_refunds(book_id) == []
