"""Bookings as booking and payment share them: status, payment state, and the row lock that serialises both.

Booking and payment each decide under the lock of the booking's row, so each sees the other's decision.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum, StrEnum
from typing import Any

from chalicelib.adapters.mysql import Tx


class BookingStatus(IntEnum):
    """bookStatus of document 003."""

    BOOKED = 0
    CANCELLED = 1
    REGISTERED = 2
    MISSED = 3


class PaymentState(IntEnum):
    """visiCharge of document 003."""

    UNPAID = 1
    PAID = 2


class CancellationReason(StrEnum):
    """Why a booking was cancelled; cancelReason in the API, which shows "" for a booking that is not cancelled."""

    PATIENT = "patient"
    STOPPED = "stopped"
    UNPAID = "unpaid"
    LAPSED = "lapsed"  # what the waitlist gave was not confirmed in time
    DESK = "desk"  # by the front desk


class BookingOrigin(StrEnum):
    """How a booking came about."""

    PATIENT = "patient"
    DESK = "desk"  # booked by the front desk
    ADDITIONAL = "additional"  # an additional slot (加号) for a named patient
    WAITLIST = "waitlist"  # given to the first one who waited

    @property
    def by_staff(self) -> bool:
        """Whether the hospital booked, to which the limits for patients do not apply."""
        return self in (BookingOrigin.DESK, BookingOrigin.ADDITIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A booking that this transaction has locked."""

    book_id: int
    tenant_id: int
    schedule_id: int
    dept_id: int
    serial_no: int  # the slot's number, from 1
    user_id: int | None  # the account that booked; None if the front desk booked for a patient without one
    pati_id: int
    day: date
    slot_time: timedelta  # since midnight
    fee: int  # fen
    status: BookingStatus
    payment_state: PaymentState
    pay_by: int | None  # payment deadline, None if there is none
    changes: int  # how often it was rescheduled
    confirm_by: int | None = None  # what the waitlist gave is to be confirmed by then
    paid_at_till: bool = False  # paid at the hospital's till: we have nothing to refund
    seen_at: int | None = None  # when the doctor saw the patient

    @property
    def is_payable(self) -> bool:
        """Whether a payment for the booking would be accepted."""
        return is_payable(self.status, self.payment_state)

    @property
    def payable_until(self) -> int | None:
        """When the booking is cancelled unless it is paid, None if never: what the waitlist gave, unless confirmed."""
        confirm_by = self.confirm_by if self.status == BookingStatus.BOOKED else None
        return min((one for one in (self.pay_by, confirm_by) if one is not None), default=None)


def is_payable(status: int, payment_state: int) -> bool:
    """Return whether a payment is accepted in these states: unpaid, and neither cancelled nor missed."""
    return status in (BookingStatus.BOOKED, BookingStatus.REGISTERED) and payment_state == PaymentState.UNPAID


def find_for_update(tx: Tx, tenant_id: int, book_id: int) -> Booking | None:
    """Lock a booking of any account until the commit and return it; None if the tenant has no such booking."""
    row = tx.fetch_one(
        """
        SELECT book_id, tenant_id, schedule_id, dept_id, serial_no, user_id, pati_id, day, slot_time, fee, status,
               payment_state, pay_by, changes, confirm_by, till_receipt_no IS NOT NULL AS paid_at_till, seen_at
        FROM bookings WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s FOR UPDATE
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )
    if row is None:
        return None
    parsed: dict[str, Any] = {
        "status": BookingStatus(row["status"]),
        "payment_state": PaymentState(row["payment_state"]),
        "paid_at_till": bool(row["paid_at_till"]),
    }
    return Booking(**{**row, **parsed})


def has_member_to_come(tx: Tx, tenant_id: int, member_id: int) -> bool:
    """Return whether a member has a booking that is neither cancelled, registered nor missed."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM bookings
        WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s AND status = %(booked)s LIMIT 1
        """,
        tenant_id=tenant_id,
        member_id=member_id,
        booked=BookingStatus.BOOKED,
    )
    return found is not None


def mark_paid(tx: Tx, booking: Booking) -> None:
    """Mark a booking that `find_for_update` has locked as paid."""
    tx.execute(
        "UPDATE bookings SET payment_state = %(paid)s WHERE book_id = %(book_id)s",
        paid=PaymentState.PAID,
        book_id=booking.book_id,
    )
