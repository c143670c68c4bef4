"""Scheduled jobs on bookings: cancel unpaid ones, mark missed ones, send reminders.

Each job may run repeatedly and concurrently: a booking's state is checked again in the transaction that changes it, and
each notification is sent once.
"""

from collections.abc import Callable
from datetime import timedelta

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing import bookings
from chalicelib.billing.bookings import Booking, BookingStatus, CancellationReason, PaymentState
from chalicelib.booking.calendar import availability
from chalicelib.booking.closures import stopped_schedules
from chalicelib.booking.jobs import delivery_store, job_store
from chalicelib.booking.jobs.job_store import DueBooking
from chalicelib.booking.reservations import cancellation, notifications
from chalicelib.notifications import delivery_states
from chalicelib.notifications.delivery_states import NotificationState
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox

BATCH_SIZE = 200
REMINDERS_START_TIME = "18:00"  # from this time on, bookings of the next day are reminded


def cancel_unpaid() -> int:
    """Cancel bookings whose payment deadline has passed and return how many.

    The deadline is set by the hospital's rules when a slot is booked.
    """
    return _process_all(
        lambda: job_store.list_unpaid_overdue(mysql.autocommit, clock.now(), BATCH_SIZE), _cancel_unpaid_booking
    )


def cancel_unconfirmed() -> int:
    """Cancel bookings that the waitlist gave and that were not confirmed in time; return how many."""
    return _process_all(
        lambda: job_store.list_unconfirmed_overdue(mysql.autocommit, clock.now(), BATCH_SIZE),
        _cancel_unconfirmed_booking,
    )


def mark_missed() -> int:
    """Mark unregistered bookings of past days as missed and return how many.

    It waits for the end of the day because the front desk also registers late patients. If the schedule was stopped
    and its job has not cancelled the booking yet, it is cancelled instead.
    """
    return _process_all(
        lambda: job_store.list_unattended(mysql.autocommit, clock.today(), BATCH_SIZE), _mark_missed_booking
    )


def send_reminders() -> int:
    """From REMINDERS_START_TIME on, remind the holders of bookings for tomorrow; return how many."""
    if clock.format_wire_time(clock.now())[11:16] < REMINDERS_START_TIME:
        return 0
    tomorrow = clock.today() + timedelta(1)
    return _process_all(lambda: job_store.list_unreminded(mysql.autocommit, tomorrow, BATCH_SIZE), _remind_holder)


def expire_calls() -> None:
    """Take patients off the call list whose day is over."""
    before, state = (NotificationState.UNREACHED,), NotificationState.OUTDATED
    while over := delivery_store.list_over(mysql.autocommit, clock.today(), BATCH_SIZE):
        for tenant_id, notification_id in over:
            delivery_states.change_state(mysql.autocommit, tenant_id, notification_id, before, state)


def _process_all(list_batch: Callable[[], list[DueBooking]], process: Callable[[DueBooking], bool]) -> int:
    processed = 0
    while batch := list_batch():
        for due in batch:
            processed += process(due)
    if processed:
        outbox.wake_worker()
    return processed


def _cancel_unconfirmed_booking(due: DueBooking) -> bool:
    booking = mysql.run_transaction(lambda tx: _cancel_if_unconfirmed(tx, due))
    if booking:
        availability.mark_free(booking)
    return booking is not None


def _cancel_if_unconfirmed(tx: Tx, due: DueBooking) -> Booking | None:
    booking = bookings.find_for_update(tx, due.tenant_id, due.book_id)
    if booking is None or booking.status != BookingStatus.BOOKED or booking.payment_state != PaymentState.UNPAID:
        return None
    if booking.confirm_by is None or booking.confirm_by > clock.now():  # confirmed since it was listed
        return None
    cancellation.cancel(tx, booking, CancellationReason.LAPSED, None, EventType.BOOKING_LAPSED)
    return booking


def _cancel_unpaid_booking(due: DueBooking) -> bool:
    booking = mysql.run_transaction(lambda tx: _cancel_if_unpaid(tx, due))
    if booking:
        availability.mark_free(booking)
    return booking is not None


def _cancel_if_unpaid(tx: Tx, due: DueBooking) -> Booking | None:
    booking = bookings.find_for_update(tx, due.tenant_id, due.book_id)
    if (
        booking is None
        or booking.status != BookingStatus.BOOKED
        or booking.payment_state != PaymentState.UNPAID  # paid since it was listed
    ):
        return None
    cancellation.cancel(tx, booking, CancellationReason.UNPAID, None, EventType.BOOKING_RELEASED)
    return booking


def _mark_missed_booking(due: DueBooking) -> bool:
    if due.stopped_by:
        return stopped_schedules.cancel_booking(due.tenant_id, due.book_id, due.stopped_by)
    return mysql.run_transaction(
        lambda tx: _update_and_notify(tx, due, job_store.mark_missed, EventType.BOOKING_MISSED)
    )


def _remind_holder(due: DueBooking) -> bool:
    return mysql.run_transaction(
        lambda tx: _update_and_notify(tx, due, job_store.mark_reminded, EventType.BOOKING_REMINDER)
    )


def _update_and_notify(
    tx: Tx, due: DueBooking, update: Callable[[Tx, DueBooking], bool], event_type: EventType
) -> bool:
    changed = update(tx, due)
    if changed:
        notifications.enqueue(tx, due.tenant_id, due.user_id, due.book_id, event_type, due.changes)
    return changed
