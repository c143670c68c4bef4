"""Hold another slot for the patient of a stopped schedule.

The booking itself is moved to the slot, as by rescheduling, so that its payment stays and no other row can hold the
slot. Unless the patient accepts it in time, the booking is cancelled and refunded; its own deadlines, to confirm and to
pay, do not apply meanwhile. Under its lock a booking is either
moved or cancelled, so a job that was interrupted holds one slot for each patient when it is repeated.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import islice

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing import bookings
from chalicelib.billing.bookings import Booking, BookingStatus
from chalicelib.booking.calendar import availability, calendar_store
from chalicelib.booking.closures import alternative_store
from chalicelib.booking.closures.alternative_store import AlternativeKind, StoppedBooking
from chalicelib.booking.reservations import (
    booking_store,
    conflicts,
    deadlines,
    rescheduling,
    rescheduling_store,
    reserve,
)
from chalicelib.booking.reservations.booking_store import PatientFileChangedError, SlotRequest
from chalicelib.booking.reservations.rescheduling import Move
from chalicelib.booking.schedules import rule_store, rules, slots
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.errors import ApiError
from chalicelib.notifications.event_types import EventType

MAX_ATTEMPTS = 5  # slots that others may take while they are tried
MIN_RESPONSE_TIME = 2 * 3600 * clock.SECOND  # from when the patient knows of it until the slot begins


def hold(tenant_id: int, book_id: int, stopped: Schedule, stopped_by: int) -> bool:
    """Move a booking of a stopped schedule to another slot, which is held, and enqueue its notification.

    Call outbox.wake_worker() afterwards.

    Returns:
        False if the booking is to be cancelled instead: the visit was today, or there is no slot for the patient.
    """
    rule = rule_store.load(mysql.autocommit, tenant_id)
    booking = alternative_store.find_booking(mysql.autocommit, tenant_id, book_id)
    if not rule.hold_hours or stopped.day <= clock.today() or booking is None or booking.status != BookingStatus.BOOKED:
        return False
    earliest = deadlines.find_notice_time(rule) + MIN_RESPONSE_TIME
    free = iter_free_slots(mysql.autocommit, tenant_id, booking, rule, earliest)
    for schedule, serial_no in islice(free, MAX_ATTEMPTS):
        with suppress(_SlotTakenError):
            return _try_to_hold(tenant_id, book_id, stopped, schedule, serial_no, stopped_by)
    return False


def iter_free_slots(
    tx: Tx, tenant_id: int, booking: StoppedBooking, rule: Rules, earliest: int = 0
) -> Iterator[tuple[Schedule, int]]:
    """Yield slots that can replace that of a booking, of each schedule the one nearest to the booking's time of day.

    Those of the same doctor come first, then the earliest. They have the same fee and do not conflict with other
    bookings of the patient.

    Args:
        earliest: no slot begins before.
    """
    for schedule in alternative_store.list_candidates(tx, tenant_id, booking, rules.get_last_bookable_day(rule)):
        reserved = calendar_store.get_reserved_slots(tx, tenant_id, [schedule.schedule_id])
        nearby = booking_store.list_nearby(tx, tenant_id, booking.pati_id, schedule.schedule_id)
        others = [one for one in nearby if one.book_id != booking.book_id]

        def compute_distance(number: int, schedule: Schedule = schedule) -> timedelta:
            return abs(slots.parse_time(schedule.get_slot_time(number)) - booking.slot_time)

        for serial_no in sorted(schedule.list_free_slots(reserved[schedule.schedule_id]), key=compute_distance):
            if _find_begin(schedule, serial_no) < earliest:
                continue
            with suppress(ApiError):
                reserve.require_bookable_slot(tx, tenant_id, rule, schedule, serial_no)
                conflicts.require_no_conflict(schedule, serial_no, others, rule, 0)
                yield schedule, serial_no
                break


def _find_begin(schedule: Schedule, serial_no: int) -> int:
    return clock.to_instant(schedule.day, slots.parse_time(schedule.get_slot_time(serial_no)))


class _SlotTakenError(Exception):
    """The slot cannot be held: another request was faster."""


def _try_to_hold(
    tenant_id: int, book_id: int, stopped: Schedule, schedule: Schedule, serial_no: int, stopped_by: int
) -> bool:
    """Return True if the booking is moved, or needs nothing any more; False if it is to be cancelled.

    Raises:
        _SlotTakenError
    """
    for _ in range(reserve.MAX_FILE_CHANGES):
        found = rescheduling_store.find(mysql.autocommit, tenant_id, book_id)
        if found is None or found.user_id is None:  # without an account nobody could accept it
            return False
        slot = SlotRequest(
            tenant_id=tenant_id,
            user_id=found.user_id,
            member_id=found.member_id,
            pati_id=found.file.pati_id,
            is_declared=found.file.is_declared,
            schedule_id=schedule.schedule_id,
            serial_no=serial_no,
            idempotency_key=None,
        )
        move = Move(book_id=book_id, slot=slot, changed_by=stopped_by, by_staff=True, idempotency_key=None)
        with suppress(PatientFileChangedError):
            moved = _run(move, stopped)
            if moved:
                before, after = moved
                availability.mark_free(before)
                availability.mark_reserved(after)
            return True
    return False


def _run(move: Move, stopped: Schedule) -> tuple[Booking, Booking] | None:
    try:
        return mysql.run_transaction(lambda tx: _hold_in_transaction(tx, move, stopped))
    except mysql.DuplicateKeyError as error:
        raise _SlotTakenError from error
    except ApiError as error:
        if error.kind in (errors.CONFLICT, errors.BAD_PARAMETER, errors.NOT_FOUND):
            raise _SlotTakenError from error
        raise


def _hold_in_transaction(tx: Tx, move: Move, stopped: Schedule) -> tuple[Booking, Booking] | None:
    """Return the booking before and after; None if it is not booked at the stopped schedule any more."""
    midnight = clock.to_instant(clock.today())
    context = booking_store.lock_booking_context(
        tx, move.slot, midnight, clock.today() - timedelta(rules.MISSED_WINDOW_DAYS)
    )
    booking = bookings.find_for_update(tx, move.slot.tenant_id, move.book_id)
    if booking is None or (booking.schedule_id, booking.status) != (stopped.schedule_id, BookingStatus.BOOKED):
        return None
    if booking.pati_id != move.slot.pati_id:
        raise PatientFileChangedError
    schedule = reserve.require_schedule(context.schedule)
    rescheduling.require_slot(tx, move, booking, schedule, context)
    held_until = deadlines.find_notice_time(context.rules) + context.rules.hold_hours * 3600 * clock.SECOND
    expires_at = min(held_until, _find_begin(schedule, move.slot.serial_no))
    details = {
        "reason": alternative_store.find_stop_reason(tx, booking.tenant_id, stopped.schedule_id),
        "until": clock.format_wire_time(expires_at)[:16],
    }
    deadlines.suspend(tx, booking)
    moved = rescheduling.apply_move(tx, move, booking, schedule, context.rules, EventType.ALTERNATIVE_HELD, details)
    alternative_store.insert(tx, moved, stopped.schedule_id, AlternativeKind.HELD, expires_at)
    return booking, moved
