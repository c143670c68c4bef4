"""Cancel bookings before the visit. The slot can be booked again, and a payment is refunded."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing import bookings, refunds_due
from chalicelib.billing.bookings import Booking, BookingStatus, CancellationReason, PaymentState
from chalicelib.booking.calendar import availability
from chalicelib.booking.reservations import booking_store, notifications, waitlist_store
from chalicelib.booking.reservations.models import BookId
from chalicelib.booking.schedules import rule_store, working_days
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue

ASK_THE_DESK = "如需办理请联系医院前台"


def cancel_own(caller: Caller, request: BookId) -> None:
    """Cancel a booking of the caller's account. A cancelled booking stays cancelled.

    Raises:
        ApiError: 404 if it belongs to another account, 409 if it is registered or missed, or if it is too late.
    """
    booking = mysql.run_transaction(lambda tx: _cancel_own(tx, caller, request.book_id))
    if booking is None:
        return
    availability.mark_free(booking)
    outbox.wake_worker()
    if booking.payment_state == PaymentState.PAID:
        outbox.wake_worker(Queue.EXTERNAL)


def cancel(
    tx: Tx,
    booking: Booking,
    reason: CancellationReason,
    cancelled_by: int | None,
    event_type: EventType,
    details: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Cancel a booking that `bookings.find_for_update` has locked, and enqueue what follows.

    That is its refund, its notification, giving the slot to those who wait, and announcing who moves up in the queue.

    Call availability.mark_free() and outbox.wake_worker() after the commit, and outbox.wake_worker(Queue.EXTERNAL) if
    the booking was paid.

    Args:
        cancelled_by: the user_id, or None for a job.
        details: of the notification.
    """
    booking_store.cancel(tx, booking.book_id, reason, cancelled_by)
    if booking.payment_state == PaymentState.PAID and booking.fee and not booking.paid_at_till:
        refunds_due.enqueue_booking_refund(tx, booking, reason)
    user_id, book_id = booking.user_id, booking.book_id
    notifications.enqueue(tx, booking.tenant_id, user_id, book_id, event_type, details=details)
    waitlist_store.end_offer(tx, booking.tenant_id, book_id, has_lapsed=reason == CancellationReason.LAPSED)
    waitlist_store.enqueue_offers(tx, booking.tenant_id, booking.schedule_id, f"{book_id}:cancelled")
    if booking.status == BookingStatus.REGISTERED:
        outbox.enqueue(tx, booking.tenant_id, Job.ANNOUNCE_QUEUE, {"book_id": book_id}, dedup_key=f"queue:{book_id}")


def require_in_time(tx: Tx, booking: Booking, rule: Rules, action: str) -> None:
    """Raise ApiError(CONFLICT) once a patient can no longer cancel or reschedule a booking.

    Args:
        action: its name in the text.
    """
    minutes = rule.cancel_minutes
    if clock.now() >= clock.to_instant(booking.day, booking.slot_time) - minutes * 60 * clock.SECOND:
        deadline = f"就诊前 {minutes} 分钟" if minutes else "就诊时间"
        raise ApiError(errors.CONFLICT, f"已过{deadline}，不能{action}，{ASK_THE_DESK}")
    if rule.cancel_workdays:
        last_day = working_days.get_workday_before(tx, booking.tenant_id, booking.day, rule.cancel_workdays)
        if clock.now() >= clock.to_instant(last_day, timedelta(hours=rule.cancel_hour)):
            raise ApiError(
                errors.CONFLICT, f"已过截止时间 {last_day} {rule.cancel_hour:02d}:00，不能{action}，{ASK_THE_DESK}"
            )


def _cancel_own(tx: Tx, caller: Caller, book_id: int) -> Booking | None:
    booking = bookings.find_for_update(tx, caller.tenant_id, book_id)
    if booking is None or booking.user_id != caller.user_id:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    if booking.status == BookingStatus.CANCELLED:
        return None
    if booking.status != BookingStatus.BOOKED:
        raise ApiError(errors.CONFLICT, f"该预约已挂号或已失约，不能取消，{ASK_THE_DESK}")
    require_in_time(tx, booking, rule_store.load(tx, caller.tenant_id), "取消")
    cancel(tx, booking, CancellationReason.PATIENT, caller.user_id, EventType.BOOKING_CANCELLED)
    return booking
