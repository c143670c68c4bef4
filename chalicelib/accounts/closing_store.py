"""SQL of closing an account: what prevents it, and what happens to patient files."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import BookingStatus
from chalicelib.billing.refunds_due import RefundState

OPEN_REFUND_STATES = (RefundState.PENDING, RefundState.PROCESSING, RefundState.ABNORMAL)
MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class LiveBooking:
    """A booking to come."""

    member_name: str
    day: date
    slot_time: timedelta  # since midnight


@dataclass(frozen=True, slots=True)
class OpenRefund:
    """A refund that has not succeeded yet."""

    day: date  # of the booking
    fee: int  # fen


def list_live_bookings(tx: Tx, tenant_id: int, user_id: int) -> list[LiveBooking]:
    """Return an account's bookings that are neither cancelled, registered nor missed, at most MAX_LISTED."""
    rows = tx.fetch_all(
        """
        SELECT m.name AS member_name, b.day, b.slot_time
        FROM bookings b JOIN members m ON m.member_id = b.member_id
        WHERE b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s AND b.status = %(booked)s
        ORDER BY b.day, b.slot_time LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        booked=BookingStatus.BOOKED,
        limit=MAX_LISTED,
    )
    return [LiveBooking(**row) for row in rows]


def list_open_refunds(tx: Tx, tenant_id: int, user_id: int) -> list[OpenRefund]:
    """Return the refunds of an account's bookings that have not succeeded, at most MAX_LISTED."""
    rows = tx.fetch_all(
        """
        SELECT b.day, r.fee FROM bookings b JOIN refunds r ON r.book_id = b.book_id
        WHERE b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s AND r.state IN %(states)s
        ORDER BY r.refund_id LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        states=OPEN_REFUND_STATES,
        limit=MAX_LISTED,
    )
    return [OpenRefund(**row) for row in rows]


def store_files(tx: Tx, tenant_id: int, pati_ids: Collection[int], now: int) -> None:
    """Put the patient files into storage to which no account is bound any more."""
    tx.execute(
        """
        UPDATE patients p SET p.stored_at = %(now)s
        WHERE p.pati_id IN %(pati_ids)s AND p.tenant_id = %(tenant_id)s AND p.stored_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM members m WHERE m.pati_id = p.pati_id AND m.live = 1)
        """,
        pati_ids=sorted(pati_ids),
        tenant_id=tenant_id,
        now=now,
    )
