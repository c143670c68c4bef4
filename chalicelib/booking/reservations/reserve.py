"""Reserve slots.

The INSERT decides: unique keys of MySQL let a slot have one booking, and a patient one booking in a half-day and one
with a doctor on a day. For these rules, the checks before it only produce helpful messages. Limits, the gap between a
patient's bookings, stopped schedules and past slots have no unique key: the checks enforce them, under the locks.

Locks are taken in this order: the patient, for a self-declared file the account, the schedule (shared, so that
reservations do not wait for each other), the slot.
"""

import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import Booking, BookingOrigin
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.reservations import (
    booking_store,
    conflicts,
    deadlines,
    desk_store,
    limits,
    notifications,
    suggestions,
)
from chalicelib.booking.reservations.booking_store import (
    EarlierBooking,
    MemberFile,
    NewBooking,
    PatientFileChangedError,
    SlotHolder,
    SlotRequest,
)
from chalicelib.booking.reservations.models import HalfDayCheckRequest, SubmitRequest, SubmitResult
from chalicelib.booking.schedules import rule_store, rules, schedule_store, slots
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.booking.schedules.slots import Schedule, Share
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox

MAX_CODE_ATTEMPTS = 10  # of a million codes per day, a hospital uses thousands
MAX_FILE_CHANGES = 3  # how often a request starts with a file that is merged, verified or split before it is locked
MAX_SUGGESTED_SLOTS = 5  # free slots that an error text names


def submit_booking(caller: Caller, request: SubmitRequest, idempotency_key: str | None) -> SubmitResult:
    """Book a slot for a member of the caller's account.

    A repeated request with the same member and slot returns the same booking. With the same idempotency key it does so
    even after the booking was cancelled, so that a late duplicate request does not book again.

    Raises:
        ApiError: 404 for an unknown member or schedule, 400 for a slot that does not exist, 403 if the patient has
            missed too many bookings or the account has not given the consents that the hospital requires, 409 if the
            slot is reserved (the text names free ones), cannot be booked now, or the patient has a conflicting booking
            (the text names it), and above the limits of limits.py.
    """
    for _ in range(MAX_FILE_CHANGES):
        with suppress(PatientFileChangedError):
            return SubmitResult(bookId=str(submit(_build_slot_request(caller, request, idempotency_key))))
    raise ApiError(errors.UNAVAILABLE, retry_after=1)


def check_half_day(caller: Caller, request: HalfDayCheckRequest) -> None:
    """Return None if the patient is free for at least one slot of a schedule.

    Raises:
        ApiError: 404 for an unknown member or schedule, 409 if all slots conflict with bookings of the patient.
    """
    pati_id = require_file(caller, request.member_id).pati_id
    schedule = require_schedule(schedule_store.find(mysql.autocommit, caller.tenant_id, request.schedule_id))
    nearby = booking_store.list_nearby(mysql.autocommit, caller.tenant_id, pati_id, request.schedule_id)
    if nearby:
        rule = rule_store.load(mysql.autocommit, caller.tenant_id)
        conflicts.require_some_slot(schedule, nearby, rule, caller.user_id)


def require_file(caller: Caller, member_id: int, with_consents: bool = False) -> MemberFile:
    """Return the patient file of a member of the caller's account.

    Raises:
        ApiError: 404 for an unknown member, 409 if it has no file; 403, with_consents, if a consent is missing.
    """
    member = booking_store.find_member(mysql.autocommit, caller.tenant_id, caller.user_id, member_id)
    if member is None:
        raise ApiError(errors.NOT_FOUND, "就诊人不存在")
    if member.file is None:  # only the patient file identifies a person across accounts
        raise ApiError(errors.CONFLICT, "就诊人尚未建档，请先完善身份信息")
    if with_consents:
        member.consents.require(member.birthday)
    return member.file


def require_schedule(schedule: Schedule | None) -> Schedule:
    """Return the schedule. Raise ApiError(NOT_FOUND) if there is none."""
    if schedule is None:
        raise ApiError(errors.NOT_FOUND, "排班不存在")
    return schedule


def require_bookable_slot(
    tx: Tx, tenant_id: int, rule: Rules, schedule: Schedule, serial_no: int, for_desk: bool = False
) -> None:
    """Raise ApiError if a slot could not be booked even if it is free.

    Args:
        for_desk: the front desk books, also before patients can, and slots that are reserved for it.

    Raises:
        ApiError: 400 if the slot does not exist, 409 if it is past or the schedule is stopped or cannot be booked yet.
    """
    if serial_no > schedule.slots:
        raise ApiError(errors.BAD_PARAMETER, f"serialNo：不能大于 {schedule.slots}")
    require_open(tx, tenant_id, schedule, for_desk)
    if not for_desk:
        _require_released(tx, tenant_id, rule, schedule, serial_no)
    if schedule.is_for_waitlist(serial_no):
        raise ApiError(errors.CONFLICT, "该半天有患者在候补，空出的号源候补优先，可加入候补")
    if schedule.is_past(serial_no):
        raise build_unavailable_error(tx, tenant_id, schedule, f"{serial_no}号的就诊时间已过", for_desk)


def require_open(tx: Tx, tenant_id: int, schedule: Schedule, for_desk: bool) -> None:
    """Raise ApiError(CONFLICT), which names other half-days, if a schedule is stopped, or its doctor has left."""
    if schedule.stopped_at or not schedule.doctor_active:
        others = suggestions.describe_other_half_days(tx, tenant_id, schedule, for_desk)
        raise ApiError(errors.CONFLICT, f"该排班已停诊{others}")


def _require_released(tx: Tx, tenant_id: int, rule: Rules, schedule: Schedule, serial_no: int) -> None:
    """Raise ApiError(CONFLICT) if patients cannot book a slot, or not yet."""
    if schedule.day > rules.get_last_bookable_day(rule):
        raise ApiError(errors.CONFLICT, f"该号源尚未开放，只能预约今天起 {rule.days_ahead} 天内的号源")
    if schedule.released_at and not schedule.is_released():
        raise ApiError(errors.CONFLICT, f"该号源将于 {clock.format_wire_time(schedule.released_at)[:16]} 放号")
    share = schedule.get_share(serial_no)
    if share is Share.DESK:
        raise build_unavailable_error(tx, tenant_id, schedule, f"{serial_no}号由医院窗口预约")
    if share is Share.SAME_DAY and schedule.day > clock.today():
        raise build_unavailable_error(tx, tenant_id, schedule, f"{serial_no}号为当日号，就诊当天才能预约")


def build_unavailable_error(
    tx: Tx, tenant_id: int, schedule: Schedule, reason: str, for_desk: bool = False
) -> ApiError:
    """Return the error for a slot that cannot be booked, which names slots or half-days that are free by MySQL."""
    reserved = calendar_store.get_reserved_slots(tx, tenant_id, [schedule.schedule_id])
    free = schedule.list_free_slots(reserved[schedule.schedule_id], for_desk)
    if not free:
        others = suggestions.describe_other_half_days(tx, tenant_id, schedule, for_desk)
        return ApiError(errors.CONFLICT, f"{reason}，该半天已约满{others}")
    suggested = "、".join(f"{number}号 {schedule.get_slot_time(number)}" for number in free[:MAX_SUGGESTED_SLOTS])
    total = f" 等 {len(free)} 个号" if len(free) > MAX_SUGGESTED_SLOTS else ""
    return ApiError(errors.CONFLICT, f"{reason}，还可预约：{suggested}{total}")


def _build_slot_request(caller: Caller, request: SubmitRequest, idempotency_key: str | None) -> SlotRequest:
    file = require_file(caller, request.member_id, with_consents=True)
    return SlotRequest(
        tenant_id=caller.tenant_id,
        user_id=caller.user_id,
        member_id=request.member_id,
        pati_id=file.pati_id,
        is_declared=file.is_declared,
        schedule_id=request.schedule_id,
        serial_no=request.serial_no,
        idempotency_key=idempotency_key,
    )


def submit(request: SlotRequest) -> int:
    """Book a slot; return the book_id of its booking, which this or an equal request created.

    Raises:
        PatientFileChangedError: the member has another file now, or the file another status.
    """
    try:
        book_id, booking = _submit_with_retry(request)
    except mysql.DuplicateKeyError as duplicate:
        index = duplicate.key
        return mysql.run_autocommit(lambda tx: _resolve_duplicate(tx, request, index))
    if booking:
        availability.mark_reserved(booking)
        outbox.wake_worker()
    return book_id


def _submit_with_retry(request: SlotRequest) -> tuple[int, Booking | None]:
    """Submit again with another book_code, or another number of an additional slot, as long as it is taken.

    Returns as _submit_in_transaction.
    """
    attempts = MAX_CODE_ATTEMPTS
    retried = ("book_code", "slot") if request.origin is BookingOrigin.ADDITIONAL else ("book_code",)
    while True:
        try:
            return mysql.run_transaction(lambda tx: _submit_in_transaction(tx, request))
        except mysql.DuplicateKeyError as duplicate:
            attempts -= 1
            if duplicate.key not in retried or not attempts:
                raise


def _submit_in_transaction(tx: Tx, request: SlotRequest) -> tuple[int, Booking | None]:
    """Return the book_id, and the booking if this request created it."""
    midnight = clock.to_instant(clock.today())
    missed_since = clock.today() - timedelta(rules.MISSED_WINDOW_DAYS)
    context = booking_store.lock_booking_context(tx, request, midnight, missed_since)
    if context.file != MemberFile(request.pati_id, request.is_declared):
        raise PatientFileChangedError
    schedule = require_schedule(context.schedule)
    if context.earlier_booking:
        return _get_earlier_booking_id(context.earlier_booking, request), None
    if context.slot_holder and _is_same_request(context.slot_holder, request):
        return context.slot_holder.book_id, None
    if request.origin is BookingOrigin.ADDITIONAL:
        if earlier := desk_store.find_additional(tx, request.tenant_id, request.schedule_id, request.pati_id):
            return earlier, None
        request = replace(request, serial_no=_choose_additional_slot(tx, request, schedule))
    else:
        require_bookable_slot(
            tx, request.tenant_id, context.rules, schedule, request.serial_no, request.origin.by_staff
        )
    if context.slot_holder:
        raise _build_reserved_error(tx, request, schedule)
    viewer_id = None if request.origin.by_staff else request.user_id
    conflicts.require_no_conflict(schedule, request.serial_no, context.nearby_bookings, context.rules, viewer_id)
    if not request.origin.by_staff:
        limits.require_within_limits(context.rules, context.counts, request.is_declared)
    booking = _insert_booking(tx, request, schedule, context.rules)
    notifications.enqueue(tx, booking.tenant_id, booking.user_id, booking.book_id, EventType.BOOKING_MADE)
    return booking.book_id, booking


def generate_book_code(day: date) -> str:
    """Return a code for a booking of a day, which may be taken."""
    return f"{day:%Y%m%d}{secrets.randbelow(1_000_000):06d}"


def _get_earlier_booking_id(booking: EarlierBooking, request: SlotRequest) -> int:
    """Return the booking of an idempotency key. Raise ApiError(CONFLICT) if the key belongs to another request."""
    if any(getattr(booking, name) != getattr(request, name) for name in ("schedule_id", "serial_no", "member_id")):
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一次预约")
    return booking.book_id


def _choose_additional_slot(tx: Tx, request: SlotRequest, schedule: Schedule) -> int:
    """Return a number for an additional slot of a schedule, until its end."""
    require_open(tx, request.tenant_id, schedule, for_desk=True)
    if clock.now() >= clock.to_instant(schedule.day, schedule.ends):
        raise ApiError(errors.CONFLICT, "该半天已结束，不能加号")
    return desk_store.find_last_serial_no(tx, request.tenant_id, request.schedule_id, schedule.slots) + 1


def _build_reserved_error(tx: Tx, request: SlotRequest, schedule: Schedule) -> ApiError:
    reason = f"{request.serial_no}号已被预约"
    return build_unavailable_error(tx, request.tenant_id, schedule, reason, request.origin.by_staff)


def _is_same_request(holder: SlotHolder, request: SlotRequest) -> bool:
    if request.origin.by_staff:
        return holder.pati_id == request.pati_id
    return holder.user_id == request.user_id and holder.member_id == request.member_id


def _insert_booking(tx: Tx, request: SlotRequest, schedule: Schedule, rule: Rules) -> Booking:
    new = NewBooking(
        request=request,
        schedule=schedule,
        slot_time=slots.parse_time(schedule.get_slot_time(request.serial_no)),
        book_code=generate_book_code(schedule.day),
        half_day_rule=rule.half_day_rule,
        pay_by=None if request.till_receipt_no else deadlines.compute_pay_by(rule, schedule.fee, request.user_id),
    )
    return booking_store.insert(tx, new)


def _resolve_duplicate(tx: Tx, request: SlotRequest, index: str) -> int:
    """Return the booking that a concurrent duplicate of this request created, after a unique index rejected this one.

    Raises:
        ApiError: 409 if another request was faster.
    """
    if request.idempotency_key and (earlier := booking_store.find_by_idempotency_key(tx, request)):
        return _get_earlier_booking_id(earlier, request)
    schedule = require_schedule(schedule_store.find(tx, request.tenant_id, request.schedule_id))
    holder = booking_store.find_slot_holder(tx, request.tenant_id, request.schedule_id, request.serial_no)
    if holder and _is_same_request(holder, request):
        return holder.book_id
    if index == "slot":
        raise _build_reserved_error(tx, request, schedule)
    nearby = booking_store.list_nearby(tx, request.tenant_id, request.pati_id, request.schedule_id)
    viewer_id = None if request.origin.by_staff else request.user_id
    conflicts.require_no_conflict(schedule, request.serial_no, nearby, Rules(gap_minutes=0), viewer_id)
    raise ApiError(errors.CONFLICT, f"就诊人在 {schedule.day} 已有预约，请选择其他日期")
