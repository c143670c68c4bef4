"""Stopping a schedule (停诊). From the moment it is marked nobody books it; a job then cancels what was booked.

One booking in a transaction: interrupted anywhere and begun again, the job goes on with the rest, and tells each
patient once.
"""

from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import bookings as dues
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.calendar import availability
from chalicelib.booking.reservations import booking_store, cancellation
from chalicelib.booking.schedules import schedule_store
from chalicelib.booking.schedules.models import ScheduleId
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue

BATCH_SIZE = 100


def stop(caller: Caller, which: ScheduleId) -> None:
    """One that is stopped stays so. ApiError 404 for another tenant's, 409 for a day that is over."""
    mysql.run_transaction(lambda tx: _stop(tx, caller, which.schedule_id))
    outbox.wake_worker()


def cancel_bookings(tenant_id: int, payload: dict[str, Any]) -> None:
    """The job: cancel what was booked. What is registered stays."""
    schedule_id = payload["schedule_id"]
    while booked := booking_store.list_booked_ids(mysql.autocommit, tenant_id, schedule_id, BATCH_SIZE):
        for book_id in booked:
            cancel_booking(tenant_id, book_id, payload["by"])
    outbox.wake_worker()
    outbox.wake_worker(Queue.EXTERNAL)  # where something is to be paid back


def cancel_booking(tenant_id: int, book_id: int, by: int) -> bool:
    """False where it waits no more. Afterwards: outbox.nudge()."""
    booking = mysql.run_transaction(lambda tx: _cancel_if_booked(tx, tenant_id, book_id, by))
    if booking:
        availability.mark_free(booking)
    return booking is not None


def _stop(tx: Tx, caller: Caller, schedule_id: int) -> None:
    row = schedule_store.find(tx, caller.tenant_id, schedule_id, "FOR UPDATE")
    if row is None:
        raise ApiError(errors.NOT_FOUND, "排班不存在")
    if row["day"] < clock.today():
        raise ApiError(errors.CONFLICT, "该排班已结束")
    schedule_store.stop(tx, caller.tenant_id, schedule_id, caller.user_id)
    # Each time anew: where an earlier job was given up, stopping again is how to have it done.
    outbox.enqueue(
        tx, caller.tenant_id, Job.CANCEL_STOPPED_SCHEDULE, {"schedule_id": schedule_id, "by": caller.user_id}
    )


def _cancel_if_booked(tx: Tx, tenant_id: int, book_id: int, by: int) -> Row | None:
    booking = dues.find_for_update(tx, tenant_id, book_id)
    if booking is None or booking["status"] != BookingStatus.BOOKED:  # the patient, or another run, was faster
        return None
    cancellation.cancel(tx, booking, "stopped", by, EventType.SCHEDULE_STOPPED)
    return booking
