"""What happens to bookings by itself. Each may run twice, also at once: what is to be done is looked at again in the
transaction that does it, and nobody is told twice."""

from collections.abc import Callable
from datetime import timedelta

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import bookings as dues
from chalicelib.booking.calendar import availability
from chalicelib.booking.jobs import job_store
from chalicelib.booking.reservations import cancellation, notifications, stopped_schedules
from chalicelib.outbox import outbox

BATCH = 200
EVENING = "18:00"  # from then on who comes tomorrow is reminded


def release_unpaid() -> int:
    """Cancel what was not paid in time, where the hospital demanded that when it was booked; return how many."""
    return _each(lambda tx: job_store.unpaid(tx, clock.now(), BATCH), _released)


def mark_missed() -> int:
    """Mark what nobody came for once its day is over: the desk receives who is late. Return how many.

    Where the clinic was stopped and its job has not come so far, it is cancelled for that: nobody missed it.
    """
    return _each(lambda tx: job_store.over(tx, clock.today(), BATCH), _missed)


def remind() -> int:
    """In the evening, remind who comes tomorrow; return how many."""
    if clock.wire(clock.now())[11:16] < EVENING:
        return 0
    tomorrow = clock.today() + timedelta(1)
    return _each(lambda tx: job_store.to_remind(tx, tomorrow, BATCH), _reminded)


def _each(find: Callable[[Tx], list[Row]], change: Callable[[Row], bool]) -> int:
    done = 0
    while found := mysql.autocommit(find):
        for row in found:
            done += change(row)
    if done:
        outbox.nudge()
    return done


def _released(row: Row) -> bool:
    booking = mysql.transact(lambda tx: _cancelled(tx, row["tenant_id"], row["book_id"]))
    if booking:
        availability.freed(booking)
    return booking is not None


def _cancelled(tx: Tx, tenant_id: int, book_id: int) -> Row | None:
    booking = dues.find(tx, tenant_id, book_id)
    if booking is None or (booking["status"], booking["charge"]) != (dues.BOOKED, dues.UNPAID):  # paid just now
        return None
    cancellation.cancel(tx, booking, "unpaid", None, notifications.RELEASED)
    return booking


def _missed(row: Row) -> bool:
    if row["stopped_by"]:
        return stopped_schedules.cancel(row["tenant_id"], row["book_id"], row["stopped_by"])
    return mysql.transact(lambda tx: _changed(tx, row, job_store.miss, notifications.MISSED))


def _reminded(row: Row) -> bool:
    return mysql.transact(lambda tx: _changed(tx, row, job_store.remind, notifications.REMINDED))


def _changed(tx: Tx, row: Row, change: Callable[[Tx, int], bool], told: int) -> bool:
    changed = change(tx, row["book_id"])
    if changed:
        notifications.tell(tx, row, told)
    return changed
