"""Give slots that are free to those who wait (候补), the first in line first.

One transaction takes a slot for one person: it locks the patient and the schedule (shared), as booking does, then the
entry. Whoever runs it, and however often it is interrupted, the order is kept: only the first entry in line gets a
slot, and while somebody waits others cannot book the slots that can still be given (Schedule.is_for_waitlist).
"""

from dataclasses import replace
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import Booking, BookingOrigin, BookingStatus, PaymentState
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.reservations import (
    booking_store,
    conflicts,
    deadlines,
    limits,
    notifications,
    reserve,
    waitlist_store,
)
from chalicelib.booking.reservations.booking_store import BookingContext, NewBooking, SlotRequest
from chalicelib.booking.reservations.waitlist_store import WaitingEntry
from chalicelib.booking.schedules import rules, slots
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.booking.waitlist import endings
from chalicelib.errors import ApiError
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox

BATCH_SIZE = 200
MAX_COLLISIONS = 20  # how often a slot or code that was chosen may be taken meanwhile


class Outcome(Enum):
    """What became of an attempt to give a slot."""

    OFFERED = auto()
    SKIPPED = auto()  # the first one in line cannot take a slot, or another process was faster
    NOTHING = auto()  # nobody waits, or nothing is free


def offer_free_slots(tenant_id: int, payload: dict[str, Any]) -> None:
    """Give the free slots of a schedule to those who wait. Handler of OFFER_WAITLIST.

    Args:
        payload: schedule_id.
    """
    if _offer_all_of(tenant_id, payload["schedule_id"]):
        outbox.wake_worker()


def offer_all() -> None:
    """Do the same for all schedules for which somebody waits, and end what is over.

    So a slot that became free while nothing could be given, or whose job was lost, is given later. A schedule that
    fails does not keep the others from being given.

    Raises:
        ExceptionGroup: what failed, after all others.
    """
    settled = waitlist_store.list_settled(mysql.autocommit, PaymentState.PAID, BookingStatus.BOOKED, BATCH_SIZE)
    for tenant_id, book_id in settled:
        _accept(tenant_id, book_id)
    given, failed = 0, []
    for tenant_id, schedule_id in waitlist_store.list_waited_for(mysql.autocommit):
        try:
            given += _offer_all_of(tenant_id, schedule_id)
        except Exception as error:
            failed.append(error)
    if given:
        outbox.wake_worker()
    if failed:
        raise ExceptionGroup("slots of schedules could not be given", failed)


def _offer_all_of(tenant_id: int, schedule_id: int) -> int:
    """Return how many slots of a schedule were given."""
    given = 0
    while True:
        schedule, rule = calendar_store.find_schedule_and_rules(mysql.autocommit, tenant_id, schedule_id)
        if schedule is None or not _is_open(schedule, rule):
            if mysql.run_transaction(lambda tx: endings.end_schedule(tx, tenant_id, schedule_id)):
                outbox.wake_worker()
            return given
        reserved = calendar_store.get_reserved_slots(mysql.autocommit, tenant_id, [schedule_id])[schedule_id]
        first = waitlist_store.find_first(mysql.autocommit, tenant_id, schedule_id)
        is_free = waitlist_store.list_offerable(schedule, rule.offer_stop_minutes, reserved)
        if first is None or not is_free or deadlines.find_notice_time(rule) > clock.now():
            return given
        outcome = _offer_to(tenant_id, first)
        given += outcome is Outcome.OFFERED
        if outcome is Outcome.NOTHING:
            return given


def _accept(tenant_id: int, book_id: int) -> None:
    mysql.run_transaction(lambda tx: waitlist_store.accept(tx, tenant_id, book_id))


def _is_open(schedule: Schedule, rule: Rules) -> bool:
    """Return whether a slot of the schedule can still be given."""
    if schedule.stopped_at or not schedule.doctor_active:
        return False
    return bool(waitlist_store.list_offerable(schedule, rule.offer_stop_minutes, frozenset()))


def _offer_to(tenant_id: int, entry: WaitingEntry) -> Outcome:
    for _ in range(MAX_COLLISIONS):
        try:
            outcome, booking = mysql.run_transaction(lambda tx: _offer_in_transaction(tx, tenant_id, entry))
        except mysql.DuplicateKeyError as duplicate:
            if duplicate.key not in ("slot", "book_code"):
                raise
            continue
        if booking:
            availability.mark_reserved(booking)
        return outcome
    return Outcome.SKIPPED


def _offer_in_transaction(tx: Tx, tenant_id: int, entry: WaitingEntry) -> tuple[Outcome, Booking | None]:
    if entry.file is None or entry.file.is_declared:  # removed, or no longer verified
        endings.end_entry(tx, tenant_id, entry)
        return Outcome.SKIPPED, None
    request = _build_request(tenant_id, entry, entry.file.pati_id)
    midnight = clock.to_instant(clock.today())
    missed_since = clock.today() - timedelta(rules.MISSED_WINDOW_DAYS)
    context = booking_store.lock_booking_context(tx, request, midnight, missed_since)
    if not waitlist_store.is_first(tx, entry, tenant_id) or context.file != entry.file:
        return Outcome.SKIPPED, None
    schedule = reserve.require_schedule(context.schedule)
    reserved = calendar_store.get_reserved_slots(tx, tenant_id, [entry.schedule_id])[entry.schedule_id]
    free = waitlist_store.list_offerable(schedule, context.rules.offer_stop_minutes, reserved)
    if not free:
        return Outcome.NOTHING, None
    serial_no = _choose_slot(schedule, free, context, request)
    if serial_no is None:
        endings.end_entry(tx, tenant_id, entry)
        return Outcome.SKIPPED, None
    return Outcome.OFFERED, _insert(tx, request, schedule, serial_no, context.rules, entry)


def _choose_slot(schedule: Schedule, free: list[int], context: BookingContext, request: SlotRequest) -> int | None:
    """Return the first free slot that the person can take, None if there is none."""
    try:
        limits.require_not_blocked(context.rules, context.counts, is_declared=False)
    except ApiError:
        return None
    for serial_no in free:
        try:
            conflicts.require_no_conflict(schedule, serial_no, context.nearby_bookings, context.rules, request.user_id)
        except ApiError:
            continue
        return serial_no
    return None


def _insert(
    tx: Tx, request: SlotRequest, schedule: Schedule, serial_no: int, rule: Rules, entry: WaitingEntry
) -> Booking:
    begins = clock.to_instant(schedule.day, slots.parse_time(schedule.get_slot_time(serial_no)))
    deadline = min(clock.now() + rule.offer_minutes * 60 * clock.SECOND, begins)
    new = NewBooking(
        request=replace(request, serial_no=serial_no),
        schedule=schedule,
        slot_time=slots.parse_time(schedule.get_slot_time(serial_no)),
        book_code=reserve.generate_book_code(schedule.day),
        pay_by=None,
        half_day_rule=rule.half_day_rule,
        confirm_by=deadline,
    )
    booking = booking_store.insert(tx, new)
    waitlist_store.mark_offered(tx, booking.tenant_id, entry, booking.book_id)
    details = {"until": clock.format_wire_time(deadline)[:16]}
    event_type = EventType.BOOKING_OFFERED
    notifications.enqueue(tx, booking.tenant_id, booking.user_id, booking.book_id, event_type, details=details)
    return booking


def _build_request(tenant_id: int, entry: WaitingEntry, pati_id: int) -> SlotRequest:
    return SlotRequest(
        tenant_id=tenant_id,
        user_id=entry.user_id,
        member_id=entry.member_id,
        pati_id=pati_id,
        is_declared=False,
        schedule_id=entry.schedule_id,
        serial_no=0,
        idempotency_key=None,
        origin=BookingOrigin.WAITLIST,
    )
