"""What becomes of a booking when its money has come. Booking and payment change in one transaction, or neither does.

Locks are taken in one order: the booking, the payment.
"""

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import bookings as dues
from chalicelib.billing import ledger, refunds_due
from chalicelib.billing.bookings import PaymentState
from chalicelib.notifications.event_types import EventType
from chalicelib.payment import notifications, store
from chalicelib.payment.store import OrderState


def settle(tx: Tx, payment: Row, transaction_id: str, paid_at: int, source: str) -> bool:
    """Count an order's money, once. It is the booking's where that is still to be paid; else it goes back.

    False where it was counted before. After the commit: outbox.nudge() of both lanes.
    """
    booking = dues.find_for_update(tx, payment["tenant_id"], payment["book_id"])
    now = store.get_for_update(tx, payment["tenant_id"], payment["payment_id"])
    if now["state"] == OrderState.PAID:
        return False
    store.mark_paid(tx, now["payment_id"], transaction_id, paid_at)
    ledger.record(tx, now, "paid", source, transaction_id)
    if booking and dues.is_payable(booking):
        dues.mark_paid(tx, booking)
        store.settle(tx, now["settlement_id"], now["payment_id"])
        notifications.enqueue(tx, now, EventType.PAYMENT_RECEIVED)
    else:
        refunds_due.enqueue_payment_refund(
            tx, now, "duplicate" if booking and booking["payment_state"] == PaymentState.PAID else "late"
        )
    return True
