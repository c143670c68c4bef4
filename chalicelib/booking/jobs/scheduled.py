"""What happens to bookings by itself. Each may run twice, also at once: what is to be done is looked at again in the
transaction that does it, and nobody is told twice."""

from collections.abc import Callable
from datetime import timedelta

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import bookings as dues
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.booking.calendar import availability
from chalicelib.booking.jobs import job_store
from chalicelib.booking.reservations import cancellation, notifications, stopped_schedules
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox

BATCH_SIZE = 200
REMINDERS_START_TIME = "18:00"  # from then on who comes tomorrow is reminded


def cancel_unpaid() -> int:
    """Cancel what was not paid in time, where the hospital demanded that when it was booked; return how many."""
    return _process_all(lambda tx: job_store.list_unpaid_overdue(tx, clock.now(), BATCH_SIZE), _cancel_unpaid_booking)


def mark_missed() -> int:
    """Mark what nobody came for once its day is over: the desk receives who is late. Return how many.

    Where the clinic was stopped and its job has not come so far, it is cancelled for that: nobody missed it.
    """
    return _process_all(lambda tx: job_store.list_unattended(tx, clock.today(), BATCH_SIZE), _mark_missed_booking)


def send_reminders() -> int:
    """In the evening, remind who comes tomorrow; return how many."""
    if clock.format_wire_time(clock.now())[11:16] < REMINDERS_START_TIME:
        return 0
    tomorrow = clock.today() + timedelta(1)
    return _process_all(lambda tx: job_store.list_unreminded(tx, tomorrow, BATCH_SIZE), _remind_holder)


def _process_all(find: Callable[[Tx], list[Row]], change: Callable[[Row], bool]) -> int:
    done = 0
    while found := mysql.run_autocommit(find):
        for row in found:
            done += change(row)
    if done:
        outbox.wake_worker()
    return done


def _cancel_unpaid_booking(row: Row) -> bool:
    booking = mysql.run_transaction(lambda tx: _cancel_if_unpaid(tx, row["tenant_id"], row["book_id"]))
    if booking:
        availability.mark_free(booking)
    return booking is not None


def _cancel_if_unpaid(tx: Tx, tenant_id: int, book_id: int) -> Row | None:
    booking = dues.find_for_update(tx, tenant_id, book_id)
    if booking is None or (booking["status"], booking["payment_state"]) != (
        BookingStatus.BOOKED,
        PaymentState.UNPAID,
    ):  # paid just now
        return None
    cancellation.cancel(tx, booking, "unpaid", None, EventType.BOOKING_RELEASED)
    return booking


def _mark_missed_booking(row: Row) -> bool:
    if row["stopped_by"]:
        return stopped_schedules.cancel_booking(row["tenant_id"], row["book_id"], row["stopped_by"])
    return mysql.run_transaction(
        lambda tx: _update_and_notify(tx, row, job_store.mark_missed, EventType.BOOKING_MISSED)
    )


def _remind_holder(row: Row) -> bool:
    return mysql.run_transaction(
        lambda tx: _update_and_notify(tx, row, job_store.mark_reminded, EventType.BOOKING_REMINDER)
    )


def _update_and_notify(tx: Tx, row: Row, change: Callable[[Tx, int], bool], told: int) -> bool:
    changed = change(tx, row["book_id"])
    if changed:
        notifications.enqueue(tx, row, told)
    return changed
