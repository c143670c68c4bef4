"""What staff do for patients: book, add a slot (加号), cancel, and record a payment at the hospital's own till.

The limits for patients do not apply, except that a person has one booking in a half-day and with a doctor on a day, and
that bookings do not begin too close to each other. A patient without an account is booked for by the file alone.
"""

from contextlib import suppress
from functools import partial

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.billing import bookings
from chalicelib.billing.bookings import Booking, BookingOrigin, BookingStatus, CancellationReason, PaymentState
from chalicelib.booking.calendar import availability
from chalicelib.booking.reservations import cancellation, deadlines, desk_store, reserve
from chalicelib.booking.reservations.booking_store import PatientFileChangedError, SlotRequest
from chalicelib.booking.reservations.desk_models import (
    AddBookingRequest,
    BookedForPatient,
    BookForPatientRequest,
    CancelBookingRequest,
    CancelledBooking,
    RecordReceiptRequest,
)
from chalicelib.booking.reservations.desk_store import FileToBook
from chalicelib.booking.schedules import rule_store, slots
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller, Role
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.people import doctor_patients
from chalicelib.people.patient_status import PatientStatus


def book(caller: Caller, request: BookForPatientRequest) -> BookedForPatient:
    """Book a slot for a patient file. If the patient has it already, that booking is returned, with the receipt.

    Raises:
        ApiError: 404 for an unknown file or schedule, 400 for a slot that does not exist, 409 if the slot is reserved
            (the text names free ones), past or stopped, the patient has a conflicting booking, or the receipt cannot be
            recorded for the booking that the patient has.
    """
    return _book(caller, request, BookingOrigin.DESK, request.serial_no)


def add(caller: Caller, request: AddBookingRequest) -> BookedForPatient:
    """Book an additional slot for a patient file, beyond those of the schedule. Repeating returns the same booking.

    Doctors add slots to their own schedules and the general clinic of their department, for their own patients.

    Raises:
        ApiError: 404 for an unknown file or schedule, and for those of others if a doctor asks; 409 if the half-day is
            over or stopped, the patient has a conflicting booking, or the receipt cannot be recorded for the additional
            slot that the patient has.
    """
    if caller.role == Role.DOCTOR:
        mysql.run_autocommit(lambda tx: _require_own(tx, caller, request))
    return _book(caller, request, BookingOrigin.ADDITIONAL, 0)


def cancel(caller: Caller, request: CancelBookingRequest) -> CancelledBooking:
    """Cancel a booking of any account, also after the patient's deadline. Cancelling again has no effect.

    Raises:
        ApiError: 404 if the tenant has no such booking, 409 if it is registered, missed or of a past day.
    """
    booking, receipt_no = mysql.run_transaction(lambda tx: _cancel(tx, caller, request))
    if booking:
        availability.mark_free(booking)
        outbox.wake_worker()
        if booking.payment_state == PaymentState.PAID:
            outbox.wake_worker(Queue.EXTERNAL)
    return CancelledBooking(receipt_no=receipt_no)


def record_receipt(caller: Caller, request: RecordReceiptRequest) -> None:
    """Mark a booking as paid at the hospital's till. A payment through WeChat that arrives later is refunded.

    Raises:
        ApiError: 404 if the tenant has no such booking; 409 if it is cancelled or missed, free, or paid online.
    """
    mysql.run_transaction(lambda tx: _record_receipt(tx, caller, request))


def _book(caller: Caller, request: AddBookingRequest, origin: BookingOrigin, serial_no: int) -> BookedForPatient:
    for _ in range(reserve.MAX_FILE_CHANGES):
        file = desk_store.find_file(mysql.autocommit, caller.tenant_id, request.pati_id)
        if file is None:
            raise ApiError(errors.NOT_FOUND, "患者档案不存在，或已并入其他档案")
        with suppress(PatientFileChangedError):
            book_id = reserve.submit(_build_slot_request(caller, request, file, origin, serial_no))
            mysql.run_transaction(
                partial(_update_earlier, caller=caller, book_id=book_id, receipt_no=request.receipt_no)
            )
            return _build_result(caller, book_id)
    raise ApiError(errors.UNAVAILABLE, retry_after=1)


def _update_earlier(tx: Tx, caller: Caller, book_id: int, receipt_no: str | None) -> None:
    """Record the receipt of a booking that the patient had before, and confirm it if the waitlist gave it.

    No effect on a booking that was made with this receipt.
    """
    booking = _require_booking(tx, caller, book_id)
    if receipt_no and desk_store.get_booking(tx, caller.tenant_id, book_id).till_receipt_no != receipt_no:
        _record_receipt(tx, caller, RecordReceiptRequest(book_id=book_id, receipt_no=receipt_no))
        booking = _require_booking(tx, caller, book_id)
    if booking.confirm_by and booking.status == BookingStatus.BOOKED:
        deadlines.confirm(tx, booking, rule_store.load(tx, caller.tenant_id))


def _build_slot_request(
    caller: Caller, request: AddBookingRequest, file: FileToBook, origin: BookingOrigin, serial_no: int
) -> SlotRequest:
    return SlotRequest(
        tenant_id=caller.tenant_id,
        user_id=file.user_id,
        member_id=file.member_id,
        pati_id=file.pati_id,
        is_declared=file.status != PatientStatus.VERIFIED,
        schedule_id=request.schedule_id,
        serial_no=serial_no,
        idempotency_key=None,
        origin=origin,
        booked_by=caller.user_id,
        till_receipt_no=request.receipt_no,
    )


def _build_result(caller: Caller, book_id: int) -> BookedForPatient:
    booking = desk_store.get_booking(mysql.autocommit, caller.tenant_id, book_id)
    return BookedForPatient(
        book_id=str(booking.book_id),
        book_code=booking.book_code,
        serial_no=booking.serial_no,
        time=f"{booking.day} {slots.format_time(booking.slot_time)}:00",
        has_account=booking.user_id is not None,
    )


def _require_own(tx: Tx, caller: Caller, request: AddBookingRequest) -> None:
    """Raise ApiError(NOT_FOUND) unless the patient and the schedule are the doctor's own."""
    if not doctor_patients.is_own(tx, caller.tenant_id, caller.user_id, request.pati_id):
        raise ApiError(errors.NOT_FOUND, "患者不存在，或不是您的患者，请由前台加号")
    if not desk_store.is_schedule_of(tx, caller.tenant_id, request.schedule_id, caller.user_id):
        raise ApiError(errors.NOT_FOUND, "排班不存在，或不是您的排班")


def _cancel(tx: Tx, caller: Caller, request: CancelBookingRequest) -> tuple[Booking | None, str]:
    """Return the booking if it was cancelled now, and the receipt number of the till or ""."""
    booking = _require_booking(tx, caller, request.book_id)
    receipt_no = desk_store.get_booking(tx, caller.tenant_id, booking.book_id).till_receipt_no or ""
    if booking.status == BookingStatus.CANCELLED:
        return None, receipt_no
    if booking.status != BookingStatus.BOOKED:
        raise ApiError(errors.CONFLICT, "该预约已挂号或已失约，不能取消")
    if booking.day < clock.today():
        raise ApiError(errors.CONFLICT, "就诊日已过，不能取消")
    event_type = EventType.BOOKING_CANCELLED_BY_DESK
    cancellation.cancel(tx, booking, CancellationReason.DESK, caller.user_id, event_type)
    _audit(tx, caller, AuditAction.CANCEL_BOOKING, booking.book_id, request.reason)
    return booking, receipt_no


def _record_receipt(tx: Tx, caller: Caller, request: RecordReceiptRequest) -> None:
    booking = _require_booking(tx, caller, request.book_id)
    if booking.status not in (BookingStatus.BOOKED, BookingStatus.REGISTERED):
        raise ApiError(errors.CONFLICT, "该预约已取消或已失约")
    if not booking.fee:
        raise ApiError(errors.CONFLICT, "该预约免费，无需收据号")
    if booking.payment_state == PaymentState.PAID and not booking.paid_at_till:
        raise ApiError(errors.CONFLICT, "该预约已在线支付")
    if desk_store.get_booking(tx, caller.tenant_id, booking.book_id).till_receipt_no == request.receipt_no:
        return
    desk_store.set_receipt(tx, caller.tenant_id, booking.book_id, request.receipt_no)
    _audit(tx, caller, AuditAction.RECORD_RECEIPT, booking.book_id, receipt_no=request.receipt_no)


def _require_booking(tx: Tx, caller: Caller, book_id: int) -> Booking:
    booking = bookings.find_for_update(tx, caller.tenant_id, book_id)
    if booking is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    return booking


def _audit(tx: Tx, caller: Caller, action: AuditAction, book_id: int, reason: str = "", receipt_no: str = "") -> None:
    subject = f"booking:{book_id}"
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, action, subject),
        reason=reason,
        key_id=caller.key_id or None,
        receipt_no=receipt_no,
    )
