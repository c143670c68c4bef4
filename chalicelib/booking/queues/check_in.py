"""Check in (签到) by the code in the waiting area. At the front desk, registering a booking checks in."""

from contextlib import suppress
from functools import partial

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing import bookings
from chalicelib.billing.bookings import Booking, BookingStatus, PaymentState
from chalicelib.billing.money import to_yuan
from chalicelib.booking.queues import arrival, checkin_codes, place_store, places
from chalicelib.booking.queues.models import CheckInRequest, QueuePlace
from chalicelib.booking.queues.place_store import OwnBooking
from chalicelib.booking.reservations import booking_store
from chalicelib.booking.reservations.booking_store import PatientFileChangedError
from chalicelib.booking.reservations.models import BookId
from chalicelib.booking.reservations.reserve import MAX_FILE_CHANGES
from chalicelib.booking.schedules import rule_store, schedule_store
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox


def check_in(caller: Caller, request: CheckInRequest) -> QueuePlace:
    """Register a booking of the caller's account by the code of its department, or return with results.

    Repeating it has no further effect.

    Raises:
        ApiError: 404 if the account has no such booking; 409 for a wrong code, on another day, before or after the time
            for it, if the file is not verified, if the booking is to be paid or confirmed first, if it is cancelled or
            missed, and if its schedule is stopped; 429 after too many wrong codes.
    """
    found = _get_own(caller, request.book_id)
    checkin_codes.require_right(caller, found.dept_id, request.code)
    for _ in range(MAX_FILE_CHANGES):
        with suppress(PatientFileChangedError):
            own = _get_own(caller, request.book_id)
            mysql.run_transaction(partial(_check_in, caller=caller, own=own))
            outbox.wake_worker()
            return places.get(caller, BookId(book_id=request.book_id))
    raise ApiError(errors.UNAVAILABLE, retry_after=1)


def _get_own(caller: Caller, book_id: int) -> OwnBooking:
    own = place_store.find_own(mysql.autocommit, caller.tenant_id, caller.user_id, book_id)
    if own is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    return own


def _check_in(tx: Tx, caller: Caller, own: OwnBooking) -> None:
    # Locks are taken in the order that reservations/reserve.py documents: the patient, the schedule, the booking.
    booking_store.lock_patient(tx, caller.tenant_id, own.pati_id)
    schedule = schedule_store.find(tx, caller.tenant_id, own.schedule_id, "FOR UPDATE")
    booking = bookings.find_for_update(tx, caller.tenant_id, own.book_id)
    if booking is None or schedule is None or booking.pati_id != own.pati_id:
        raise PatientFileChangedError
    if booking.status == BookingStatus.REGISTERED:
        arrival.return_with_results(tx, caller.tenant_id, schedule, booking.book_id)
        return
    arrival.require_registrable(booking, schedule)
    _require_time(tx, booking, schedule)
    if own.is_declared:
        raise ApiError(errors.CONFLICT, "就诊人身份未核验，请持证件到前台核验并签到")
    _require_settled(booking)
    arrival.register(tx, booking, schedule, caller.user_id)


def _require_time(tx: Tx, booking: Booking, schedule: Schedule) -> None:
    minutes = rule_store.load(tx, booking.tenant_id).checkin_minutes
    opens, closes = places.find_checkin_times(booking.day, booking.slot_time, schedule.ends, minutes)
    if clock.now() < opens:
        raise ApiError(errors.CONFLICT, f"{clock.format_wire_time(opens)[11:16]} 起可签到")
    if clock.now() >= closes:
        raise ApiError(errors.CONFLICT, "该半天已结束，不能扫码签到，请到前台办理")


def _require_settled(booking: Booking) -> None:
    """Raise ApiError(CONFLICT) if the booking is to be confirmed or paid first."""
    if booking.payment_state == PaymentState.PAID:
        return
    if booking.confirm_by:
        raise ApiError(errors.CONFLICT, "请先确认候补到的号，再签到")
    if booking.pay_by and booking.fee:
        fee = f"{to_yuan(booking.fee):g}"
        raise ApiError(errors.CONFLICT, f"请先在线支付挂号费 {fee} 元，再签到；也可到收费处缴费后在前台签到")
