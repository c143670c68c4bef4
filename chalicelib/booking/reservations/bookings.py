"""A patient's bookings: what the confirm page shows, the list, one of them."""

from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import BookingStatus
from chalicelib.billing.money import to_yuan
from chalicelib.booking.calendar import calendar_store
from chalicelib.booking.calendar.models import PageNoQuery
from chalicelib.booking.reservations import booking_store, reserve
from chalicelib.booking.reservations.models import Book, ListedBook, Presubmitted, SlotAsked
from chalicelib.booking.schedules import rules, schedule_store, slots
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import formatting, patients

GENDER_LABELS = {1: "男", 2: "女"}


def presubmit(caller: Caller, asked: SlotAsked) -> Presubmitted:
    """Return what the confirm page shows. ApiError as `selling.submit` is, but for what is about the member."""
    schedule, name, doctor = mysql.run_autocommit(lambda tx: _load_confirmation(tx, caller, asked))
    return Presubmitted(
        deptId=str(schedule.dept_id),
        deptName=name,
        type=schedule.type,
        doctor=doctor,
        appoTime=schedule.get_slot_datetime(asked.serial_no),
        bookfee=to_yuan(schedule.fee),
    )


def list_own(caller: Caller, asked: PageNoQuery) -> Page[ListedBook]:
    """Return a page of the account's bookings, the newest first."""
    limits = (asked.offset, asked.page_size)
    total, rows = booking_store.list_page(mysql.autocommit, caller.tenant_id, caller.user_id, limits)
    return Page[ListedBook].build(asked, total, [_build_listed_book(row) for row in rows])


def get_own(caller: Caller, book_id: int) -> Book:
    """Return one of the account's bookings, with the whole ID number: it is the caller's own."""
    field_encryption.preload_keys()
    row, patient = mysql.run_autocommit(lambda tx: _load_own(tx, caller, book_id))
    born = patient.birthday.isoformat() if patient.birthday else ""
    return Book(
        **_build_booking_fields(row),
        bookCode=row["book_code"],
        bookfee=to_yuan(row["fee"]),
        treaNo=row["serial_no"],
        treaArea=row["area"],
        memberGender=GENDER_LABELS.get(patient.gender, "未知"),
        memberAge=formatting.format_age(born, clock.today()),
        memberIDNo=patients.get_id_number(patient),
        bookTime=clock.format_wire_time(row["created_at"]),
    )


def _load_confirmation(tx: Tx, caller: Caller, asked: SlotAsked) -> tuple[Schedule, str, str]:
    """Return the schedule and the names of department and doctor."""
    schedule = reserve.require_schedule(schedule_store.find(tx, caller.tenant_id, asked.schedule_id))
    reserve.require_open_slot(tx, caller, rules.load(tx, caller.tenant_id), schedule, asked.serial_no)
    holder = booking_store.find_slot_holder(tx, caller.tenant_id, asked.schedule_id, asked.serial_no)
    if holder and holder["user_id"] == caller.user_id:
        raise ApiError(errors.CONFLICT, f"您已预约{asked.serial_no}号，请查看预约记录")
    if holder:
        raise reserve.build_unavailable_error(tx, caller, schedule, f"{asked.serial_no}号已被预约")
    return schedule, *calendar_store.get_names(tx, caller.tenant_id, schedule.dept_id, schedule.doctor_id)


def _load_own(tx: Tx, caller: Caller, book_id: int) -> tuple[Row, patients.Patient]:
    row = booking_store.find_own(tx, caller.tenant_id, caller.user_id, book_id)
    if row is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    return row, patients.get(tx, caller.tenant_id, row["pati_id"])


def _build_listed_book(row: Row) -> ListedBook:
    is_registered = row["status"] == BookingStatus.REGISTERED
    return ListedBook(**_build_booking_fields(row), visiSerialno=str(row["serial_no"]) if is_registered else "")


def _build_booking_fields(row: Row) -> dict[str, Any]:
    """The fields of a Booking."""
    return {
        "bookId": str(row["book_id"]),
        "treaTime": f"{row['day']} {slots.format_time(row['slot_time'])}:00",
        "bookStatus": row["status"],
        "deptId": str(row["dept_id"]),
        "deptName": row["dept_name"],
        "type": row["type"],
        "doctorId": str(row["doctor_id"] or ""),
        "doctorName": row["doctor_name"],
        "memberName": row["member_name"],
        "visiCharge": row["payment_state"],
        "cancelReason": row["cancelled_for"],
    }
