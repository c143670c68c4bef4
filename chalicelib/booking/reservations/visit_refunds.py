"""Refund registered visits: by the front desk until the doctor has seen the patient, afterwards by an admin."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.billing import bookings, refunds_due
from chalicelib.billing.bookings import Booking, BookingStatus, CancellationReason, PaymentState
from chalicelib.billing.money import to_yuan
from chalicelib.booking.calendar import availability
from chalicelib.booking.reservations import cancellation, desk_store
from chalicelib.booking.reservations.desk_models import RefundVisitRequest, VisitRefund
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller, Role
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue


def refund(caller: Caller, request: RefundVisitRequest) -> VisitRefund:
    """Refund what is left of the fee of a registered visit. Repeating it has no effect.

    Until the doctor has seen the patient, the visit is cancelled too, which frees its slot and its place in the queue.
    Afterwards, and after its day, it stays registered.

    Raises:
        ApiError: 404 if the tenant has no such booking; 403 for the front desk once the patient was seen; 409 if it is
            not registered or, once the patient was seen, was not paid through WeChat Pay.
    """
    cancelled = mysql.run_transaction(lambda tx: _refund(tx, caller, request))
    if cancelled:
        availability.mark_free(cancelled)
    outbox.wake_worker()
    outbox.wake_worker(Queue.EXTERNAL)
    return mysql.run_autocommit(lambda tx: _build_result(tx, caller, request.book_id))


def _refund(tx: Tx, caller: Caller, request: RefundVisitRequest) -> Booking | None:
    """Return the booking if it is cancelled now."""
    booking = bookings.find_for_update(tx, caller.tenant_id, request.book_id)
    if booking is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    if booking.status == BookingStatus.CANCELLED:
        return None
    if booking.status != BookingStatus.REGISTERED:
        raise ApiError(errors.CONFLICT, "该预约未挂号，请用取消预约退费")
    if not (booking.seen_at or booking.day < clock.today()):
        event_type = EventType.BOOKING_CANCELLED_BY_DESK
        cancellation.cancel(tx, booking, CancellationReason.DESK, caller.user_id, event_type)
        _audit(tx, caller, request)
        return booking
    if caller.role != Role.ADMIN:
        raise ApiError(errors.NOT_ALLOWED, "患者已就诊，只能由管理员退费")
    _refund_seen_visit(tx, caller, request, booking)
    return None


def _refund_seen_visit(tx: Tx, caller: Caller, request: RefundVisitRequest, booking: Booking) -> None:
    if booking.paid_at_till:  # the result names the receipt
        return
    payment = refunds_due.lock_settling_payment(tx, booking.tenant_id, booking.book_id)
    if payment is None or booking.payment_state != PaymentState.PAID:
        raise ApiError(errors.CONFLICT, "该预约没有可退的微信支付")
    if payment.rest:
        refunds_due.enqueue_partial_refund(tx, booking, payment.rest)
        _audit(tx, caller, request)


def _audit(tx: Tx, caller: Caller, request: RefundVisitRequest) -> None:
    action, subject = AuditAction.REFUND_VISIT, f"booking:{request.book_id}"
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, action, subject),
        reason=request.reason,
        key_id=caller.key_id or None,
    )


def _build_result(tx: Tx, caller: Caller, book_id: int) -> VisitRefund:
    booking = desk_store.get_booking(tx, caller.tenant_id, book_id)
    status, refunded = desk_store.get_refund(tx, caller.tenant_id, book_id)
    return VisitRefund(
        book_id=str(book_id),
        book_status=status,
        refund=to_yuan(refunded),
        receipt_no=booking.till_receipt_no or "",
    )
