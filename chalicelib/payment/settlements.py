"""What becomes of a booking when its money has come. Booking and payment change in one transaction, or neither does.

Locks are taken in one order: the booking, the payment.
"""

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import bookings, ledger, refunds_due
from chalicelib.billing.bookings import PaymentState
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.billing.refunds_due import RefundablePayment, RefundReason
from chalicelib.notifications.event_types import EventType
from chalicelib.payment import notifications, store
from chalicelib.payment.store import OrderState


def settle(tx: Tx, payment: Row, transaction_id: str, paid_at: int, source: LedgerSource) -> bool:
    """Count an order's money, once. It is the booking's where that is still to be paid; else it goes back.

    False where it was counted before. After the commit: outbox.nudge() of both lanes.
    """
    booking = bookings.find_for_update(tx, payment["tenant_id"], payment["book_id"])
    now = store.get_for_update(tx, payment["tenant_id"], payment["payment_id"])
    if now["state"] == OrderState.PAID:
        return False
    store.mark_paid(tx, now["payment_id"], transaction_id, paid_at)
    ledger.record(tx, now["tenant_id"], now["payment_id"], LedgerEvent.PAID, source, transaction_id)
    if booking and booking.is_payable:
        bookings.mark_paid(tx, booking)
        store.settle(tx, now["settlement_id"], now["payment_id"])
        notifications.enqueue(tx, now, EventType.PAYMENT_RECEIVED)
    else:
        duplicate = booking is not None and booking.payment_state == PaymentState.PAID
        payment_fields = {name: now[name] for name in ("payment_id", "tenant_id", "book_id", "fee")}
        refunds_due.enqueue_payment_refund(
            tx, RefundablePayment(**payment_fields), RefundReason.DUPLICATE if duplicate else RefundReason.LATE
        )
    return True
