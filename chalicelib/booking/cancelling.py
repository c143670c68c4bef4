"""Ending a booking before the visit: its slot can be sold again, and what was paid is to go back."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking import left, rules, store, telling
from chalicelib.booking.models import BookId
from chalicelib.dues import bookings as dues
from chalicelib.dues import owing
from chalicelib.dues.bookings import BOOKED, CANCELLED, PAID
from chalicelib.errors import Refused
from chalicelib.identity.callers import Caller
from chalicelib.notices import outbox


def by_patient(caller: Caller, which: BookId) -> None:
    """One that is cancelled stays so. Refused 404 for another's, 409 once registered, missed or too late."""
    booking = mysql.transact(lambda tx: _by_patient(tx, caller, which.book_id))
    if booking:
        left.freed(booking)
        outbox.nudge()
        if booking["charge"] == PAID:
            outbox.nudge(outside=True)


def cancel(tx: Tx, booking: Row, reason: str, by: int | None, told: int) -> None:
    """Cancel a booking that `dues.find` has locked, and promise that its holder is told. After the commit:
    left.freed(), outbox.nudge()."""
    store.cancel(tx, booking["book_id"], reason, by)
    if booking["charge"] == PAID and booking["fee"]:
        owing.pay_back(tx, booking, reason)
    telling.tell(tx, booking, told)


def _by_patient(tx: Tx, caller: Caller, book_id: int) -> Row | None:
    booking = dues.find(tx, caller.tenant_id, book_id)
    if booking is None or booking["user_id"] != caller.user_id:
        raise Refused(errors.NOT_FOUND, "预约不存在")
    if booking["status"] == CANCELLED:
        return None
    if booking["status"] != BOOKED:
        raise Refused(errors.CONFLICT, "该预约已挂号或已失约，不能取消")
    minutes = rules.of(tx, caller.tenant_id).cancel_minutes
    if clock.now() >= clock.instant(booking["day"], booking["slot_time"]) - minutes * 60 * clock.SECOND:
        until = f"就诊前 {minutes} 分钟" if minutes else "就诊时间"
        raise Refused(errors.CONFLICT, f"已过{until}，不能取消")
    cancel(tx, booking, "patient", caller.user_id, telling.CANCELLED)
    return booking
