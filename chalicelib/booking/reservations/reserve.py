"""Selling a slot. What decides is the INSERT: unique keys of MySQL let one booking have a slot, and a person one
booking in a half-day and one with a doctor in a day. What is looked at before only makes the refusal kinder.

Locks are taken in one order: the person, the schedule (shared, so that buyers do not wait for each other), the slot.
"""

import secrets
from datetime import timedelta

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.reservations import booking_store, notifications
from chalicelib.booking.reservations.booking_store import Wanted
from chalicelib.booking.reservations.models import Booked, HalfDayAsked, Submitted
from chalicelib.booking.schedules import rules, schedule_store, slots
from chalicelib.booking.schedules.models import since_midnight
from chalicelib.booking.schedules.rules import Rules
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.errors import Refused
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox

CODES = 10  # tries to find a code that no booking of the day has: of a million, a hospital uses thousands
SHOWN = 5  # free slots that a refusal names
HALF_DAY = {"AM": "上午", "PM": "下午"}


def submit(caller: Caller, asked: Submitted, key: str | None) -> Booked:
    """Book a slot for a member, once: again with the same member and slot it is the same booking, and with the same key
    also after it was cancelled: a copy of the request that comes late books nothing.

    Refused 404 for another's member or schedule, 400 for a slot that does not exist, 403 for who missed too often, 409
    for a slot that is gone (the text names what is free) or not offered, and for a person who has another booking.
    """
    pati_id = _person(caller, asked.member_id)
    try:
        book_id, booking = _tried(caller, asked, key, pati_id, CODES)
    except mysql.Duplicate as duplicate:
        taken = duplicate.key
        return Booked(bookId=str(mysql.autocommit(lambda tx: _lost(tx, caller, asked, key, taken))))
    if booking:
        availability.sold(booking)
        outbox.nudge()
    return Booked(bookId=str(book_id))


def check_half_day(caller: Caller, asked: HalfDayAsked) -> None:
    """Silence where the person is free; refused 409 where they have another booking then."""
    pati_id = _person(caller, asked.member_id)
    schedule = mysql.autocommit(lambda tx: found(schedule_store.find(tx, caller.tenant_id, asked.schedule_id)))
    _free(
        schedule, mysql.autocommit(lambda tx: booking_store.that_day(tx, caller.tenant_id, pati_id, asked.schedule_id))
    )


def found(row: Row | None) -> Schedule:
    if row is None:
        raise Refused(errors.NOT_FOUND, "排班不存在")
    return slots.schedule(row)


def open_slot(tx: Tx, caller: Caller, rule: Rules, schedule: Schedule, serial_no: int) -> None:
    """Refused where a slot, sold or not, could not be booked: not there, stopped, over, or not offered yet."""
    if serial_no > schedule.slots:
        raise Refused(errors.BAD_PARAMETER, f"serialNo：不能大于 {schedule.slots}")
    if schedule.stopped_at or not schedule.works:
        raise Refused(errors.CONFLICT, "该排班已停诊")
    if schedule.day > rules.last_day(rule):
        raise Refused(errors.CONFLICT, f"该号源尚未开放，只能预约今天起 {rule.days_ahead} 天内的号源")
    if schedule.is_past(serial_no):
        raise gone(tx, caller, schedule, f"{serial_no}号的就诊时间已过")


def gone(tx: Tx, caller: Caller, schedule: Schedule, why: str) -> Refused:
    """Return the refusal that names what is still free, by what MySQL says now."""
    taken = calendar_store.taken(tx, caller.tenant_id, [schedule.schedule_id])
    free = schedule.free(taken[schedule.schedule_id])
    if not free:
        return Refused(errors.CONFLICT, f"{why}，该半天已约满")
    named = "、".join(f"{one}号 {schedule.time(one)}" for one in free[:SHOWN])
    return Refused(errors.CONFLICT, f"{why}，还可预约：{named}{f' 等 {len(free)} 个号' if len(free) > SHOWN else ''}")


def _person(caller: Caller, member_id: int) -> int:
    member = mysql.autocommit(lambda tx: booking_store.member(tx, caller.tenant_id, caller.user_id, member_id))
    if member is None:
        raise Refused(errors.NOT_FOUND, "就诊人不存在")
    if member["pati_id"] is None:  # who it is, through whichever account, is known by the file alone
        raise Refused(errors.CONFLICT, "就诊人尚未建档，请先完善身份信息")
    return int(member["pati_id"])


def _tried(caller: Caller, asked: Submitted, key: str | None, pati_id: int, codes: int) -> tuple[int, Row | None]:
    try:
        return mysql.transact(lambda tx: _submit(tx, caller, asked, key, pati_id))
    except mysql.Duplicate as duplicate:
        if duplicate.key != "book_code" or codes == 1:
            raise
    return _tried(caller, asked, key, pati_id, codes - 1)


def _submit(tx: Tx, caller: Caller, asked: Submitted, key: str | None, pati_id: int) -> tuple[int, Row | None]:
    """Return the booking's number, and what was sold where it was sold now."""
    missed_since = clock.today() - timedelta(rules.MISSED_WITHIN)
    where = (caller.tenant_id, caller.user_id, key, pati_id, asked.schedule_id, asked.serial_no)
    wanted = booking_store.want(tx, *where, clock.instant(clock.today()), missed_since)
    schedule, rule = found(wanted.schedule), rules.read(wanted.rules)
    if wanted.sent:
        return _sent(wanted.sent, asked), None
    if wanted.holder and _same(wanted.holder, caller, asked):
        return wanted.holder["book_id"], None
    open_slot(tx, caller, rule, schedule, asked.serial_no)
    if wanted.holder:
        raise gone(tx, caller, schedule, f"{asked.serial_no}号已被预约")
    _free(schedule, wanted.that_day)
    _within(rule, wanted)
    booking = _sold(tx, caller, asked, key, schedule, pati_id, rule.pay_minutes)
    notifications.tell(tx, booking, notifications.BOOKED)
    return booking["book_id"], booking


def _sent(booking: Row, asked: Submitted) -> int:
    """Return the booking that this request's key has made. Refused 409 where it was another request's."""
    if any(booking[name] != getattr(asked, name) for name in ("schedule_id", "serial_no", "member_id")):
        raise Refused(errors.CONFLICT, "Idempotency-Key：已用于另一次预约")
    return int(booking["book_id"])


def _same(holder: Row, caller: Caller, asked: Submitted) -> bool:
    return bool(holder["user_id"] == caller.user_id and holder["member_id"] == asked.member_id)


def _free(schedule: Schedule, that_day: list[Row]) -> None:
    """Refused 409 where a person has what they booked for that day."""
    for other in that_day:
        if other["half"] == schedule.half:
            raise Refused(errors.CONFLICT, f"就诊人在 {schedule.day} {HALF_DAY[schedule.half]}已有预约")
        if schedule.doctor_id and other["doctor_id"] == schedule.doctor_id:
            raise Refused(errors.CONFLICT, f"就诊人在 {schedule.day} 已预约该医生")


def _within(rule: Rules, wanted: Wanted) -> None:
    if rule.daily_limit and wanted.made >= rule.daily_limit:
        raise Refused(errors.CONFLICT, f"就诊人今天已预约 {rule.daily_limit} 次，请明天再试")
    if rule.missed_limit and wanted.missed >= rule.missed_limit:
        why = f"就诊人 {rules.MISSED_WITHIN} 天内已失约 {rule.missed_limit} 次，暂时不能预约"
        raise Refused(errors.NOT_ALLOWED, why)


def _sold(
    tx: Tx, caller: Caller, asked: Submitted, key: str | None, schedule: Schedule, pati_id: int, pay_minutes: int
) -> Row:
    copied = ("schedule_id", "dept_id", "doctor_id", "day", "half", "type", "fee", "area")
    fields = {
        **{name: getattr(schedule, name) for name in copied},
        "serial_no": asked.serial_no,
        "user_id": caller.user_id,
        "member_id": asked.member_id,
        "retry_key": key.encode() if key else None,
        "pati_id": pati_id,
        "pay_by": clock.now() + pay_minutes * 60 * clock.SECOND if pay_minutes and schedule.fee else None,
        "slot_time": since_midnight(schedule.time(asked.serial_no)),
        "book_code": f"{schedule.day:%Y%m%d}{secrets.randbelow(1_000_000):06d}",
    }
    return {**fields, "tenant_id": caller.tenant_id, "book_id": booking_store.insert(tx, caller.tenant_id, fields)}


def _lost(tx: Tx, caller: Caller, asked: Submitted, key: str | None, taken: str) -> int:
    """Somebody was faster. Return the booking where it was this very request, sent twice at once."""
    if key and (sent := booking_store.sent(tx, caller.tenant_id, caller.user_id, key)):
        return _sent(sent, asked)
    schedule = found(schedule_store.find(tx, caller.tenant_id, asked.schedule_id))
    holder = booking_store.holder(tx, caller.tenant_id, asked.schedule_id, asked.serial_no)
    if holder and _same(holder, caller, asked):
        return int(holder["book_id"])
    if taken == "slot":
        raise gone(tx, caller, schedule, f"{asked.serial_no}号已被预约")
    raise Refused(errors.CONFLICT, f"就诊人在 {schedule.day} 已有预约")
