"""The append-only ledger of payments and refunds. Its rows are never changed."""

from enum import StrEnum

from chalicelib import clock
from chalicelib.adapters.mysql import Tx


class LedgerEvent(StrEnum):
    """payment_ledger.event: a new state of an order or a refund, or another step."""

    CREATED = "created"
    PREPARED = "prepared"  # WeChat Pay has issued a prepay_id
    REJECTED = "rejected"
    PAYMENT_RECEIVED = "paid"
    CLOSED = "closed"
    REFUNDED = "refunded"  # outside of this system
    REFUND_CREATED = "refund_created"
    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    ABNORMAL = "abnormal"


class LedgerSource(StrEnum):
    """payment_ledger.source: where an event became known."""

    ORDER = "order"
    NOTIFICATION = "notification"
    QUERY = "query"
    REFUND = "refund"
    BOOKING = "booking"
    PERSON = "person"  # settled by an admin, as docs/admin.md describes


def record(
    tx: Tx,
    tenant_id: int,
    payment_id: int,
    event: LedgerEvent,
    source: LedgerSource,
    detail: str = "",
    refund_id: int | None = None,
) -> None:
    """Append an event of a payment or, with `refund_id`, of its refund.

    Args:
        detail: an id, error code or trade state of WeChat Pay, the reason of a refund, or an out_refund_no that was
            replaced.
    """
    tx.execute(
        """
        INSERT INTO payment_ledger (tenant_id, payment_id, refund_id, event, source, detail, at)
        VALUES (%(tenant_id)s, %(payment_id)s, %(refund_id)s, %(event)s, %(source)s, %(detail)s, %(now)s)
        """,
        tenant_id=tenant_id,
        payment_id=payment_id,
        refund_id=refund_id,
        event=event,
        source=source,
        detail=detail,
        now=clock.now(),
    )
