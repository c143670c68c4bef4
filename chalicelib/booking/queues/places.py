"""A patient's own place in the queue."""

from datetime import date, timedelta

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.queues import place_store
from chalicelib.booking.queues.models import QueuePlace, StateName
from chalicelib.booking.queues.place_store import StoredPlace
from chalicelib.booking.queues.queue_store import QueueState
from chalicelib.booking.reservations.models import BookId
from chalicelib.booking.schedules import rule_store
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller


def get(caller: Caller, request: BookId) -> QueuePlace:
    """Return the place of a booking of the caller's account. It takes as many queries however long the queue is.

    Raises:
        ApiError: 404 if the account has no such booking.
    """
    return mysql.run_autocommit(lambda tx: _load(tx, caller, request.book_id))


def find_checkin_times(day: date, slot_time: timedelta, ends: timedelta, minutes: int) -> tuple[int, int]:
    """Return from when and until when a patient can check in by code, on the day of the visit only.

    Args:
        ends: of the half-day.
        minutes: the rule checkin_minutes.
    """
    opens = clock.to_instant(day, max(slot_time - timedelta(minutes=minutes), timedelta(0)))
    return opens, clock.to_instant(day, ends)


def _load(tx: Tx, caller: Caller, book_id: int) -> QueuePlace:
    place = place_store.find_place(tx, caller.tenant_id, caller.user_id, book_id)
    if place is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    minutes = rule_store.load(tx, caller.tenant_id).checkin_minutes
    opens, closes = find_checkin_times(place.day, place.slot_time, place.ends, minutes)
    state = _get_state(place)
    return QueuePlace(
        bookId=str(book_id),
        state=state,
        before=place.before if state == "waiting" else None,
        visiSerialno=str(place.serial_no) if place.state else "",
        treaArea=place.area,
        checkinFrom=clock.format_wire_time(opens),
        checkinUntil=clock.format_wire_time(closes),
    )


def _get_state(place: StoredPlace) -> StateName:
    if place.state is None:
        return ""
    if place.state != QueueState.SEEN and (place.stopped_at or place.day < clock.today()):
        return "ended"
    return place.state.value
