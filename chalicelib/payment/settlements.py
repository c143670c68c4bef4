"""Apply a payment to its booking. Booking and payment change in one transaction.

Locks are always taken in the same order: first the booking, then the payment.
"""

from chalicelib.adapters.mysql import Tx
from chalicelib.billing import bookings, ledger, refunds_due
from chalicelib.billing.bookings import PaymentState
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.billing.orders import OrderState
from chalicelib.billing.refunds_due import RefundReason
from chalicelib.notifications.event_types import EventType
from chalicelib.payment import bill_store, notifications, store
from chalicelib.payment.store import Payment


def settle(tx: Tx, payment: Payment, transaction_id: str, paid_at: int, source: LedgerSource) -> bool:
    """Record that an order was paid, once: mark its booking paid if that is still payable, otherwise refund it.

    Call outbox.wake_worker() for both queues after the commit.

    Returns:
        False if the payment was recorded before.
    """
    booking = bookings.find_for_update(tx, payment.tenant_id, payment.book_id)
    current = store.get_for_update(tx, payment.tenant_id, payment.payment_id)
    if current.state == OrderState.SUCCESS:
        return False
    store.mark_paid(tx, current.payment_id, transaction_id, paid_at)
    bill_store.request_comparison(tx, current.tenant_id, current.mch_id, paid_at)
    ledger.record(tx, current.tenant_id, current.payment_id, LedgerEvent.PAYMENT_RECEIVED, source, transaction_id)
    if booking and booking.is_payable:
        bookings.mark_paid(tx, booking)
        store.settle(tx, current.settlement_id, current.payment_id)
        notifications.enqueue(tx, current, EventType.PAYMENT_RECEIVED)
    else:
        is_duplicate = booking is not None and booking.payment_state == PaymentState.PAID
        reason = RefundReason.DUPLICATE if is_duplicate else RefundReason.LATE
        refunds_due.enqueue_payment_refund(tx, current.tenant_id, current.payment_id, reason)
    return True
