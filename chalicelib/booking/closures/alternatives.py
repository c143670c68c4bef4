"""What the patient of a stopped schedule does with the alternative: see it, accept it, choose another slot, or decline.

An alternative that was neither accepted nor declined in time lapses, which cancels the booking and refunds it. A
substitute doctor needs no acceptance: the offer ends when the visit begins.
"""

from itertools import islice

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing import bookings
from chalicelib.billing.bookings import Booking, BookingStatus, CancellationReason
from chalicelib.billing.money import to_yuan
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.closures import alternative_store, holding
from chalicelib.booking.closures.alternative_store import Alternative, AlternativeKind, AlternativeState
from chalicelib.booking.closures.models import (
    AcceptAlternativeRequest,
    Alternatives,
    AlternativeSlot,
    BookIdQuery,
)
from chalicelib.booking.reservations import cancellation, deadlines, rescheduling
from chalicelib.booking.reservations.models import BookId, RescheduleRequest, RescheduleResult
from chalicelib.booking.schedules import rule_store, slots
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue

BATCH_SIZE = 100
SHOWN_SLOTS = 2  # beside the one that is held


def get(caller: Caller, query: BookIdQuery) -> Alternatives:
    """Return what the hospital offers for a booking of the caller's account whose schedule it has stopped.

    Raises:
        ApiError: 404 if the account has no such booking.
    """
    return mysql.run_autocommit(lambda tx: _load(tx, caller, query.book_id))


def accept(caller: Caller, request: AcceptAlternativeRequest) -> RescheduleResult:
    """Keep the slot that is held, or move to another one. A repeated request has no further effect.

    Raises:
        ApiError: 404 if the account has no such booking; 400 if only one of schedule and slot is given; 409 if there is
            no alternative any more or, for another slot, as rescheduling.choose_alternative.
    """
    schedule_id, serial_no = request.schedule_id, request.serial_no
    if (schedule_id is None) != (serial_no is None):
        raise ApiError(errors.BAD_PARAMETER, "serialNo：须与 scheduleId 同时填写或同时省略")
    if schedule_id is None or serial_no is None:
        booking = mysql.run_transaction(lambda tx: _accept_held(tx, caller, request.book_id))
        time = f"{booking.day} {slots.format_time(booking.slot_time)}:00"
        return RescheduleResult(bookId=str(booking.book_id), treaTime=time, treaNo=booking.serial_no)
    slot = (schedule_id, serial_no)
    mysql.run_transaction(lambda tx: _require_choosable(tx, caller, request.book_id, slot))
    move = RescheduleRequest(book_id=request.book_id, schedule_id=schedule_id, serial_no=serial_no)
    result = rescheduling.choose_alternative(caller, move)
    mysql.run_transaction(lambda tx: _close_accepted(tx, caller, request.book_id))
    return result


def decline(caller: Caller, request: BookId) -> None:
    """Cancel a booking that the hospital has moved; what was paid is refunded. Repeating it has no effect.

    Raises:
        ApiError: 404 if the account has no such booking; 409 if the hospital offered nothing for it, the patient has
            accepted another slot, or the visit has begun.
    """
    booking = mysql.run_transaction(lambda tx: _decline(tx, caller, request.book_id))
    if booking:
        availability.mark_free(booking)
        _wake_workers()


def lapse_expired() -> int:
    """Cancel bookings whose patients have not accepted the held slot in time; return how many."""
    lapsed = 0
    while batch := alternative_store.list_expired(mysql.autocommit, BATCH_SIZE):
        for alternative in batch:
            lapsed += _lapse_one(alternative)
    if lapsed:
        _wake_workers()
    return lapsed


def _lapse_one(alternative: Alternative) -> bool:
    booking = mysql.run_transaction(lambda tx: _lapse(tx, alternative))
    if booking:
        availability.mark_free(booking)
    return booking is not None


def _load(tx: Tx, caller: Caller, book_id: int) -> Alternatives:
    booking = alternative_store.find_booking(tx, caller.tenant_id, book_id, caller.user_id)
    if booking is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    alternative = alternative_store.find_latest(tx, caller.tenant_id, book_id)
    is_open = alternative is not None and alternative.state == AlternativeState.OPEN
    is_cancelled = booking.status == BookingStatus.CANCELLED
    others: list[AlternativeSlot] = []
    if (is_open and not is_cancelled) or booking.cancelled_for == CancellationReason.STOPPED:
        rule = rule_store.load(tx, caller.tenant_id)
        free = islice(holding.iter_free_slots(tx, caller.tenant_id, booking, rule), SHOWN_SLOTS)
        others = [_build_slot(tx, caller.tenant_id, *one) for one in list(free)]
    return Alternatives(
        bookId=str(book_id),
        kind=alternative.kind.value if alternative else "",
        state=alternative.state.value if alternative else "",
        reason=alternative.reason if alternative else "",
        expiresTime=clock.format_wire_time(alternative.expires_at) if alternative else None,
        others=others,
    )


def _build_slot(tx: Tx, tenant_id: int, schedule: Schedule, serial_no: int) -> AlternativeSlot:
    dept_name, doctor_name = calendar_store.get_names(tx, tenant_id, schedule.dept_id, schedule.doctor_id)
    return AlternativeSlot(
        scheduleId=str(schedule.schedule_id),
        serialNo=serial_no,
        treaTime=schedule.get_slot_datetime(serial_no),
        deptName=dept_name,
        doctorName=doctor_name,
        bookfee=to_yuan(schedule.fee),
    )


def _lock_own(tx: Tx, caller: Caller, book_id: int) -> tuple[Booking, Alternative]:
    """Lock a booking of the account; return it with the latest alternative."""
    booking = bookings.find_for_update(tx, caller.tenant_id, book_id)
    if booking is None or booking.user_id != caller.user_id:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    alternative = alternative_store.find_latest(tx, caller.tenant_id, book_id)
    if alternative is None:
        raise ApiError(errors.CONFLICT, "该预约没有停诊改约，可直接改期或取消")
    return booking, alternative


def _require_acceptable(tx: Tx, caller: Caller, book_id: int) -> tuple[Booking, Alternative]:
    booking, alternative = _lock_own(tx, caller, book_id)
    if booking.status == BookingStatus.CANCELLED:
        raise ApiError(errors.CONFLICT, "该预约已取消，请重新预约")
    if alternative.state == AlternativeState.OPEN and alternative.expires_at <= clock.now():
        raise ApiError(errors.CONFLICT, "已过确认期限，请重新预约")
    return booking, alternative


def _require_choosable(tx: Tx, caller: Caller, book_id: int, slot: tuple[int, int]) -> None:
    """Raise ApiError unless the patient may choose a slot, or has done so with an equal request."""
    booking, alternative = _require_acceptable(tx, caller, book_id)
    is_open = alternative.state == AlternativeState.OPEN and alternative.number == booking.changes
    if not is_open and (booking.schedule_id, booking.serial_no) != slot:
        raise ApiError(errors.CONFLICT, "您已确认就诊时间，如需更改请改期或取消预约")


def _close_accepted(tx: Tx, caller: Caller, book_id: int) -> None:
    booking, alternative = _lock_own(tx, caller, book_id)
    _close_as_accepted(tx, booking, alternative)


def _accept_held(tx: Tx, caller: Caller, book_id: int) -> Booking:
    booking, alternative = _require_acceptable(tx, caller, book_id)
    _close_as_accepted(tx, booking, alternative)
    return booking


def _close_as_accepted(tx: Tx, booking: Booking, alternative: Alternative) -> None:
    """Close an open alternative; the time to pay begins. No effect on one that is closed."""
    if alternative.state == AlternativeState.OPEN:
        deadlines.confirm(tx, booking, rule_store.load(tx, booking.tenant_id))
        alternative_store.close(tx, alternative, AlternativeState.ACCEPTED)


def _decline(tx: Tx, caller: Caller, book_id: int) -> Booking | None:
    booking, alternative = _lock_own(tx, caller, book_id)
    if booking.status == BookingStatus.CANCELLED:
        return None
    if booking.changes != alternative.number or (
        alternative.kind == AlternativeKind.HELD and alternative.state == AlternativeState.ACCEPTED
    ):
        raise ApiError(errors.CONFLICT, "您已确认就诊时间，如不能就诊请取消预约")
    if booking.seen_at or clock.now() >= clock.to_instant(booking.day, booking.slot_time):
        raise ApiError(errors.CONFLICT, "就诊时间已到，请到医院窗口办理")
    reason = CancellationReason.STOPPED
    cancellation.cancel(tx, booking, reason, caller.user_id, EventType.BOOKING_CANCELLED)
    alternative_store.close(tx, alternative, AlternativeState.DECLINED)
    return booking


def _lapse(tx: Tx, expired: Alternative) -> Booking | None:
    """Return the booking if it is cancelled."""
    booking = bookings.find_for_update(tx, expired.tenant_id, expired.book_id)
    current = alternative_store.find_latest(tx, expired.tenant_id, expired.book_id)
    if booking is None or current != expired:  # decided meanwhile
        return None
    is_undecided = booking.status == BookingStatus.BOOKED and booking.changes == expired.number
    if expired.kind == AlternativeKind.HELD and is_undecided:
        cancellation.cancel(tx, booking, CancellationReason.STOPPED, None, EventType.ALTERNATIVE_LAPSED)
        alternative_store.close(tx, expired, AlternativeState.LAPSED)
        return booking
    if booking.status == BookingStatus.CANCELLED:
        alternative_store.close(tx, expired, AlternativeState.ENDED)
    elif expired.kind == AlternativeKind.HELD:  # rescheduled meanwhile
        _close_as_accepted(tx, booking, expired)
    else:
        alternative_store.close(tx, expired, AlternativeState.ACCEPTED)
    return None


def _wake_workers() -> None:
    outbox.wake_worker()
    outbox.wake_worker(Queue.EXTERNAL)  # sends the refunds
