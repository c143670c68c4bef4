"""Refunds in MySQL. Nothing is decided here."""

from enum import StrEnum

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


class RefundState(StrEnum):
    """refunds.state, in the terms of WeChat Pay."""

    PENDING = "pending"  # not accepted by WeChat Pay yet
    PROCESSING = "processing"
    SUCCESS = "success"
    ABNORMAL = "abnormal"  # WeChat Pay needs a person to settle it


SELECT_REFUND = """
    SELECT r.refund_id, r.tenant_id, r.payment_id, r.book_id, r.out_refund_no, r.fee, r.state, r.check_at, r.checks,
           p.user_id, p.out_trade_no, p.app_id, p.mch_id, p.sign_type
    FROM refunds r JOIN payments p ON p.payment_id = r.payment_id
"""
DUE_CONDITION = "r.state IN ('pending', 'processing', 'abnormal') AND r.check_at <= %(now)s"


def list_due(tx: Tx, limit: int) -> list[Row]:
    """Return refunds of all tenants that are to be sent, or asked for, now."""
    return tx.fetch_all(
        f"{SELECT_REFUND} WHERE {DUE_CONDITION} ORDER BY r.check_at LIMIT %(limit)s",
        now=clock.now(),
        limit=limit,
    )


def list_due_of_booking(tx: Tx, tenant_id: int, book_id: int) -> list[Row]:
    """The same of a booking. What somebody has claimed a moment ago is not due."""
    return tx.fetch_all(
        f"{SELECT_REFUND} WHERE r.book_id = %(book_id)s AND r.tenant_id = %(tenant_id)s AND {DUE_CONDITION}",
        book_id=book_id,
        tenant_id=tenant_id,
        now=clock.now(),
    )


def find_by_refund_no(tx: Tx, tenant_id: int, out_refund_no: str) -> Row | None:
    return tx.fetch_one(
        f"{SELECT_REFUND} WHERE r.out_refund_no = %(out_refund_no)s AND r.tenant_id = %(tenant_id)s",
        out_refund_no=out_refund_no,
        tenant_id=tenant_id,
    )


def get_for_update(tx: Tx, refund_id: int) -> Row:
    """Return state and out_refund_no of a refund, locked until the commit."""
    row = tx.fetch_one(
        "SELECT state, out_refund_no FROM refunds WHERE refund_id = %(refund_id)s FOR UPDATE", refund_id=refund_id
    )
    assert row, "refunds are never deleted"
    return row


def claim(tx: Tx, row: Row, until: int) -> bool:
    """Take a refund as it was seen; False where somebody else was faster."""
    taken = tx.execute(
        """
        UPDATE refunds SET check_at = %(until)s, checks = checks + 1
        WHERE refund_id = %(refund_id)s AND check_at = %(check_at)s AND checks = %(checks)s AND state = %(state)s
        """,
        refund_id=row["refund_id"],
        check_at=row["check_at"],
        checks=row["checks"],
        state=row["state"],
        until=until,
    )
    return taken == 1


def update(tx: Tx, refund_id: int, state: str, wechat_id: str, error: str) -> None:
    tx.execute(
        """
        UPDATE refunds
        SET state = %(state)s, error = %(error)s, wechat_id = IF(%(wechat_id)s = '', wechat_id, %(wechat_id)s),
            done_at = IF(%(state)s = 'success', %(now)s, done_at)
        WHERE refund_id = %(refund_id)s
        """,
        refund_id=refund_id,
        state=state,
        wechat_id=wechat_id,
        error=error,
        now=clock.now(),
    )


def renumber(tx: Tx, refund_id: int, out_refund_no: str) -> None:
    tx.execute(
        "UPDATE refunds SET out_refund_no = %(out_refund_no)s WHERE refund_id = %(refund_id)s",
        refund_id=refund_id,
        out_refund_no=out_refund_no,
    )


def schedule_check(tx: Tx, refund_id: int) -> None:
    tx.execute(
        "UPDATE refunds SET check_at = %(now)s WHERE refund_id = %(refund_id)s",
        refund_id=refund_id,
        now=clock.now(),
    )
