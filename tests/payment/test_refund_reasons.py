"""The reason of a refund, where a hospital has several."""

import pytest

from chalicelib.adapters import mysql
from chalicelib.billing import refunds_due
from chalicelib.billing.refunds_due import RefundReason
from chalicelib.booking.reservations import stopped_schedules
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store


def test_each_booking_has_its_own_reason(checkout: Checkout) -> None:
    lin, department = checkout.hospital.lin, checkout.department
    cancelled = checkout.book_slot()
    checkout.pay_and_notify(cancelled)
    department.cancel(lin, cancelled)
    schedule_id = department.create_schedule(doctor_id=checkout.hospital.zhou.user_id)
    stopped = department.book_slot(lin, schedule_id)
    checkout.pay_and_notify(stopped)
    department.stop_schedule(schedule_id)
    for payload in checkout.list_jobs("cancel_stopped_schedule"):
        stopped_schedules.cancel_bookings(checkout.tenant_id, payload)
    reasons = [
        refunds_due.find_refund_reason(mysql.autocommit, checkout.tenant_id, book_id)
        for book_id in (int(cancelled), int(stopped), 0)
    ]
    assert reasons == [RefundReason.PATIENT, RefundReason.STOPPED, None]
