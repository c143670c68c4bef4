"""Patients arrive: a booking is registered, by which the patient gets in line, or one returns with results.

The front desk and the code at the entrance do the same here.
"""

from datetime import timedelta

from chalicelib import clock, errors
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import Booking, BookingStatus
from chalicelib.booking.queues import line, queue_store
from chalicelib.booking.queues.queue_store import QueueEntry, QueueState
from chalicelib.booking.reservations import notifications
from chalicelib.booking.reservations.booking_store import PatientFileChangedError
from chalicelib.booking.schedules import rule_store
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.errors import ApiError
from chalicelib.notifications.event_types import EventType
from chalicelib.people import patients


def require_registrable(booking: Booking, schedule: Schedule) -> None:
    """Check that a booking can be registered now.

    Raises:
        ApiError: 409 on another day, if it is cancelled or missed, or if the schedule is stopped.
        PatientFileChangedError: it has another schedule, whose lock is needed: start again.
    """
    if booking.status != BookingStatus.BOOKED:
        raise ApiError(errors.CONFLICT, "该预约已取消或已失约")
    if booking.schedule_id != schedule.schedule_id:  # it was rescheduled, or a substitute took over, just now
        raise PatientFileChangedError
    if schedule.stopped_at:  # a job is cancelling its bookings
        raise ApiError(errors.CONFLICT, "该排班已停诊")
    if booking.day != clock.today():
        raise ApiError(errors.CONFLICT, f"只能在就诊当天（{booking.day}）挂号")


def register(tx: Tx, booking: Booking, schedule: Schedule, user_id: int) -> None:
    """Register a booking that is booked, as the patient's latest visit, and insert it into the queue.

    The patient, the schedule and the booking must be locked. Call outbox.wake_worker() after the commit.

    Args:
        user_id: the member of staff, or the account.
    """
    tenant_id = booking.tenant_id
    queue_store.mark_registered(tx, booking, user_id)
    patients.set_latest_visit(tx, tenant_id, booking.pati_id, booking.book_id)
    notifications.enqueue(tx, tenant_id, booking.user_id, booking.book_id, EventType.BOOKING_REGISTERED)
    time_of_day = timedelta(microseconds=clock.now() - clock.to_instant(schedule.day))
    minutes = rule_store.load(tx, tenant_id).segment_minutes
    segment = line.compute_segment(schedule.begins, booking.slot_time, time_of_day, minutes)
    waiting = list_waiting(tx, tenant_id, schedule.schedule_id)
    index = line.find_index_of_arrival(waiting, segment)
    place = queue_store.make_room(tx, tenant_id, schedule.schedule_id, waiting, index)
    queue_store.insert(tx, booking, segment, place)


def return_with_results(tx: Tx, tenant_id: int, schedule: Schedule, book_id: int) -> None:
    """Insert a patient again who was sent for tests today; do nothing for others. The schedule must be locked."""
    if schedule.stopped_at or schedule.day != clock.today():
        return
    if queue_store.find_state(tx, tenant_id, book_id) != QueueState.AWAY:
        return
    waiting = list_waiting(tx, tenant_id, schedule.schedule_id)
    index = line.find_index_of_returning(waiting)
    place = queue_store.make_room(tx, tenant_id, schedule.schedule_id, waiting, index)
    changes = {"place": place, "is_returning": True, "announced_at": None, "checked_in_at": clock.now()}
    queue_store.update(tx, tenant_id, book_id, state=QueueState.WAITING, **changes)


def list_waiting(tx: Tx, tenant_id: int, schedule_id: int) -> list[QueueEntry]:
    """Return those who wait in a queue, in their order."""
    entries = queue_store.list_entries(tx, tenant_id, schedule_id)
    return [one for one in entries if one.state == QueueState.WAITING]
