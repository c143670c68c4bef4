"""The reason of a refund, where a hospital has several."""

import pytest

from chalicelib.billing.refunds_due import RefundReason
from chalicelib.booking.closures import stopped_schedules
from tests.support.booking_client import list_rows
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store


def test_each_booking_has_its_own_reason(checkout: Checkout) -> None:
    lin, department = checkout.hospital.lin, checkout.department
    department.save_rules(hold_hours=0)
    cancelled = checkout.book_slot()
    checkout.pay_and_notify(cancelled)
    department.cancel(lin, cancelled)
    schedule_id = department.create_schedule(doctor_id=checkout.hospital.zhou.user_id)
    stopped = department.book_slot(lin, schedule_id)
    checkout.pay_and_notify(stopped)
    department.stop_schedule(schedule_id)
    for payload in checkout.list_jobs("cancel_stopped_schedule"):
        stopped_schedules.cancel_bookings(checkout.tenant_id, payload)
    reasons = {str(one["book_id"]): one["reason"] for one in list_rows("refunds_due", checkout.hospital)}
    assert reasons == {cancelled: RefundReason.PATIENT, stopped: RefundReason.STOPPED}
