"""Stop a schedule (停诊). Once it is marked as stopped it cannot be booked; a job then moves or cancels its bookings.

Each booking is moved to a slot that is held for the patient (closures/holding.py), or cancelled, in its own
transaction. A job that was interrupted continues with the remaining bookings when it is retried, and each patient is
notified once.
"""

from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing import bookings
from chalicelib.billing.bookings import Booking, BookingStatus, CancellationReason
from chalicelib.booking.calendar import availability
from chalicelib.booking.closures import alternative_store, holding
from chalicelib.booking.reservations import booking_store, cancellation
from chalicelib.booking.schedules import schedule_store
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue

BATCH_SIZE = 100


def stop(caller: Caller, schedule_id: int, reason: str) -> None:
    """Stop a schedule and enqueue the job for its bookings. A stopped schedule stays stopped.

    Args:
        reason: shown to its patients, "" for none.

    Raises:
        ApiError: 404 if the tenant has no such schedule, 409 if its day is over.
    """
    mysql.run_transaction(lambda tx: _stop(tx, caller, schedule_id, reason))
    outbox.wake_worker()


def cancel_bookings(tenant_id: int, payload: dict[str, Any]) -> None:
    """Move or cancel the bookings of a stopped schedule, except for past visits. Handler of CANCEL_STOPPED_SCHEDULE.

    Args:
        payload: schedule_id, and by: the user_id that stopped it.
    """
    schedule_id, stopped_by = payload["schedule_id"], payload["by"]
    stopped = schedule_store.find(mysql.autocommit, tenant_id, schedule_id)
    assert stopped, "schedules are never deleted"
    while book_ids := booking_store.list_waiting_ids(mysql.autocommit, tenant_id, schedule_id, BATCH_SIZE):
        for book_id in book_ids:
            holding.hold(tenant_id, book_id, stopped, stopped_by) or cancel_booking(
                tenant_id, book_id, stopped_by, schedule_id
            )
    outbox.wake_worker()
    outbox.wake_worker(Queue.EXTERNAL)  # sends the refunds


def cancel_booking(tenant_id: int, book_id: int, stopped_by: int, schedule_id: int | None = None) -> bool:
    """Cancel one booking of a stopped schedule, for which the caller then calls outbox.wake_worker().

    Args:
        schedule_id: the stopped schedule; None if its day is over: then registered patients were seen.

    Returns:
        False if the patient no longer waits for the visit, or the booking was rescheduled.
    """
    booking = mysql.run_transaction(lambda tx: _cancel_if_waiting(tx, tenant_id, book_id, stopped_by, schedule_id))
    if booking:
        availability.mark_free(booking)
    return booking is not None


def _stop(tx: Tx, caller: Caller, schedule_id: int, reason: str) -> None:
    schedule = schedule_store.find(tx, caller.tenant_id, schedule_id, "FOR UPDATE")
    if schedule is None:
        raise ApiError(errors.NOT_FOUND, "排班不存在")
    if schedule.day < clock.today():
        raise ApiError(errors.CONFLICT, "该排班已结束")
    schedule_store.stop(tx, caller.tenant_id, schedule_id, caller.user_id, reason)
    # No dedup_key: if an earlier job was dead-lettered, stopping the schedule again enqueues a new one.
    payload = {"schedule_id": schedule_id, "by": caller.user_id}
    outbox.enqueue(tx, caller.tenant_id, Job.CANCEL_STOPPED_SCHEDULE, payload)


def _cancel_if_waiting(
    tx: Tx, tenant_id: int, book_id: int, stopped_by: int, schedule_id: int | None
) -> Booking | None:
    booking = bookings.find_for_update(tx, tenant_id, book_id)
    waiting = [BookingStatus.BOOKED] if schedule_id is None else [BookingStatus.BOOKED, BookingStatus.REGISTERED]
    if booking is None or booking.seen_at or booking.status not in waiting:  # the patient or another run was faster
        return None
    if schedule_id not in (None, booking.schedule_id):  # the patient has rescheduled it
        return None
    details = {"reason": alternative_store.find_stop_reason(tx, tenant_id, booking.schedule_id)}
    cancellation.cancel(tx, booking, CancellationReason.STOPPED, stopped_by, EventType.SCHEDULE_STOPPED, details)
    return booking
