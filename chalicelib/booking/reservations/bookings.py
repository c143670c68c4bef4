"""A patient's bookings: the confirm page, the list, the details of one booking."""

from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.billing.money import to_yuan
from chalicelib.billing.refunds_due import BookingRefund, RefundState
from chalicelib.booking.calendar import calendar_store
from chalicelib.booking.calendar.models import PageNoQuery
from chalicelib.booking.reservations import booking_store, reserve
from chalicelib.booking.reservations.booking_store import BookingDetails
from chalicelib.booking.reservations.models import Book, ListedBook, PresubmitRequest, PresubmitResult
from chalicelib.booking.schedules import rule_store, schedule_store, slots
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import formatting, patient_documents, patients
from chalicelib.people.patient_documents import StoredDocument
from chalicelib.people.patients import Patient

# A patient need not know whether WeChat Pay has accepted a refund yet.
REFUND_STATUSES = {
    RefundState.PENDING: "processing",
    RefundState.PROCESSING: "processing",
    RefundState.SUCCESS: "success",
    RefundState.ABNORMAL: "abnormal",
}
GENDER_LABELS = {1: "男", 2: "女"}


def presubmit(caller: Caller, request: PresubmitRequest) -> PresubmitResult:
    """Return what the confirm page shows about a slot. Nothing is reserved.

    Raises:
        ApiError: as reserve.submit_booking, except for errors about the member.
    """
    schedule, dept_name, doctor_name = mysql.run_autocommit(lambda tx: _load_confirmation(tx, caller, request))
    return PresubmitResult(
        deptId=str(schedule.dept_id),
        deptName=dept_name,
        type=schedule.type,
        doctor=doctor_name or None,
        appoTime=schedule.get_slot_datetime(request.serial_no),
        bookfee=to_yuan(schedule.fee),
    )


def list_own(caller: Caller, query: PageNoQuery) -> Page[ListedBook]:
    """Return a page of the account's bookings, newest first."""
    limits = (query.offset, query.page_size)
    total, rows = booking_store.list_page(mysql.autocommit, caller.tenant_id, caller.user_id, limits)
    return Page[ListedBook].build(query, total, [_build_listed_book(booking) for booking in rows])


def get_own(caller: Caller, book_id: int) -> Book:
    """Return a booking of the account, with the whole document number of the patient if the account has the member.

    Raises:
        ApiError: 404 if the account has no such booking.
    """
    field_encryption.preload_keys()
    booking, patient, primary = mysql.run_autocommit(lambda tx: _load_own(tx, caller, book_id))
    birthday = patient.birthday.isoformat() if patient.birthday else ""
    return Book(
        **_build_booking_fields(booking),
        bookCode=booking.book_code,
        bookfee=to_yuan(booking.fee),
        treaNo=booking.serial_no,
        treaArea=booking.area,
        memberGender=GENDER_LABELS.get(patient.gender, "未知"),
        memberAge=formatting.format_age(birthday, clock.today()),
        memberIDNo=patient_documents.decrypt_number(primary) if primary else "",
        bookTime=clock.format_wire_time(booking.created_at),
    )


def _load_confirmation(tx: Tx, caller: Caller, request: PresubmitRequest) -> tuple[Schedule, str, str]:
    """Return the schedule and the names of department and doctor."""
    schedule = reserve.require_schedule(schedule_store.find(tx, caller.tenant_id, request.schedule_id))
    reserve.require_bookable_slot(
        tx, caller.tenant_id, rule_store.load(tx, caller.tenant_id), schedule, request.serial_no
    )
    holder = booking_store.find_slot_holder(tx, caller.tenant_id, request.schedule_id, request.serial_no)
    if holder and holder.user_id == caller.user_id:
        raise ApiError(errors.CONFLICT, f"您已预约{request.serial_no}号，请查看预约记录")
    if holder:
        raise reserve.build_unavailable_error(tx, caller.tenant_id, schedule, f"{request.serial_no}号已被预约")
    return schedule, *calendar_store.get_names(tx, caller.tenant_id, schedule.dept_id, schedule.doctor_id)


def _load_own(tx: Tx, caller: Caller, book_id: int) -> tuple[BookingDetails, Patient, StoredDocument | None]:
    """Return a booking of the account, the patient, and the document that is shown of them."""
    booking = booking_store.find_own(tx, caller.tenant_id, caller.user_id, book_id)
    if booking is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    patient = patients.get(tx, caller.tenant_id, booking.pati_id)
    documents = patient_documents.list_of_patient(tx, caller.tenant_id, booking.pati_id) if booking.has_member else []
    return booking, patient, documents[0] if documents else None


def _build_listed_book(booking: BookingDetails) -> ListedBook:
    is_registered = booking.status == BookingStatus.REGISTERED
    return ListedBook(**_build_booking_fields(booking), visiSerialno=str(booking.serial_no) if is_registered else "")


def _build_booking_fields(booking: BookingDetails) -> dict[str, Any]:
    """Return the fields of BookingFields."""
    return {
        "bookId": str(booking.book_id),
        "treaTime": f"{booking.day} {slots.format_time(booking.slot_time)}:00",
        "bookStatus": booking.status,
        "deptId": str(booking.dept_id),
        "deptName": booking.dept_name,
        "type": booking.type,
        "doctorId": str(booking.doctor_id or ""),
        "doctorName": booking.doctor_name,
        "memberName": booking.member_name,
        "visiCharge": booking.charge_state,
        "cancelReason": booking.cancelled_for,
        "confirmBy": _format_confirmation(booking),
        **_build_refund_fields(booking.refund),
    }


def _format_confirmation(booking: BookingDetails) -> str:
    """Return until when the holder has to confirm, "" if they need not; a payment confirms too."""
    is_open = booking.status == BookingStatus.BOOKED and booking.payment_state == PaymentState.UNPAID
    return clock.format_wire_time(booking.confirm_by) if is_open and booking.confirm_by else ""


def _build_refund_fields(refund: BookingRefund | None) -> dict[str, Any]:
    if refund is None:
        return {"refundStatus": "", "refundAmount": None, "refundTime": None}
    return {
        "refundStatus": REFUND_STATUSES[refund.state],
        "refundAmount": to_yuan(refund.fee),
        "refundTime": clock.format_wire_time(refund.done_at) if refund.done_at else None,
    }
