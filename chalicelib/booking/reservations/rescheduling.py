"""Reschedule bookings (改期): one transaction takes the new slot and frees the old one.

The booking stays the same row, with its id, code, fee and payment; so the fees must be equal. An UPDATE under the same
unique keys as the INSERT of a new booking decides, and the locks are taken in the same order: the patient, for a
self-declared file the account, the new schedule (shared), the booking.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing import bookings
from chalicelib.billing.bookings import Booking, BookingOrigin, BookingStatus, PaymentState
from chalicelib.billing.money import to_yuan
from chalicelib.booking.calendar import availability
from chalicelib.booking.reservations import (
    booking_store,
    cancellation,
    conflicts,
    deadlines,
    limits,
    notifications,
    rescheduling_store,
    reserve,
    waitlist_store,
)
from chalicelib.booking.reservations.booking_store import (
    BookingContext,
    MemberFile,
    PatientFileChangedError,
    SlotRequest,
)
from chalicelib.booking.reservations.models import RescheduleRequest, RescheduleResult
from chalicelib.booking.reservations.rescheduling_store import EarlierChange
from chalicelib.booking.schedules import rules, schedule_store, slots
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A booking that is to have another slot, and who asks for it."""

    book_id: int
    slot: SlotRequest  # the new slot, with the booking's account, member and file
    changed_by: int  # user_id
    by_staff: bool  # the limits for patients do not apply
    idempotency_key: str | None
    is_alternative: bool = False  # the hospital has stopped the schedule: the patient's limits do not apply


def reschedule_own(caller: Caller, request: RescheduleRequest, idempotency_key: str | None) -> RescheduleResult:
    """Move a booking of the caller's account to another slot. A repeated request has no further effect.

    Raises:
        ApiError: 404 for an unknown booking or schedule; 400 for a slot that does not exist; 403 if the patient has
            missed too many bookings or consents are missing; 409 if the slot is reserved (the text names free ones),
            cannot be booked now, has another fee or conflicts with another booking, if it is too late to cancel the
            booking, or if it was rescheduled as often as the hospital allows.
    """
    return _reschedule(caller, request, idempotency_key, by_staff=False)


def choose_alternative(caller: Caller, request: RescheduleRequest) -> RescheduleResult:
    """Move a booking of the caller's account, whose schedule the hospital has stopped: without the patient's limits.

    Raises:
        ApiError: as reschedule_own, except for the limits.
    """
    return _reschedule(caller, request, None, by_staff=False, is_alternative=True)


def reschedule_for_patient(caller: Caller, request: RescheduleRequest) -> RescheduleResult:
    """Move a booking of any account to another slot, as the hospital: the patient's limits do not apply.

    Raises:
        ApiError: 404 for an unknown booking or schedule; 400 for a slot that does not exist; 409 if the slot is
            reserved, past or stopped, has another fee or conflicts with another booking of the patient, and if the
            booking is cancelled, registered, missed or of a past day.
    """
    return _reschedule(caller, request, None, by_staff=True)


def _reschedule(
    caller: Caller,
    request: RescheduleRequest,
    idempotency_key: str | None,
    by_staff: bool,
    is_alternative: bool = False,
) -> RescheduleResult:
    for _ in range(reserve.MAX_FILE_CHANGES):
        with suppress(PatientFileChangedError):
            move = _build_move(caller, request, idempotency_key, by_staff)
            booking = _move(replace(move, is_alternative=is_alternative))
            return RescheduleResult(
                bookId=str(booking.book_id),
                treaTime=f"{booking.day} {slots.format_time(booking.slot_time)}:00",
                treaNo=booking.serial_no,
            )
    raise ApiError(errors.UNAVAILABLE, retry_after=1)


def _build_move(caller: Caller, request: RescheduleRequest, idempotency_key: str | None, by_staff: bool) -> Move:
    booking = rescheduling_store.find(mysql.autocommit, caller.tenant_id, request.book_id)
    if booking is None or not (by_staff or booking.user_id == caller.user_id):
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    member_id = booking.member_id or 0
    if not by_staff and reserve.require_file(caller, member_id, with_consents=True) != booking.file:
        raise ApiError(errors.CONFLICT, "就诊人的档案已变更，请取消后重新预约")
    slot = SlotRequest(
        tenant_id=caller.tenant_id,
        user_id=booking.user_id,
        member_id=booking.member_id,
        pati_id=booking.file.pati_id,
        is_declared=booking.file.is_declared,
        schedule_id=request.schedule_id,
        serial_no=request.serial_no,
        idempotency_key=None,
        origin=BookingOrigin.DESK if by_staff else BookingOrigin.PATIENT,
    )
    return Move(
        book_id=booking.book_id,
        slot=slot,
        changed_by=caller.user_id,
        by_staff=by_staff,
        idempotency_key=idempotency_key,
    )


def _move(move: Move) -> Booking:
    """Return the booking with its new slot, to which this or an equal request has moved it.

    Raises:
        PatientFileChangedError: the booking belongs to another file now, or the file has another status.
    """
    try:
        before, booking = mysql.run_transaction(lambda tx: _move_in_transaction(tx, move))
    except mysql.DuplicateKeyError as duplicate:
        index = duplicate.key
        raise mysql.run_autocommit(lambda tx: _build_duplicate_error(tx, move, index)) from None
    if before:
        availability.mark_free(before)
        availability.mark_reserved(booking)
        outbox.wake_worker()
    return booking


def _move_in_transaction(tx: Tx, move: Move) -> tuple[Booking | None, Booking]:
    """Return the booking as it was, None if this request does not change it, and as it is now."""
    slot, tenant_id = move.slot, move.slot.tenant_id
    midnight = clock.to_instant(clock.today())
    context = booking_store.lock_booking_context(
        tx, slot, midnight, clock.today() - timedelta(rules.MISSED_WINDOW_DAYS)
    )
    booking = bookings.find_for_update(tx, tenant_id, move.book_id)
    if booking is None or booking.pati_id != slot.pati_id:
        raise PatientFileChangedError
    if not move.by_staff and context.file != MemberFile(slot.pati_id, slot.is_declared):
        raise PatientFileChangedError
    if _is_repeated(tx, move):
        return None, booking
    schedule = reserve.require_schedule(context.schedule)
    _require_state(booking)
    if (booking.schedule_id, booking.serial_no) == (slot.schedule_id, slot.serial_no):
        return None, booking
    _require_movable(tx, move, booking, context)
    require_slot(tx, move, booking, schedule, context)
    event_type = EventType.BOOKING_MOVED if move.by_staff else EventType.BOOKING_RESCHEDULED
    if move.by_staff and booking.confirm_by:  # the patient has agreed to it at the front desk
        deadlines.confirm(tx, booking, context.rules)
    return booking, apply_move(tx, move, booking, schedule, context.rules, event_type)


def _is_repeated(tx: Tx, move: Move) -> bool:
    """Return whether an earlier request had this key. Raise ApiError(CONFLICT) if that one was different."""
    slot, key = move.slot, move.idempotency_key
    earlier = rescheduling_store.find_by_idempotency_key(tx, slot.tenant_id, move.changed_by, key)
    if earlier and earlier != EarlierChange(move.book_id, slot.schedule_id, slot.serial_no):
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一次改期")
    return earlier is not None


def _require_state(booking: Booking) -> None:
    if booking.status == BookingStatus.CANCELLED:
        raise ApiError(errors.CONFLICT, "该预约已取消，请重新预约")
    if booking.status != BookingStatus.BOOKED:
        raise ApiError(errors.CONFLICT, "该预约已挂号或已失约，不能改期，如需再次就诊请重新预约")


def _require_movable(tx: Tx, move: Move, booking: Booking, context: BookingContext) -> None:
    """Raise ApiError if the booking cannot be moved to any slot."""
    if move.by_staff:
        if booking.day < clock.today():
            raise ApiError(errors.CONFLICT, "就诊日已过，不能改期，请重新预约")
        return
    if move.is_alternative:
        return
    if booking.confirm_by and booking.payment_state == PaymentState.UNPAID:
        raise ApiError(errors.CONFLICT, "请先确认候补到的号，再改期")
    rule = context.rules
    if not rule.reschedule_limit:
        raise ApiError(errors.CONFLICT, "本院不支持改期，请取消后重新预约")
    cancellation.require_in_time(tx, booking, rule, "改期")
    if booking.pay_by and booking.pay_by <= clock.now() and booking.payment_state == PaymentState.UNPAID:
        raise ApiError(errors.CONFLICT, "已过支付期限，不能改期，请重新预约")
    changes = rescheduling_store.count_changes(tx, booking.tenant_id, booking.book_id, move.changed_by)
    if changes >= rule.reschedule_limit:
        raise ApiError(errors.CONFLICT, f"每个预约最多改期 {rule.reschedule_limit} 次，请取消后重新预约")
    limits.require_not_blocked(rule, context.counts, move.slot.is_declared)


def require_slot(tx: Tx, move: Move, booking: Booking, schedule: Schedule, context: BookingContext) -> None:
    """Raise ApiError if the booking cannot be moved to the slot."""
    serial_no, tenant_id, by_staff = move.slot.serial_no, booking.tenant_id, move.by_staff
    reserve.require_bookable_slot(tx, tenant_id, context.rules, schedule, serial_no, by_staff)
    if context.slot_holder:
        raise reserve.build_unavailable_error(tx, tenant_id, schedule, f"{serial_no}号已被预约", by_staff)
    if schedule.fee != booking.fee:
        fees = f"该号源挂号费 {to_yuan(schedule.fee):g} 元，原预约 {to_yuan(booking.fee):g} 元"
        raise ApiError(errors.CONFLICT, f"{fees}，费用不同不能改期，请取消后重新预约")
    viewer_id = None if by_staff else move.slot.user_id
    others = [one for one in context.nearby_bookings if one.book_id != booking.book_id]
    conflicts.require_no_conflict(schedule, serial_no, others, context.rules, viewer_id)


def apply_move(
    tx: Tx,
    move: Move,
    booking: Booking,
    schedule: Schedule,
    rule: Rules,
    event_type: EventType,
    details: Mapping[str, str] = MappingProxyType({}),
) -> Booking:
    """Move a booking whose slot `require_slot` has checked and record the change; return it with the new slot.

    The notification is enqueued, with `details`.
    """
    serial_no = move.slot.serial_no
    slot_time = slots.parse_time(schedule.get_slot_time(serial_no))
    moved = replace(
        booking,
        schedule_id=schedule.schedule_id,
        dept_id=schedule.dept_id,
        serial_no=serial_no,
        day=schedule.day,
        slot_time=slot_time,
        changes=booking.changes + 1,
    )
    rescheduling_store.move(tx, booking, schedule, serial_no, slot_time, rule.half_day_rule)
    waitlist_store.enqueue_offers(tx, booking.tenant_id, booking.schedule_id, f"{booking.book_id}:{moved.changes}")
    rescheduling_store.insert_change(tx, booking, moved, move.changed_by, move.idempotency_key)
    before = f"{booking.day} {slots.format_time(booking.slot_time)}"
    notifications.enqueue(
        tx, booking.tenant_id, booking.user_id, booking.book_id, event_type, moved.changes, before, details
    )
    return moved


def _build_duplicate_error(tx: Tx, move: Move, index: str) -> ApiError:
    """Return the error for a unique index that has rejected the move: another request was faster."""
    slot = move.slot
    if index == "idempotency_key":
        return ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一次改期")
    if index == "slot":
        schedule = reserve.require_schedule(schedule_store.find(tx, slot.tenant_id, slot.schedule_id))
        return reserve.build_unavailable_error(
            tx, slot.tenant_id, schedule, f"{slot.serial_no}号已被预约", move.by_staff
        )
    return ApiError(errors.CONFLICT, "就诊人在该半天或当天该医生已有预约，请选择其他时间")
