"""Selling a slot. What decides is the INSERT: unique keys of MySQL let one booking have a slot, and a person one
booking in a half-day and one with a doctor in a day. What is looked at before only makes the refusal kinder.

Locks are taken in one order: the person, the schedule (shared, so that buyers do not wait for each other), the slot.
"""

import secrets
from datetime import timedelta

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import Booking, BookingStatus, PaymentState
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.reservations import booking_store, notifications
from chalicelib.booking.reservations.booking_store import BookingContext
from chalicelib.booking.reservations.models import Booked, HalfDayAsked, Submitted
from chalicelib.booking.schedules import rules, schedule_store, slots
from chalicelib.booking.schedules.models import parse_clock_time
from chalicelib.booking.schedules.rules import Rules
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox

MAX_CODE_ATTEMPTS = 10  # tries to find a code that no booking of the day has: of a million, a hospital uses thousands
MAX_SUGGESTED_SLOTS = 5  # free slots that a refusal names
HALF_DAY_LABELS = {"AM": "上午", "PM": "下午"}


def submit_booking(caller: Caller, asked: Submitted, key: str | None) -> Booked:
    """Book a slot for a member, once: again with the same member and slot it is the same booking, and with the same key
    also after it was cancelled: a copy of the request that comes late books nothing.

    ApiError 404 for another's member or schedule, 400 for a slot that does not exist, 403 for who missed too often, 409
    for a slot that is gone (the text names what is free) or not offered, and for a person who has another booking.
    """
    pati_id = _require_patient_id(caller, asked.member_id)
    try:
        book_id, booking = _submit_with_retry(caller, asked, key, pati_id, MAX_CODE_ATTEMPTS)
    except mysql.DuplicateKeyError as duplicate:
        taken = duplicate.key
        return Booked(bookId=str(mysql.run_autocommit(lambda tx: _resolve_duplicate(tx, caller, asked, key, taken))))
    if booking:
        availability.mark_reserved(booking)
        outbox.wake_worker()
    return Booked(bookId=str(book_id))


def check_half_day(caller: Caller, asked: HalfDayAsked) -> None:
    """Silence where the person is free; refused 409 where they have another booking then."""
    pati_id = _require_patient_id(caller, asked.member_id)
    schedule = mysql.run_autocommit(
        lambda tx: require_schedule(schedule_store.find(tx, caller.tenant_id, asked.schedule_id))
    )
    _require_no_conflict(
        schedule,
        booking_store.list_same_day(mysql.autocommit, caller.tenant_id, pati_id, asked.schedule_id),
    )


def require_schedule(row: Row | None) -> Schedule:
    if row is None:
        raise ApiError(errors.NOT_FOUND, "排班不存在")
    return slots.parse_schedule(row)


def require_open_slot(tx: Tx, caller: Caller, rule: Rules, schedule: Schedule, serial_no: int) -> None:
    """ApiError where a slot, sold or not, could not be booked: not there, stopped, over, or not offered yet."""
    if serial_no > schedule.slots:
        raise ApiError(errors.BAD_PARAMETER, f"serialNo：不能大于 {schedule.slots}")
    if schedule.stopped_at or not schedule.doctor_active:
        raise ApiError(errors.CONFLICT, "该排班已停诊")
    if schedule.day > rules.get_last_bookable_day(rule):
        raise ApiError(errors.CONFLICT, f"该号源尚未开放，只能预约今天起 {rule.days_ahead} 天内的号源")
    if schedule.is_past(serial_no):
        raise build_unavailable_error(tx, caller, schedule, f"{serial_no}号的就诊时间已过")


def build_unavailable_error(tx: Tx, caller: Caller, schedule: Schedule, why: str) -> ApiError:
    """Return the refusal that names what is still free, by what MySQL says now."""
    taken = calendar_store.get_reserved_slots(tx, caller.tenant_id, [schedule.schedule_id])
    free = schedule.list_free_slots(taken[schedule.schedule_id])
    if not free:
        return ApiError(errors.CONFLICT, f"{why}，该半天已约满")
    named = "、".join(f"{one}号 {schedule.get_slot_time(one)}" for one in free[:MAX_SUGGESTED_SLOTS])
    return ApiError(
        errors.CONFLICT, f"{why}，还可预约：{named}{f' 等 {len(free)} 个号' if len(free) > MAX_SUGGESTED_SLOTS else ''}"
    )


def _require_patient_id(caller: Caller, member_id: int) -> int:
    member = booking_store.find_member(mysql.autocommit, caller.tenant_id, caller.user_id, member_id)
    if member is None:
        raise ApiError(errors.NOT_FOUND, "就诊人不存在")
    if member["pati_id"] is None:  # who it is, through whichever account, is known by the file alone
        raise ApiError(errors.CONFLICT, "就诊人尚未建档，请先完善身份信息")
    return int(member["pati_id"])


def _submit_with_retry(
    caller: Caller, asked: Submitted, key: str | None, pati_id: int, codes: int
) -> tuple[int, Booking | None]:
    try:
        return mysql.run_transaction(lambda tx: _submit_in_transaction(tx, caller, asked, key, pati_id))
    except mysql.DuplicateKeyError as duplicate:
        if duplicate.key != "book_code" or codes == 1:
            raise
    return _submit_with_retry(caller, asked, key, pati_id, codes - 1)


def _submit_in_transaction(
    tx: Tx, caller: Caller, asked: Submitted, key: str | None, pati_id: int
) -> tuple[int, Booking | None]:
    """Return the booking's number, and what was sold where it was sold now."""
    missed_since = clock.today() - timedelta(rules.MISSED_WINDOW_DAYS)
    where = (caller.tenant_id, caller.user_id, key, pati_id, asked.schedule_id, asked.serial_no)
    wanted = booking_store.lock_booking_context(tx, *where, clock.to_instant(clock.today()), missed_since)
    schedule, rule = require_schedule(wanted.schedule), rules.parse_row(wanted.rules)
    if wanted.earlier_booking:
        return _get_earlier_booking_id(wanted.earlier_booking, asked), None
    if wanted.slot_holder and _is_same_request(wanted.slot_holder, caller, asked):
        return wanted.slot_holder["book_id"], None
    require_open_slot(tx, caller, rule, schedule, asked.serial_no)
    if wanted.slot_holder:
        raise build_unavailable_error(tx, caller, schedule, f"{asked.serial_no}号已被预约")
    _require_no_conflict(schedule, wanted.same_day_bookings)
    _require_within_limits(rule, wanted)
    booking = _insert_booking(tx, caller, asked, key, schedule, pati_id, rule.pay_minutes)
    notifications.enqueue(tx, booking.tenant_id, booking.user_id, booking.book_id, EventType.BOOKING_MADE)
    return booking.book_id, booking


def _get_earlier_booking_id(booking: Row, asked: Submitted) -> int:
    """Return the booking that this request's key has made. ApiError 409 where it was another request's."""
    if any(booking[name] != getattr(asked, name) for name in ("schedule_id", "serial_no", "member_id")):
        raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一次预约")
    return int(booking["book_id"])


def _is_same_request(holder: Row, caller: Caller, asked: Submitted) -> bool:
    return bool(holder["user_id"] == caller.user_id and holder["member_id"] == asked.member_id)


def _require_no_conflict(schedule: Schedule, that_day: list[Row]) -> None:
    """ApiError 409 where a person has what they booked for that day."""
    for other in that_day:
        if other["half_day"] == schedule.half_day:
            raise ApiError(errors.CONFLICT, f"就诊人在 {schedule.day} {HALF_DAY_LABELS[schedule.half_day]}已有预约")
        if schedule.doctor_id and other["doctor_id"] == schedule.doctor_id:
            raise ApiError(errors.CONFLICT, f"就诊人在 {schedule.day} 已预约该医生")


def _require_within_limits(rule: Rules, wanted: BookingContext) -> None:
    if rule.daily_limit and wanted.created_today_count >= rule.daily_limit:
        raise ApiError(errors.CONFLICT, f"就诊人今天已预约 {rule.daily_limit} 次，请明天再试")
    if rule.missed_limit and wanted.missed_count >= rule.missed_limit:
        why = f"就诊人 {rules.MISSED_WINDOW_DAYS} 天内已失约 {rule.missed_limit} 次，暂时不能预约"
        raise ApiError(errors.NOT_ALLOWED, why)


def _insert_booking(
    tx: Tx, caller: Caller, asked: Submitted, key: str | None, schedule: Schedule, pati_id: int, pay_minutes: int
) -> Booking:
    copied = ("schedule_id", "dept_id", "doctor_id", "day", "half_day", "type", "fee", "area")
    fields = {
        **{name: getattr(schedule, name) for name in copied},
        "serial_no": asked.serial_no,
        "user_id": caller.user_id,
        "member_id": asked.member_id,
        "idempotency_key": key.encode() if key else None,
        "pati_id": pati_id,
        "pay_by": clock.now() + pay_minutes * 60 * clock.SECOND if pay_minutes and schedule.fee else None,
        "slot_time": parse_clock_time(schedule.get_slot_time(asked.serial_no)),
        "book_code": f"{schedule.day:%Y%m%d}{secrets.randbelow(1_000_000):06d}",
    }
    return Booking(
        **{name: fields[name] for name in Booking.__dataclass_fields__ if name in fields},
        tenant_id=caller.tenant_id,
        book_id=booking_store.insert(tx, caller.tenant_id, fields),
        status=BookingStatus.BOOKED,
        payment_state=PaymentState.UNPAID,
    )


def _resolve_duplicate(tx: Tx, caller: Caller, asked: Submitted, key: str | None, taken: str) -> int:
    """Somebody was faster. Return the booking where it was this very request, sent twice at once."""
    if key and (sent := booking_store.find_by_idempotency_key(tx, caller.tenant_id, caller.user_id, key)):
        return _get_earlier_booking_id(sent, asked)
    schedule = require_schedule(schedule_store.find(tx, caller.tenant_id, asked.schedule_id))
    holder = booking_store.find_slot_holder(tx, caller.tenant_id, asked.schedule_id, asked.serial_no)
    if holder and _is_same_request(holder, caller, asked):
        return int(holder["book_id"])
    if taken == "slot":
        raise build_unavailable_error(tx, caller, schedule, f"{asked.serial_no}号已被预约")
    raise ApiError(errors.CONFLICT, f"就诊人在 {schedule.day} 已有预约")
