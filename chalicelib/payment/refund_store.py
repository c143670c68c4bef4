"""MySQL statements for refunds. billing/refunds_due.py inserts them."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.ledger import LedgerSource
from chalicelib.billing.refunds_due import RefundReason, RefundState

# WeChat Pay demands a minute between requests for one payment; the rest is for clocks and delays that differ.
REQUEST_INTERVAL = 65 * clock.SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund of a payment or of a part of it, with the fields of the payment that it needs."""

    refund_id: int
    tenant_id: int
    payment_id: int
    book_id: int
    user_id: int
    out_refund_no: str
    fee: int  # fen
    paid_fee: int  # fen, of the payment
    reason: RefundReason
    state: RefundState
    check_at: int  # when to request or query it again
    checks: int  # number of requests and queries
    out_trade_no: str
    app_id: str
    mch_id: str


@dataclass(frozen=True, slots=True)
class LockedRefund:
    """The fields of a refund that change, read under its lock."""

    state: RefundState
    out_refund_no: str
    accepted_at: int | None


SELECT_REFUND = """
    SELECT r.refund_id, r.tenant_id, r.payment_id, r.book_id, r.out_refund_no, r.fee, r.reason, r.state, r.check_at,
           r.checks, p.fee AS paid_fee, p.user_id, p.out_trade_no, p.app_id, p.mch_id
    FROM refunds r JOIN payments p ON p.payment_id = r.payment_id
"""
DUE_CONDITION = "r.state IN (%(pending)s, %(processing)s, %(abnormal)s) AND r.check_at <= %(now)s"
DUE_STATES = {
    "pending": RefundState.PENDING,
    "processing": RefundState.PROCESSING,
    "abnormal": RefundState.ABNORMAL,
}


def list_due(tx: Tx, limit: int) -> list[Refund]:
    """Return refunds of all tenants that are to be requested or queried now."""
    rows = tx.fetch_all(
        f"{SELECT_REFUND} WHERE {DUE_CONDITION} ORDER BY r.check_at LIMIT %(limit)s",
        **DUE_STATES,
        now=clock.now(),
        limit=limit,
    )
    return [_build_refund(row) for row in rows]


def list_due_of_booking(tx: Tx, tenant_id: int, book_id: int) -> list[Refund]:
    """Return the refunds of a booking that are to be requested or queried now. A claimed refund is not due."""
    rows = tx.fetch_all(
        f"{SELECT_REFUND} WHERE r.book_id = %(book_id)s AND r.tenant_id = %(tenant_id)s AND {DUE_CONDITION}",
        book_id=book_id,
        tenant_id=tenant_id,
        **DUE_STATES,
        now=clock.now(),
    )
    return [_build_refund(row) for row in rows]


def find_by_refund_no(tx: Tx, tenant_id: int, out_refund_no: str) -> Refund | None:
    """Return the refund with an out_refund_no."""
    row = tx.fetch_one(
        f"{SELECT_REFUND} WHERE r.out_refund_no = %(out_refund_no)s AND r.tenant_id = %(tenant_id)s",
        out_refund_no=out_refund_no,
        tenant_id=tenant_id,
    )
    return _build_refund(row) if row else None


def find(tx: Tx, tenant_id: int, refund_id: int) -> Refund | None:
    """Return a refund by its id."""
    row = tx.fetch_one(
        f"{SELECT_REFUND} WHERE r.refund_id = %(refund_id)s AND r.tenant_id = %(tenant_id)s",
        refund_id=refund_id,
        tenant_id=tenant_id,
    )
    return _build_refund(row) if row else None


def get_last_request(tx: Tx, tenant_id: int, refund_id: int) -> tuple[str, int | None]:
    """Return WeChat Pay's latest error about a refund, and when a refund of its payment was requested last."""
    row = tx.fetch_one(
        """
        SELECT r.error, p.refund_requested_at FROM refunds r JOIN payments p ON p.payment_id = r.payment_id
        WHERE r.refund_id = %(refund_id)s AND r.tenant_id = %(tenant_id)s
        """,
        refund_id=refund_id,
        tenant_id=tenant_id,
    )
    assert row, "refunds are never deleted"
    return row["error"], row["refund_requested_at"]


def was_settled_by_person(tx: Tx, tenant_id: int, refund: Refund) -> bool:
    """Return whether an admin has ended a refund that WeChat Pay did not make."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM payment_ledger WHERE tenant_id = %(tenant_id)s AND payment_id = %(payment_id)s
          AND refund_id = %(refund_id)s AND source = %(person)s LIMIT 1
        """,
        tenant_id=tenant_id,
        payment_id=refund.payment_id,
        refund_id=refund.refund_id,
        person=LedgerSource.PERSON,
    )
    return found is not None


def get_for_update(tx: Tx, refund_id: int) -> LockedRefund:
    """Return state and number of a refund, locked until the commit."""
    row = tx.fetch_one(
        "SELECT state, out_refund_no, accepted_at FROM refunds WHERE refund_id = %(refund_id)s FOR UPDATE",
        refund_id=refund_id,
    )
    assert row, "refunds are never deleted"
    return LockedRefund(RefundState(row["state"]), row["out_refund_no"], row["accepted_at"])


def claim(tx: Tx, refund: Refund, until: int) -> bool:
    """Postpone the next check of a refund; return False if another process has claimed it since it was read."""
    changed = tx.execute(
        """
        UPDATE refunds SET check_at = %(until)s, checks = checks + 1
        WHERE refund_id = %(refund_id)s AND check_at = %(check_at)s AND checks = %(checks)s AND state = %(state)s
        """,
        refund_id=refund.refund_id,
        check_at=refund.check_at,
        checks=refund.checks,
        state=refund.state,
        until=until,
    )
    return changed == 1


def claim_request(tx: Tx, refund: Refund, until: int) -> bool:
    """Claim a refund that is to be requested; postpone it if a refund of its payment was requested a moment ago.

    Returns:
        False if it is postponed or was claimed by another process.
    """
    requested_at = tx.fetch_value(
        """
        SELECT refund_requested_at FROM payments
        WHERE payment_id = %(payment_id)s AND tenant_id = %(tenant_id)s FOR UPDATE
        """,
        payment_id=refund.payment_id,
        tenant_id=refund.tenant_id,
    )
    earliest = requested_at + REQUEST_INTERVAL if requested_at else 0
    if clock.now() < earliest:
        _postpone(tx, refund, earliest)
        return False
    if not claim(tx, refund, until):
        return False
    tx.execute(
        "UPDATE payments SET refund_requested_at = %(now)s WHERE payment_id = %(payment_id)s",
        payment_id=refund.payment_id,
        now=clock.now(),
    )
    return True


def _postpone(tx: Tx, refund: Refund, until: int) -> None:
    tx.execute(
        """
        UPDATE refunds SET check_at = %(until)s
        WHERE refund_id = %(refund_id)s AND check_at = %(check_at)s AND checks = %(checks)s
        """,
        refund_id=refund.refund_id,
        check_at=refund.check_at,
        checks=refund.checks,
        until=until,
    )


def update(tx: Tx, refund_id: int, state: RefundState, wechat_id: str, error: str, accepted_at: int | None) -> None:
    """Store the state of a refund.

    Args:
        wechat_id: WeChat Pay's refund_id; "" leaves the stored one unchanged.
        error: WeChat Pay's latest error code, "" for none.
        accepted_at: when WeChat Pay accepted it, None if it has not.
    """
    tx.execute(
        """
        UPDATE refunds
        SET state = %(state)s, error = %(error)s, wechat_id = IF(%(wechat_id)s = '', wechat_id, %(wechat_id)s),
            accepted_at = %(accepted_at)s, done_at = IF(%(state)s = %(success)s, %(now)s, done_at)
        WHERE refund_id = %(refund_id)s
        """,
        refund_id=refund_id,
        state=state,
        success=RefundState.SUCCESS,
        wechat_id=wechat_id,
        error=error,
        accepted_at=accepted_at,
        now=clock.now(),
    )


def renumber(tx: Tx, refund_id: int, out_refund_no: str) -> None:
    """Give a refund another number, which makes it another refund to WeChat Pay."""
    tx.execute(
        "UPDATE refunds SET out_refund_no = %(out_refund_no)s WHERE refund_id = %(refund_id)s",
        refund_id=refund_id,
        out_refund_no=out_refund_no,
    )


def schedule_check(tx: Tx, refund_id: int) -> None:
    """Have reconciliation check a refund in its next run."""
    tx.execute(
        "UPDATE refunds SET check_at = %(now)s WHERE refund_id = %(refund_id)s",
        refund_id=refund_id,
        now=clock.now(),
    )


def _build_refund(row: Row) -> Refund:
    return Refund(**{**row, "state": RefundState(row["state"]), "reason": RefundReason(row["reason"])})
