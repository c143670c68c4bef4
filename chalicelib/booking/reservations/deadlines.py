"""Deadlines of a booking: to confirm what the waitlist gave, to pay, and to answer what patients are notified of."""

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import Booking, PaymentState
from chalicelib.booking.reservations import waitlist_store
from chalicelib.booking.schedules import rules
from chalicelib.booking.schedules.rule_store import Rules

SMS_DELAY = 600 * clock.SECOND  # within this time an SMS has followed, where WeChat delivers nothing


def compute_pay_by(rule: Rules, fee: int, user_id: int | None) -> int | None:
    """Return until when a booking that is made or confirmed now is to be paid; None if it has no deadline.

    Args:
        user_id: the account, which alone can pay; None if there is none.
    """
    if not (rule.pay_minutes and fee and user_id):
        return None
    return clock.now() + rule.pay_minutes * 60 * clock.SECOND


def find_notice_time(rule: Rules) -> int:
    """Return from when on a patient who is notified now can answer: now, or the end of the quiet hours.

    The latter also shortly before them, as the SMS, where WeChat delivers nothing, is sent afterwards.
    """
    now = clock.now()
    return rules.find_quiet_end(rule) or rules.find_quiet_end(rule, now + SMS_DELAY) or now


def confirm(tx: Tx, booking: Booking, rule: Rules) -> None:
    """Let a locked booking need no confirmation any more; the time to pay begins now.

    If the waitlist gave it, its entry is accepted.
    """
    is_paid = booking.payment_state == PaymentState.PAID
    pay_by = None if is_paid else compute_pay_by(rule, booking.fee, booking.user_id)
    waitlist_store.set_deadlines(tx, booking.tenant_id, booking.book_id, pay_by)
    waitlist_store.accept(tx, booking.tenant_id, booking.book_id)


def suspend(tx: Tx, booking: Booking) -> None:
    """Let a locked booking have no deadline, as the hospital moves it to a slot that it holds for the patient.

    If the waitlist gave it, its entry is accepted: only what is held can be refused.
    """
    waitlist_store.set_deadlines(tx, booking.tenant_id, booking.book_id, None)
    waitlist_store.accept(tx, booking.tenant_id, booking.book_id)
