"""What becomes of a booking when its money has come. Booking and payment change in one transaction, or neither does.

Locks are taken in one order: the booking, the payment.
"""

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import bookings as dues
from chalicelib.billing import ledger, refunds_due
from chalicelib.payment import notifications, store


def settle(tx: Tx, payment: Row, transaction_id: str, paid_at: int, told_by: str) -> bool:
    """Count an order's money, once. It is the booking's where that is still to be paid; else it goes back.

    False where it was counted before. After the commit: outbox.nudge() of both lanes.
    """
    booking = dues.find(tx, payment["tenant_id"], payment["book_id"])
    now = store.locked(tx, payment["tenant_id"], payment["payment_id"])
    if now["state"] == store.PAID:
        return False
    store.pay(tx, now["payment_id"], transaction_id, paid_at)
    ledger.note(tx, now, "paid", told_by, transaction_id)
    if booking and dues.is_owed(booking):
        dues.pay(tx, booking)
        store.settle(tx, now["settlement_id"], now["payment_id"])
        notifications.tell(tx, now, notifications.PAID)
    else:
        refunds_due.owe(tx, now, "twice" if booking and booking["charge"] == dues.PAID else "late")
    return True
