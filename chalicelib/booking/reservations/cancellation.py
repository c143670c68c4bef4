"""Ending a booking before the visit: its slot can be sold again, and what was paid is to go back."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import bookings as dues
from chalicelib.billing import refunds_due
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.booking.calendar import availability
from chalicelib.booking.reservations import booking_store, notifications
from chalicelib.booking.reservations.models import BookId
from chalicelib.booking.schedules import rules
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue


def cancel_own(caller: Caller, which: BookId) -> None:
    """One that is cancelled stays so. ApiError 404 for another's, 409 once registered, missed or too late."""
    booking = mysql.run_transaction(lambda tx: _cancel_own(tx, caller, which.book_id))
    if booking:
        availability.mark_free(booking)
        outbox.wake_worker()
        if booking["payment_state"] == PaymentState.PAID:
            outbox.wake_worker(Queue.EXTERNAL)


def cancel(tx: Tx, booking: Row, reason: str, by: int | None, told: int) -> None:
    """Cancel a booking that `dues.find` has locked, and promise that its holder is told. After the commit:
    left.freed(), outbox.nudge()."""
    booking_store.cancel(tx, booking["book_id"], reason, by)
    if booking["payment_state"] == PaymentState.PAID and booking["fee"]:
        refunds_due.enqueue_booking_refund(tx, booking, reason)
    notifications.enqueue(tx, booking, told)


def _cancel_own(tx: Tx, caller: Caller, book_id: int) -> Row | None:
    booking = dues.find_for_update(tx, caller.tenant_id, book_id)
    if booking is None or booking["user_id"] != caller.user_id:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    if booking["status"] == BookingStatus.CANCELLED:
        return None
    if booking["status"] != BookingStatus.BOOKED:
        raise ApiError(errors.CONFLICT, "该预约已挂号或已失约，不能取消")
    minutes = rules.load(tx, caller.tenant_id).cancel_minutes
    if clock.now() >= clock.to_instant(booking["day"], booking["slot_time"]) - minutes * 60 * clock.SECOND:
        until = f"就诊前 {minutes} 分钟" if minutes else "就诊时间"
        raise ApiError(errors.CONFLICT, f"已过{until}，不能取消")
    cancel(tx, booking, "patient", caller.user_id, EventType.BOOKING_CANCELLED)
    return booking
