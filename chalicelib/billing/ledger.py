"""What became of payments and refunds, in order: rows are added, and never changed."""

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


def record(tx: Tx, payment: Row, became: str, told_by: str, detail: str = "", refund_id: int | None = None) -> None:
    """`payment`: tenant_id, payment_id."""
    tx.execute(
        """
        INSERT INTO payment_ledger (tenant_id, payment_id, refund_id, became, told_by, detail, at)
        VALUES (%(tenant_id)s, %(payment_id)s, %(refund_id)s, %(became)s, %(told_by)s, %(detail)s, %(now)s)
        """,
        tenant_id=payment["tenant_id"],
        payment_id=payment["payment_id"],
        refund_id=refund_id,
        became=became,
        told_by=told_by,
        detail=detail,
        now=clock.now(),
    )
