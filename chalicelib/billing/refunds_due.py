"""Refunds that are due, inserted in the transaction that decides on them.

The table `refunds_due` has a row for each paid booking that was cancelled; the table `refunds` has one for each payment
to refund, which is also a payment that came too late or twice. The outbox job REFUND_BOOKING sends a refund once, soon
after the commit; if that fails, reconciliation finds its row in `refunds`.
"""

import secrets
from dataclasses import dataclass
from enum import StrEnum

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import ledger
from chalicelib.billing.bookings import Booking, CancellationReason
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job


class RefundReason(StrEnum):
    """refunds.reason and refunds_due.reason: why a booking was cancelled, or why its payment could not count."""

    PATIENT = CancellationReason.PATIENT.value
    STOPPED = CancellationReason.STOPPED.value
    UNPAID = CancellationReason.UNPAID.value  # not expected: only unpaid bookings are cancelled for this reason
    DUPLICATE = "duplicate"  # the booking was paid before
    LATE = "late"  # the booking no longer accepted a payment


class RefundState(StrEnum):
    """refunds.state, in the terms of WeChat Pay."""

    PENDING = "pending"  # not accepted by WeChat Pay yet
    PROCESSING = "processing"
    SUCCESS = "success"
    ABNORMAL = "abnormal"  # to be settled by hand at WeChat Pay's merchant platform


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundablePayment:
    """A payment whose whole amount is to be refunded."""

    payment_id: int
    tenant_id: int
    book_id: int
    fee: int  # fen


@dataclass(frozen=True, slots=True)
class BookingRefund:
    """The refund of a booking's payment or, if it was never paid, of a payment that came too late."""

    state: RefundState
    fee: int  # fen
    done_at: int | None  # None until it has succeeded


# Columns and joins that parse_booking_refund needs, for a SELECT of bookings b. The refund of a duplicate payment is
# left out, as the booking stays paid.
REFUND_COLUMNS = "r.state AS refund_state, COALESCE(r.fee, u.fee) AS refund_fee, r.done_at AS refunded_at"
REFUND_JOINS = """
    LEFT JOIN settlements t ON t.book_id = b.book_id AND t.tenant_id = b.tenant_id
    LEFT JOIN refunds r ON r.tenant_id = b.tenant_id AND r.refund_id = (
        SELECT MAX(x.refund_id) FROM refunds x
        WHERE x.book_id = b.book_id AND (t.payment_id IS NULL OR x.payment_id = t.payment_id))
    LEFT JOIN refunds_due u ON u.book_id = b.book_id AND u.tenant_id = b.tenant_id
"""


def parse_booking_refund(row: Row) -> BookingRefund | None:
    """Return the refund in a row with REFUND_COLUMNS, None if there is none."""
    if row["refund_fee"] is None:
        return None
    return BookingRefund(RefundState(row["refund_state"] or RefundState.PENDING), row["refund_fee"], row["refunded_at"])


def enqueue_booking_refund(tx: Tx, booking: Booking, reason: CancellationReason) -> None:
    """Insert the refund due of a paid booking that `bookings.find_for_update` has locked, and enqueue its job.

    Call outbox.wake_worker(Queue.EXTERNAL) after the commit.
    """
    tx.execute(
        """
        INSERT INTO refunds_due (book_id, tenant_id, fee, reason, created_at)
        VALUES (%(book_id)s, %(tenant_id)s, %(fee)s, %(reason)s, %(now)s)
        """,
        book_id=booking.book_id,
        tenant_id=booking.tenant_id,
        fee=booking.fee,
        reason=reason,
        now=clock.now(),
    )
    payment = find_settling_payment(tx, booking.tenant_id, booking.book_id)
    if payment:
        enqueue_payment_refund(tx, payment, RefundReason(reason))
    else:
        _enqueue_job(tx, booking.tenant_id, booking.book_id, "booking")


def enqueue_payment_refund(tx: Tx, payment: RefundablePayment, reason: RefundReason) -> None:
    """Insert the refund of a payment and enqueue its job, unless the payment has a refund already.

    Call outbox.wake_worker(Queue.EXTERNAL) after the commit.
    """
    refund_id = _insert_refund(tx, payment, reason)
    if refund_id is None:
        return
    ledger.record(
        tx,
        payment.tenant_id,
        payment.payment_id,
        LedgerEvent.REFUND_CREATED,
        LedgerSource.BOOKING,
        reason,
        refund_id,
    )
    _enqueue_job(tx, payment.tenant_id, payment.book_id, f"payment:{payment.payment_id}")


def find_refund_reason(tx: Tx, tenant_id: int, book_id: int) -> RefundReason | None:
    """Return why a booking is to be refunded, or None if it is not."""
    reason = tx.fetch_value(
        "SELECT reason FROM refunds_due WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return RefundReason(reason) if reason else None


def find_settling_payment(tx: Tx, tenant_id: int, book_id: int) -> RefundablePayment | None:
    """Return the payment that settled a booking, or None."""
    row = tx.fetch_one(
        """
        SELECT p.payment_id, p.tenant_id, p.book_id, p.fee
        FROM settlements s JOIN payments p ON p.payment_id = s.payment_id
        WHERE s.book_id = %(book_id)s AND s.tenant_id = %(tenant_id)s
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return RefundablePayment(**row) if row else None


def generate_refund_no() -> str:
    """Return a new out_refund_no."""
    return f"{clock.today():%Y%m%d}R{secrets.token_hex(10)}"


def _insert_refund(tx: Tx, payment: RefundablePayment, reason: RefundReason) -> int | None:
    """Return the new refund_id, or None if the payment has a refund already."""
    if tx.fetch_value("SELECT 1 FROM refunds WHERE payment_id = %(payment_id)s", payment_id=payment.payment_id):
        return None
    return tx.insert(
        """
        INSERT INTO refunds (tenant_id, payment_id, book_id, out_refund_no, fee, reason, check_at, created_at)
        VALUES (%(tenant_id)s, %(payment_id)s, %(book_id)s, %(out_refund_no)s, %(fee)s, %(reason)s, %(now)s, %(now)s)
        """,
        tenant_id=payment.tenant_id,
        payment_id=payment.payment_id,
        book_id=payment.book_id,
        out_refund_no=generate_refund_no(),
        fee=payment.fee,
        reason=reason,
        now=clock.now(),
    )


def _enqueue_job(tx: Tx, tenant_id: int, book_id: int, cause: str) -> None:
    outbox.enqueue(tx, tenant_id, Job.REFUND_BOOKING, {"book_id": book_id}, dedup_key=f"refund:{book_id}:{cause}")
