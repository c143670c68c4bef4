"""What happens to bookings by itself. Each may run twice, also at once: what is to be done is looked at again in the
transaction that does it, and nobody is told twice."""

from collections.abc import Callable
from datetime import timedelta

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking import cancelling, left, store, store_jobs, telling
from chalicelib.notices import outbox

BATCH = 200
UNPAID = 1
EVENING = "18:00"  # from then on who comes tomorrow is reminded


def release_unpaid() -> int:
    """Cancel what was not paid in time, where the hospital demands that; return how many."""
    released = 0
    for tenant in mysql.autocommit(store_jobs.who_demand_payment):
        released += _released(tenant["tenant_id"], clock.now() - tenant["pay_minutes"] * 60 * clock.SECOND)
    if released:
        outbox.nudge()
    return released


def mark_missed() -> int:
    """Mark what nobody came for once its day is over: the desk receives who is late. Return how many."""
    return _each(lambda tx: store_jobs.over(tx, clock.today(), BATCH), store_jobs.miss, telling.MISSED)


def remind() -> int:
    """In the evening, remind who comes tomorrow; return how many."""
    if clock.wire(clock.now())[11:16] < EVENING:
        return 0
    tomorrow = clock.today() + timedelta(1)
    return _each(lambda tx: store_jobs.to_remind(tx, tomorrow, BATCH), store_jobs.remind, telling.REMINDED)


def _released(tenant_id: int, before: int) -> int:
    released = 0
    while found := mysql.autocommit(lambda tx: store_jobs.unpaid(tx, tenant_id, before, BATCH)):
        for book_id in found:
            released += _release(tenant_id, book_id)
    return released


def _release(tenant_id: int, book_id: int) -> bool:
    booking = mysql.transact(lambda tx: _cancelled(tx, tenant_id, book_id))
    if booking:
        left.freed(booking)
    return booking is not None


def _cancelled(tx: Tx, tenant_id: int, book_id: int) -> Row | None:
    booking = store.find(tx, tenant_id, book_id)
    if booking is None or (booking["status"], booking["charge"]) != (cancelling.BOOKED, UNPAID):  # paid just now
        return None
    cancelling.cancel(tx, booking, "unpaid", None, telling.RELEASED)
    return booking


def _each(find: Callable[[Tx], list[Row]], change: Callable[[Tx, int], bool], told: int) -> int:
    done = 0
    while found := mysql.autocommit(find):
        for row in found:
            done += _changed(row, change, told)
    if done:
        outbox.nudge()
    return done


def _changed(row: Row, change: Callable[[Tx, int], bool], told: int) -> bool:
    def work(tx: Tx) -> bool:
        changed = change(tx, row["book_id"])
        if changed:
            telling.tell(tx, row, told)
        return changed

    return mysql.transact(work)
