"""What is to go back: a row for each payment, made in the transaction that decides it, so that whatever becomes of a
promise, reconciliation finds it. Payment sends it."""

import secrets

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import ledger
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job


def enqueue_booking_refund(tx: Tx, booking: Row, reason: str) -> None:
    """Note that the money of a booking that `bookings.find` has locked is to go back, and promise it. After the commit:
    outbox.nudge(outside=True)."""
    tx.execute(
        """
        INSERT INTO refunds_due (book_id, tenant_id, fee, reason, created_at)
        VALUES (%(book_id)s, %(tenant_id)s, %(fee)s, %(reason)s, %(now)s)
        """,
        book_id=booking["book_id"],
        tenant_id=booking["tenant_id"],
        fee=booking["fee"],
        reason=reason,
        now=clock.now(),
    )
    payment = find_settling_payment(tx, booking["tenant_id"], booking["book_id"])
    if payment:
        enqueue_payment_refund(tx, payment, reason)
    else:
        _enqueue_job(tx, booking["tenant_id"], booking["book_id"], "booking")


def enqueue_payment_refund(tx: Tx, payment: Row, reason: str) -> None:
    """Owe a payment's money back, once, and promise it. After the commit: outbox.nudge(outside=True)."""
    refund_id = _insert_refund(tx, payment, reason)
    if refund_id:
        ledger.record(tx, payment, "refund_created", "booking", reason, refund_id)
        _enqueue_job(tx, payment["tenant_id"], payment["book_id"], f"payment:{payment['payment_id']}")


def find_refund_reason(tx: Tx, tenant_id: int, book_id: int) -> str | None:
    """Return why a booking's money is to go back, None where it is not."""
    reason: str | None = tx.fetch_value(
        "SELECT reason FROM refunds_due WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return reason


def find_settling_payment(tx: Tx, tenant_id: int, book_id: int) -> Row | None:
    """Return payment_id, tenant_id, book_id and fee of the payment that settled a booking."""
    return tx.fetch_one(
        """
        SELECT p.payment_id, p.tenant_id, p.book_id, p.fee
        FROM settlements s JOIN payments p ON p.payment_id = s.payment_id
        WHERE s.book_id = %(book_id)s AND s.tenant_id = %(tenant_id)s
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )


def generate_refund_no() -> str:
    return f"{clock.today():%Y%m%d}R{secrets.token_hex(10)}"


def _insert_refund(tx: Tx, payment: Row, reason: str) -> int | None:
    """Return the new refund_id, None where it is owed or was sent already."""
    there = tx.fetch_value("SELECT 1 FROM refunds WHERE payment_id = %(payment_id)s", payment_id=payment["payment_id"])
    if there:
        return None
    return tx.insert(
        """
        INSERT INTO refunds (tenant_id, payment_id, book_id, out_refund_no, fee, reason, check_at, created_at)
        VALUES (%(tenant_id)s, %(payment_id)s, %(book_id)s, %(out_refund_no)s, %(fee)s, %(reason)s, %(now)s, %(now)s)
        """,
        tenant_id=payment["tenant_id"],
        payment_id=payment["payment_id"],
        book_id=payment["book_id"],
        out_refund_no=generate_refund_no(),
        fee=payment["fee"],
        reason=reason,
        now=clock.now(),
    )


def _enqueue_job(tx: Tx, tenant_id: int, book_id: int, of: str) -> None:
    outbox.enqueue(tx, tenant_id, Job.REFUND_BOOKING, {"book_id": book_id}, dedup_key=f"refund:{book_id}:{of}")
