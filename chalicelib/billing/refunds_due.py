"""Refunds that are due, inserted in the transaction that decides on them.

The table `refunds_due` has a row for each amount of a paid booking that is to be refunded: what is left of its payment
when the booking is cancelled, and parts of it before that. The table `refunds` has a row for each refund through WeChat
Pay: those of refunds due, and the whole of a payment that came too late or twice. The outbox job REFUND_BOOKING sends
refunds soon after the commit; if that fails, reconciliation finds their rows in `refunds`.

A refund is inserted under the lock of its payment's row and requested until it succeeds. So all refunds of a payment
count, whatever their state, and together they never exceed what was paid. The booking is locked before the payment.
"""

import secrets
from dataclasses import dataclass
from enum import StrEnum

from chalicelib import clock, errors
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import ledger
from chalicelib.billing.bookings import Booking, CancellationReason
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.billing.money import to_yuan
from chalicelib.errors import ApiError
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job

# Rules of WeChat Pay for the refunds of one payment.
# Source: https://pay.weixin.qq.com/wiki/doc/apiv3_partner/apis/chapter5_1_14.shtml
MAX_REFUNDS = 50
REFUND_PERIOD = 365 * clock.DAY  # after the payment


class RefundReason(StrEnum):
    """refunds.reason and refunds_due.reason: why a booking was cancelled, or why its payment could not count."""

    PATIENT = CancellationReason.PATIENT.value
    STOPPED = CancellationReason.STOPPED.value
    UNPAID = CancellationReason.UNPAID.value  # not expected: only unpaid bookings are cancelled for this reason
    DESK = CancellationReason.DESK.value
    PARTIAL = "partial"  # a part of the fee of a booking that stays
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
    """A payment that this transaction has locked, with the sum of its refunds."""

    payment_id: int
    tenant_id: int
    book_id: int
    fee: int  # fen
    paid_at: int
    refunded: int  # fen, by refunds in any state
    refunds: int  # how many

    @property
    def rest(self) -> int:
        """What can still be refunded."""
        return self.fee - self.refunded


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundDue:
    """An amount of a booking that is to be refunded."""

    due_id: int
    fee: int  # fen
    reason: RefundReason


@dataclass(frozen=True, slots=True)
class BookingRefund:
    """The refunds of a booking's payment or, if it was never paid, of a payment that came too late, taken together."""

    state: RefundState  # of the refund that is furthest from success
    fee: int  # fen, of all together
    done_at: int | None  # None until all have succeeded


# Columns that parse_booking_refund needs, for a SELECT of bookings b. The refund of a duplicate payment is
# left out, as the booking stays paid, through us or at the hospital's till, which leaves no settlement.
_FURTHEST_FROM_SUCCESS_FIRST = (
    RefundState.ABNORMAL.value,
    RefundState.PENDING.value,
    RefundState.PROCESSING.value,
    RefundState.SUCCESS.value,
)
_REFUNDS_OF_BOOKING = f"""
    FROM refunds x LEFT JOIN settlements t ON t.book_id = x.book_id AND t.tenant_id = x.tenant_id
    WHERE x.book_id = b.book_id AND x.tenant_id = b.tenant_id
      AND (t.payment_id IS NULL AND x.reason <> '{RefundReason.DUPLICATE.value}' OR x.payment_id = t.payment_id)
"""
REFUND_COLUMNS = f"""
    (SELECT x.state {_REFUNDS_OF_BOOKING}
     ORDER BY FIELD(x.state, {", ".join(map(repr, _FURTHEST_FROM_SUCCESS_FIRST))}) LIMIT 1) AS refund_state,
    COALESCE((SELECT SUM(x.fee) {_REFUNDS_OF_BOOKING}),
             (SELECT SUM(u.fee) FROM refunds_due u WHERE u.book_id = b.book_id AND u.tenant_id = b.tenant_id)
    ) AS refund_fee,
    (SELECT MAX(x.done_at) {_REFUNDS_OF_BOOKING}) AS refunded_at
"""


def parse_booking_refund(row: Row) -> BookingRefund | None:
    """Return the refund in a row with REFUND_COLUMNS, None if there is none."""
    if row["refund_fee"] is None:
        return None
    state = RefundState(row["refund_state"] or RefundState.PENDING)
    return BookingRefund(state, int(row["refund_fee"]), row["refunded_at"] if state == RefundState.SUCCESS else None)


def enqueue_booking_refund(tx: Tx, booking: Booking, reason: CancellationReason) -> None:
    """Insert the refund due of a paid booking that `bookings.find_for_update` has locked, and enqueue its job.

    It is what earlier refunds have left of the fee; if they left nothing, there is none.

    Call outbox.wake_worker(Queue.EXTERNAL) after the commit.
    """
    payment = lock_settling_payment(tx, booking.tenant_id, booking.book_id)
    rest = payment.rest if payment else booking.fee - _sum_due(tx, booking.tenant_id, booking.book_id)
    if rest > 0:
        _insert_due(tx, booking, payment, rest, RefundReason(reason))


def enqueue_partial_refund(tx: Tx, booking: Booking, fee: int) -> None:
    """Insert a refund due of a part of the fee of a booking that is locked, or of all. The booking stays.

    Call outbox.wake_worker(Queue.EXTERNAL) after the commit.

    Args:
        fee: in fen, above 0.

    Raises:
        ApiError: 409 as `require_refundable`.
    """
    _insert_due(tx, booking, require_refundable(tx, booking, fee), fee, RefundReason.PARTIAL)


def require_refundable(tx: Tx, booking: Booking, fee: int) -> RefundablePayment:
    """Return the payment of a locked booking, which is locked too, if an amount of it can be refunded.

    Raises:
        ApiError: 409 if the booking was not paid through WeChat Pay or longer than a year ago, if less than the amount
            is left, or if it is the 50th refund and not the whole rest.
    """
    payment = lock_settling_payment(tx, booking.tenant_id, booking.book_id)
    if payment is None:
        raise ApiError(errors.CONFLICT, "该预约没有可退的微信支付")
    if clock.now() - payment.paid_at > REFUND_PERIOD:
        raise ApiError(errors.CONFLICT, "支付已超过一年，微信不再受理退款，请由医院窗口退费")
    if fee > payment.rest:
        refunded = f"已退 {to_yuan(payment.refunded):.2f} 元，" if payment.refunded else ""
        raise ApiError(errors.CONFLICT, f"{refunded}最多还可退 {to_yuan(payment.rest):.2f} 元")
    if payment.refunds >= MAX_REFUNDS - 1 and fee < payment.rest:  # so a cancellation can always refund the rest
        raise ApiError(errors.CONFLICT, f"退款次数已达上限，只能一次退清余下的 {to_yuan(payment.rest):.2f} 元")
    return payment


def enqueue_payment_refund(tx: Tx, tenant_id: int, payment_id: int, reason: RefundReason) -> None:
    """Insert the refund of a payment that settles nothing and enqueue its job, unless it is refunded already.

    The booking must be locked. Call outbox.wake_worker(Queue.EXTERNAL) after the commit.
    """
    payment = _lock_payment(tx, tenant_id, payment_id)
    if payment.rest > 0:
        insert_refund(tx, payment, payment.rest, reason)


def lock_settling_payment(tx: Tx, tenant_id: int, book_id: int) -> RefundablePayment | None:
    """Return the payment that settled a locked booking and lock it, or return None."""
    payment_id = tx.fetch_value(
        "SELECT payment_id FROM settlements WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return _lock_payment(tx, tenant_id, payment_id) if payment_id else None


def list_due_without_refund(tx: Tx, tenant_id: int, book_id: int) -> list[RefundDue]:
    """Return the refunds due of a booking that have no row in `refunds`: it was marked paid without a payment."""
    rows = tx.fetch_all(
        """
        SELECT d.due_id, d.fee, d.reason
        FROM refunds_due d LEFT JOIN refunds r ON r.due_id = d.due_id
        WHERE d.book_id = %(book_id)s AND d.tenant_id = %(tenant_id)s AND r.refund_id IS NULL ORDER BY d.due_id
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return [RefundDue(**{**row, "reason": RefundReason(row["reason"])}) for row in rows]


def generate_refund_no() -> str:
    """Return a new out_refund_no."""
    return f"{clock.today():%Y%m%d}R{secrets.token_hex(10)}"


def insert_refund(
    tx: Tx, payment: RefundablePayment, fee: int, reason: RefundReason, due_id: int | None = None
) -> None:
    """Insert a refund of a payment that `lock_settling_payment` has locked, and enqueue its job.

    Args:
        due_id: the row of refunds_due that it fulfils.
    """
    assert 0 < fee <= payment.rest, "never more than was paid"
    refund_id = tx.insert(
        """
        INSERT INTO refunds
            (tenant_id, payment_id, number, due_id, book_id, out_refund_no, fee, reason, check_at, created_at)
        VALUES
            (%(tenant_id)s, %(payment_id)s, %(number)s, %(due_id)s, %(book_id)s, %(out_refund_no)s, %(fee)s,
             %(reason)s, %(now)s, %(now)s)
        """,
        tenant_id=payment.tenant_id,
        payment_id=payment.payment_id,
        number=payment.refunds + 1,
        due_id=due_id,
        book_id=payment.book_id,
        out_refund_no=generate_refund_no(),
        fee=fee,
        reason=reason,
        now=clock.now(),
    )
    event, source = LedgerEvent.REFUND_CREATED, LedgerSource.BOOKING
    ledger.record(tx, payment.tenant_id, payment.payment_id, event, source, reason, refund_id)
    _enqueue_job(tx, payment.tenant_id, payment.book_id, f"refund:{refund_id}")


def _insert_due(tx: Tx, booking: Booking, payment: RefundablePayment | None, fee: int, reason: RefundReason) -> None:
    due_id = tx.insert(
        """
        INSERT INTO refunds_due (tenant_id, book_id, fee, reason, created_at)
        VALUES (%(tenant_id)s, %(book_id)s, %(fee)s, %(reason)s, %(now)s)
        """,
        tenant_id=booking.tenant_id,
        book_id=booking.book_id,
        fee=fee,
        reason=reason,
        now=clock.now(),
    )
    if payment:
        insert_refund(tx, payment, fee, reason, due_id)
    else:
        _enqueue_job(tx, booking.tenant_id, booking.book_id, f"refund_due:{due_id}")


def _lock_payment(tx: Tx, tenant_id: int, payment_id: int) -> RefundablePayment:
    payment = tx.fetch_one(
        """
        SELECT payment_id, tenant_id, book_id, fee, paid_at FROM payments
        WHERE payment_id = %(payment_id)s AND tenant_id = %(tenant_id)s FOR UPDATE
        """,
        payment_id=payment_id,
        tenant_id=tenant_id,
    )
    refunds = tx.fetch_one(
        "SELECT COALESCE(SUM(fee), 0) AS refunded, COUNT(*) AS refunds FROM refunds WHERE payment_id = %(payment_id)s",
        payment_id=payment_id,
    )
    assert payment, "payments are never deleted"
    assert refunds, "an aggregate has a row"
    return RefundablePayment(**payment, refunded=int(refunds["refunded"]), refunds=refunds["refunds"])


def _sum_due(tx: Tx, tenant_id: int, book_id: int) -> int:
    return int(
        tx.fetch_value(
            """
            SELECT COALESCE(SUM(fee), 0) FROM refunds_due
            WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s
            """,
            book_id=book_id,
            tenant_id=tenant_id,
        )
    )


def _enqueue_job(tx: Tx, tenant_id: int, book_id: int, dedup_key: str) -> None:
    outbox.enqueue(tx, tenant_id, Job.REFUND_BOOKING, {"book_id": book_id}, dedup_key=dedup_key)
