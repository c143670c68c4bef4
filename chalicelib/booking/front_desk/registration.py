"""Receiving who has booked: registering them, and the day's list."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import bookings
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.front_desk import front_desk_store
from chalicelib.booking.reservations import booking_store, notifications
from chalicelib.booking.reservations.models import Arrived, DayBook, DayBooksQuery, Registered
from chalicelib.booking.schedules import schedule_store, slots
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller, Role
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.people import formatting, patients


def register(caller: Caller, arrived: Arrived) -> Registered:
    """Register a booking on its day (挂号): the patient's latest visit. One that is registered stays so.

    ApiError 404 for another tenant's, 409 on another day, for what is cancelled or missed, and for a stopped clinic.
    """
    if not (arrived.book_id or arrived.book_code):
        raise ApiError(errors.BAD_PARAMETER, "book_id：与 book_code 必填其一")
    found = front_desk_store.find(mysql.autocommit, caller.tenant_id, arrived.book_id, arrived.book_code or None)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    serial_no, now = mysql.run_transaction(lambda tx: _register(tx, caller, found))
    if now:
        outbox.wake_worker()
    return Registered(book_id=str(found["book_id"]), visi_serialno=str(serial_no))


def list_day(caller: Caller, asked: DayBooksQuery) -> Page[DayBook]:
    """Return a page of who comes on a day, by time; telephone numbers masked.

    Doctors find their own, and who comes to the general clinic of their department; a colleague's are refused (404).
    """
    doctor = caller.user_id if caller.role == Role.DOCTOR else None
    if doctor and asked.doctor_id not in (None, doctor):
        raise ApiError(errors.NOT_FOUND, "只能查看自己的预约")
    where, limits = (asked.date, asked.dept_id, asked.doctor_id, doctor), (asked.offset, asked.page_size)
    total, rows = front_desk_store.list_day(mysql.autocommit, caller.tenant_id, *where, limits)
    return Page[DayBook].build(asked, total, [_build_day_book(row) for row in rows])


def _register(tx: Tx, caller: Caller, found: Row) -> tuple[int, bool]:
    """Return the slot's number, and whether it was registered now."""
    # The order in which locks are taken: see reserve.py.
    booking_store.lock_patient(tx, caller.tenant_id, found["pati_id"])
    schedule = schedule_store.find(tx, caller.tenant_id, found["schedule_id"])
    booking = bookings.find_for_update(tx, caller.tenant_id, found["book_id"])
    if booking is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    if booking.status == BookingStatus.REGISTERED:
        return booking.serial_no, False
    if booking.status != BookingStatus.BOOKED:
        raise ApiError(errors.CONFLICT, "该预约已取消或已失约")
    if schedule is None or schedule["stopped_at"]:  # what was booked is being cancelled
        raise ApiError(errors.CONFLICT, "该排班已停诊")
    if booking.day != clock.today():
        raise ApiError(errors.CONFLICT, f"只能在就诊当天（{booking.day}）挂号")
    front_desk_store.register(tx, booking.book_id, caller.user_id)
    patients.set_latest_visit(tx, caller.tenant_id, booking.pati_id, booking.book_id)
    notifications.enqueue(tx, booking.tenant_id, booking.user_id, booking.book_id, EventType.BOOKING_REGISTERED)
    return booking.serial_no, True


def _build_day_book(row: Row) -> DayBook:
    born = row["birthday"].isoformat() if row["birthday"] else ""
    return DayBook(
        book_id=str(row["book_id"]),
        book_code=row["book_code"],
        book_status=row["status"],
        time=slots.format_time(row["slot_time"]),
        serial_no=row["serial_no"],
        dept_name=row["dept_name"],
        doctor_name=row["doctor_name"],
        type=row["type"],
        pati_id=str(row["pati_id"]),
        pati_name=row["name"],
        pati_gender=row["gender"],
        pati_age=formatting.format_age(born, clock.today()),
        pati_phone=formatting.mask_phone(row["phone"]),
        visi_charge=row["payment_state"],
    )
