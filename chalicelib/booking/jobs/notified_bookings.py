"""The booking that a notification is about, and whether the notification is still true."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.billing import money
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.booking.closures.alternative_store import AlternativeState
from chalicelib.booking.schedules import slots
from chalicelib.notifications.event_types import EventType

BOOKED, CANCELLED, WAITING = (
    (BookingStatus.BOOKED,),
    (BookingStatus.CANCELLED,),
    (BookingStatus.BOOKED, BookingStatus.REGISTERED),
)
# The statuses that a booking has while a notification of it is true.
CURRENT_STATUSES = {
    EventType.BOOKING_MADE: BOOKED,
    EventType.BOOKING_OFFERED: BOOKED,
    EventType.BOOKING_LAPSED: CANCELLED,
    EventType.BOOKING_RESCHEDULED: BOOKED,
    EventType.BOOKING_MOVED: BOOKED,
    EventType.BOOKING_CANCELLED: CANCELLED,
    EventType.BOOKING_CANCELLED_BY_DESK: CANCELLED,
    EventType.SCHEDULE_STOPPED: CANCELLED,
    EventType.BOOKING_RELEASED: CANCELLED,
    EventType.DOCTOR_SUBSTITUTED: WAITING,  # registered patients change over too
    EventType.ALTERNATIVE_HELD: BOOKED,
    EventType.ALTERNATIVE_LAPSED: CANCELLED,
    EventType.BOOKING_REGISTERED: (BookingStatus.REGISTERED,),
    EventType.BOOKING_REMINDER: BOOKED,
    EventType.QUEUE_SOON: (BookingStatus.REGISTERED,),
    EventType.QUEUE_CALLED: (BookingStatus.REGISTERED,),
}
# Pointless once the slot has begun.
EVENTS_BEFORE_VISIT = (
    EventType.BOOKING_MADE,
    EventType.BOOKING_OFFERED,
    EventType.BOOKING_RESCHEDULED,
    EventType.BOOKING_MOVED,
    EventType.DOCTOR_SUBSTITUTED,
    EventType.ALTERNATIVE_HELD,
    EventType.BOOKING_REMINDER,
)
# What the variables of an SMS template can be.
VariableName = Literal["hospital", "patient", "time", "dept", "doctor", "area", "before", "until", "reason"]
# These do not wait for the end of quiet hours on the day of the visit: it is taken away, or about to begin.
URGENT_EVENTS = (
    EventType.SCHEDULE_STOPPED,
    EventType.ALTERNATIVE_HELD,
    EventType.ALTERNATIVE_LAPSED,
    EventType.QUEUE_SOON,
    EventType.QUEUE_CALLED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifiedBooking:
    """A booking as its notifications describe it."""

    book_id: int
    user_id: int | None
    serial_no: int
    day: date
    slot_time: timedelta  # since midnight
    fee: int  # fen
    area: str
    book_code: str
    status: BookingStatus
    payment_state: PaymentState
    confirm_by: int | None
    changes: int  # how often it was rescheduled
    dept_name: str
    doctor_name: str  # "" for a general clinic
    patient_name: str
    alternative: str  # AlternativeState of its newest alternative if it has not been moved since, else ""


def find(tx: Tx, tenant_id: int, book_id: int) -> NotifiedBooking | None:
    """Return a booking of any account, or of none; None if the tenant has no such booking."""
    row = tx.fetch_one(
        """
        SELECT b.book_id, b.user_id, b.serial_no, b.day, b.slot_time, b.fee, b.area, b.book_code, b.status,
               b.payment_state, b.confirm_by, b.changes,
               (SELECT d.name FROM departments d WHERE d.dept_id = b.dept_id) AS dept_name,
               COALESCE((SELECT s.name FROM staff s WHERE s.user_id = b.doctor_id), '') AS doctor_name,
               COALESCE((SELECT m.name FROM members m WHERE m.member_id = b.member_id), p.name) AS patient_name,
               COALESCE((SELECT a.state FROM alternatives a
                         WHERE a.book_id = b.book_id AND a.number = b.changes), '') AS alternative
        FROM bookings b JOIN patients p ON p.pati_id = b.pati_id
        WHERE b.book_id = %(book_id)s AND b.tenant_id = %(tenant_id)s
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )
    if row is None:
        return None
    parsed = {"status": BookingStatus(row["status"]), "payment_state": PaymentState(row["payment_state"])}
    return NotifiedBooking(**{**row, **parsed})


def find_of_account(tx: Tx, tenant_id: int, user_id: int | None, book_id: int) -> NotifiedBooking | None:
    """Return a booking of an account, or one without an account if user_id is None; else None."""
    booking = find(tx, tenant_id, book_id)
    return booking if booking and booking.user_id == user_id else None


def is_current(booking: NotifiedBooking, event_type: EventType, change_number: int) -> bool:
    """Return whether a notification is still true, and of use.

    Args:
        change_number: bookings.changes after the event, 0 if it cannot repeat.
    """
    if booking.status not in CURRENT_STATUSES[event_type] or change_number not in (0, booking.changes):
        return False
    if booking.day < clock.today() or (event_type in EVENTS_BEFORE_VISIT and _has_begun(booking)):
        return False
    if event_type == EventType.BOOKING_OFFERED:
        is_unpaid = booking.payment_state == PaymentState.UNPAID
        return booking.confirm_by is not None and booking.confirm_by > clock.now() and is_unpaid
    return event_type != EventType.ALTERNATIVE_HELD or booking.alternative == AlternativeState.OPEN


def is_urgent(booking: NotifiedBooking, event_type: EventType, details: Mapping[str, str]) -> bool:
    """Return whether a notification is sent in quiet hours too: a visit of today is taken away, or about to begin.

    Args:
        details: of the notification; `before` is the time from which the booking was moved.
    """
    today = clock.today()
    is_today = booking.day == today or details.get("before", "").startswith(today.isoformat())
    return is_today and event_type in URGENT_EVENTS


def build_values(booking: NotifiedBooking) -> dict[str, str]:
    """Return the values for the fields of a WeChat template, by the names that wechat_account knows."""
    return {
        "patient": booking.patient_name,
        "doctor": booking.doctor_name or "普通门诊",
        "dept": booking.dept_name,
        "time": f"{clock.format_chinese_date(booking.day)} {slots.format_time(booking.slot_time)}",
        "code": booking.book_code,
        "serial": str(booking.serial_no),
        "area": booking.area,
        "fee": f"{money.to_yuan(booking.fee):.2f}",
    }


def _has_begun(booking: NotifiedBooking) -> bool:
    return clock.now() >= clock.to_instant(booking.day, booking.slot_time)
