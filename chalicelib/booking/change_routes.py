"""Endpoints that reschedule bookings, and those with which staff book for patients. routes.py has the others."""

from chalicelib.booking.reservations import desk_bookings, rescheduling, visit_refunds
from chalicelib.booking.reservations.desk_models import (
    AddBookingRequest,
    BookedForPatient,
    BookForPatientRequest,
    CancelBookingRequest,
    CancelledBooking,
    RecordReceiptRequest,
    RefundVisitRequest,
    VisitRefund,
)
from chalicelib.booking.reservations.models import RescheduleRequest, RescheduleResult
from chalicelib.errors import CONFLICT, CONSENT_REQUIRED, NOT_FOUND
from chalicelib.http.routing import IdempotencyKeyHeader, Routes
from chalicelib.identity.callers import Caller, Role

routes = Routes(__name__)
STAFF = [Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN]
FRONT_DESK = [Role.SERVICE_STAFF, Role.ADMIN]


@routes.post(
    "/pati_service/book_service/book/reschedule",
    callers=[Role.PATIENT],
    errors=[NOT_FOUND, CONFLICT, CONSENT_REQUIRED],
)
def reschedule(caller: Caller, body: RescheduleRequest, idempotency_key: IdempotencyKeyHeader) -> RescheduleResult:
    """改期

    Moves a booking to another slot of the same fee; its id, code and payment stay, and the old slot can be booked by
    others. The rules of book/submit and book/cancel apply; it does not count as a new booking, but a booking can be
    rescheduled only so often (booking_rules.reschedule_limit). For another fee, cancel and book again. A repeated
    request has no further effect; with the same Idempotency-Key not even after the booking was rescheduled again.
    """
    return rescheduling.reschedule_own(caller, body, idempotency_key)


@routes.post("/pati_service/manager_service/reschedule_booking", callers=FRONT_DESK, errors=[NOT_FOUND, CONFLICT])
def reschedule_booking(caller: Caller, body: RescheduleRequest) -> RescheduleResult:
    """前台改期

    As book/reschedule, for a booking of any account, without the limits for patients. The patient is notified.
    """
    return rescheduling.reschedule_for_patient(caller, body)


@routes.post("/pati_service/manager_service/book_for_patient", callers=FRONT_DESK, errors=[NOT_FOUND, CONFLICT])
def book_for_patient(caller: Caller, body: BookForPatientRequest) -> BookedForPatient:
    """前台代患者预约

    For any patient file, in any department, also before patients can book and slots kept for the front desk. Limits
    for patients do not apply, but conflicts with other bookings of the patient do. The booking appears in the account
    of the file's owner, or in the only account that has the file; a patient without one is not notified. With
    receipt_no it is paid at the hospital's till. A repeated request returns the same booking.
    """
    return desk_bookings.book(caller, body)


@routes.post("/pati_service/manager_service/add_booking", callers=STAFF, errors=[NOT_FOUND, CONFLICT])
def add_booking(caller: Caller, body: AddBookingRequest) -> BookedForPatient:
    """加号

    Books an additional slot for a patient, beyond those of the schedule, at the time of its last one. It is never
    offered to others: cancelled, it is gone. Doctors add slots to their own half-days and the general clinic of their
    department, for their own patients. A repeated request returns the same booking.
    """
    return desk_bookings.add(caller, body)


@routes.post("/pati_service/manager_service/cancel_booking", callers=FRONT_DESK, errors=[NOT_FOUND, CONFLICT])
def cancel_booking(caller: Caller, body: CancelBookingRequest) -> CancelledBooking:
    """前台取消预约

    Cancels a booking of any account, also after the patient's deadline, and notifies the patient. A payment through
    WeChat is refunded; for one at the till, receipt_no tells what the hospital has to pay back. In the audit log.
    """
    return desk_bookings.cancel(caller, body)


@routes.post("/pati_service/manager_service/refund_visit", callers=FRONT_DESK, errors=[NOT_FOUND, CONFLICT])
def refund_visit(caller: Caller, body: RefundVisitRequest) -> VisitRefund:
    """退号退费

    Refunds a registered visit. Until the doctor has seen the patient, it is cancelled too, which frees its slot and its
    place in the queue. Once the patient was seen, and after the day, only an admin can refund it, and it stays
    registered. Repeating it has no effect. For a payment at the till, receipt_no tells what the hospital has to pay
    back. In the audit log.
    """
    return visit_refunds.refund(caller, body)


@routes.post("/pati_service/manager_service/record_receipt", callers=FRONT_DESK, errors=[NOT_FOUND, CONFLICT])
def record_receipt(caller: Caller, body: RecordReceiptRequest) -> None:
    """登记收费处收据号

    The booking counts as paid, outside of this system: it is not released, and we refund nothing when it is cancelled.
    Another number replaces the earlier one. In the audit log.
    """
    desk_bookings.record_receipt(caller, body)
