"""Registration at the front desk: register patients who have a booking, and list the bookings of a day."""

from contextlib import suppress

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.billing import bookings
from chalicelib.billing.bookings import Booking, BookingStatus
from chalicelib.booking.front_desk import front_desk_store
from chalicelib.booking.front_desk.front_desk_store import BookingKeys, DayBookingRow
from chalicelib.booking.front_desk.models import DayBooking, DayBookingsQuery, RegisterRequest, RegisterResult
from chalicelib.booking.queues import arrival
from chalicelib.booking.reservations import booking_store
from chalicelib.booking.reservations.booking_store import PatientFileChangedError
from chalicelib.booking.reservations.reserve import MAX_FILE_CHANGES
from chalicelib.booking.schedules import schedule_store, slots
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller, Role
from chalicelib.outbox import outbox
from chalicelib.people import formatting, patients, phones
from chalicelib.people.patient_status import VerificationMethod


def register(caller: Caller, request: RegisterRequest) -> RegisterResult:
    """Register a booking on its day (挂号), which becomes the patient's latest visit, and the patient gets in line.

    Registering again has no effect, except that a patient who was sent for tests gets in line again with the results.
    A reason lets the patient of an unverified file in without a document, which the audit log records.

    Raises:
        ApiError: 400 without an id and a code, 404 if the tenant has no such booking, 409 on another day, if it is
            cancelled or missed, if its schedule is stopped, or if the file is unverified and neither document_checked
            nor a reason is given; with document_checked also if the file has no document or must be merged with one of
            another name.
    """
    if not (request.book_id or request.book_code):
        raise ApiError(errors.BAD_PARAMETER, "book_id：与 book_code 必填其一")
    for _ in range(MAX_FILE_CHANGES):
        with suppress(PatientFileChangedError):
            return _find_and_register(caller, request)
    raise ApiError(errors.UNAVAILABLE, retry_after=1)


def list_day(caller: Caller, query: DayBookingsQuery) -> Page[DayBooking]:
    """Return a page of the bookings of a day, by time, with masked phone numbers.

    Doctors see their own bookings and those of the general clinic of their department.

    Raises:
        ApiError: 404 if a doctor requests the bookings of another doctor.
    """
    viewer_id = caller.user_id if caller.role == Role.DOCTOR else None
    if viewer_id and query.doctor_id not in (None, viewer_id):
        raise ApiError(errors.NOT_FOUND, "只能查看自己的预约")
    total, rows = front_desk_store.list_day(
        mysql.autocommit,
        caller.tenant_id,
        query.date,
        query.dept_id,
        query.doctor_id,
        viewer_id,
        (query.offset, query.page_size),
    )
    return Page[DayBooking].build(query, total, [_build_day_booking(caller.tenant_id, row) for row in rows])


def _find_and_register(caller: Caller, request: RegisterRequest) -> RegisterResult:
    keys = _get_keys(mysql.autocommit, caller, request)
    if request.document_checked:
        serial_no, is_new = _verify_and_register(caller, request, keys)
    else:
        serial_no, is_new = mysql.run_transaction(lambda tx: _register(tx, caller, request, keys, keys.pati_id))
    if is_new:
        outbox.wake_worker()
    return RegisterResult(book_id=str(keys.book_id), visi_serialno=str(serial_no))


def _get_keys(tx: Tx, caller: Caller, request: RegisterRequest) -> BookingKeys:
    keys = front_desk_store.find(tx, caller.tenant_id, request.book_id, request.book_code or None)
    if keys is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    return keys


def _verify_and_register(caller: Caller, request: RegisterRequest, found: BookingKeys) -> tuple[int, bool]:
    """Verify the patient's file, or merge it into the verified one, and register the booking. Returns as _register."""
    from chalicelib.patient_identity import merging, verification  # most registrations need neither

    def work(tx: Tx) -> tuple[int, bool]:
        keys, how = _get_keys(tx, caller, request), VerificationMethod.REGISTRATION
        verified = verification.verify_in_person(tx, caller, keys.pati_id, None, how)
        return _register(tx, caller, request, keys, verified.pati_id)

    with verification.audit_conflicts(caller, found.pati_id):
        return merging.run_transaction(work)


def _register(tx: Tx, caller: Caller, request: RegisterRequest, keys: BookingKeys, pati_id: int) -> tuple[int, bool]:
    """Return the slot's serial number, and whether the booking was registered now.

    Args:
        pati_id: the file that the booking belongs to now.
    """
    # Locks are taken in the order that reservations/reserve.py documents: the patient, the schedule, the booking.
    booking_store.lock_patient(tx, caller.tenant_id, pati_id)
    schedule = schedule_store.find(tx, caller.tenant_id, keys.schedule_id, "FOR UPDATE")
    booking = bookings.find_for_update(tx, caller.tenant_id, keys.book_id)
    if booking is None or schedule is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    if booking.pati_id != pati_id:  # merged or split: the file that it belongs to now is not locked
        raise PatientFileChangedError
    if booking.status == BookingStatus.REGISTERED:
        arrival.return_with_results(tx, caller.tenant_id, schedule, booking.book_id)
        return booking.serial_no, False
    arrival.require_registrable(booking, schedule)
    if not front_desk_store.is_verified(tx, caller.tenant_id, pati_id):
        _audit_unverified(tx, caller, request, booking)
    arrival.register(tx, booking, schedule, caller.user_id)
    return booking.serial_no, True


def _audit_unverified(tx: Tx, caller: Caller, request: RegisterRequest, booking: Booking) -> None:
    """Record why the patient of an unverified file is let in; raise ApiError(CONFLICT) without a reason."""
    if not request.reason:
        raise ApiError(errors.CONFLICT, "身份未核验，请核对证件")
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, AuditAction.REGISTER_UNVERIFIED, f"booking:{booking.book_id}"),
        reason=request.reason,
        key_id=caller.key_id or None,
        pati_id=booking.pati_id,
    )


def _build_day_booking(tenant_id: int, row: DayBookingRow) -> DayBooking:
    birthday = row.birthday.isoformat() if row.birthday else ""
    return DayBooking(
        book_id=str(row.book_id),
        book_code=row.book_code,
        book_status=row.status,
        time=slots.format_time(row.slot_time),
        serial_no=row.serial_no,
        dept_name=row.dept_name,
        doctor_name=row.doctor_name,
        type=row.type,
        pati_id=str(row.pati_id),
        pati_name=row.name,
        pati_gender=row.gender,
        pati_age=formatting.format_age(birthday, clock.today()),
        pati_phone=formatting.mask_phone(phones.unseal(tenant_id, patients.TABLE_NAME, row.pati_id, row.phone_sealed)),
        visi_charge=row.payment_state,
        verified=row.verified,
        conflict=row.conflict,
    )
