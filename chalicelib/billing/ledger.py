"""What event of payments and refunds, in order: rows are added, and never changed."""

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


def record(tx: Tx, payment: Row, event: str, source: str, detail: str = "", refund_id: int | None = None) -> None:
    """`payment`: tenant_id, payment_id."""
    tx.execute(
        """
        INSERT INTO payment_ledger (tenant_id, payment_id, refund_id, event, source, detail, at)
        VALUES (%(tenant_id)s, %(payment_id)s, %(refund_id)s, %(event)s, %(source)s, %(detail)s, %(now)s)
        """,
        tenant_id=payment["tenant_id"],
        payment_id=payment["payment_id"],
        refund_id=refund_id,
        event=event,
        source=source,
        detail=detail,
        now=clock.now(),
    )
