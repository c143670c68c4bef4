"""A patient's bookings: what the confirm page shows, the list, one of them."""

from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import bookings as dues
from chalicelib.billing.money import yuan
from chalicelib.booking.calendar import calendar_store
from chalicelib.booking.calendar.models import PageNoAsked
from chalicelib.booking.reservations import booking_store, reserve
from chalicelib.booking.reservations.models import Book, ListedBook, Presubmitted, SlotAsked
from chalicelib.booking.schedules import rules, schedule_store, slots
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.crypto import field_encryption
from chalicelib.errors import Refused
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.people import formatting, patients

GENDERS = {1: "男", 2: "女"}


def presubmit(caller: Caller, asked: SlotAsked) -> Presubmitted:
    """Return what the confirm page shows. Refused as `selling.submit` is, but for what is about the member."""
    schedule, name, doctor = mysql.autocommit(lambda tx: _confirmable(tx, caller, asked))
    return Presubmitted(
        deptId=str(schedule.dept_id),
        deptName=name,
        type=schedule.type,
        doctor=doctor,
        appoTime=schedule.moment(asked.serial_no),
        bookfee=yuan(schedule.fee),
    )


def list_own(caller: Caller, asked: PageNoAsked) -> Page[ListedBook]:
    """Return a page of the account's bookings, the newest first."""
    limits = (asked.skipped, asked.page_size)
    total, rows = mysql.autocommit(lambda tx: booking_store.listed(tx, caller.tenant_id, caller.user_id, limits))
    return Page[ListedBook].of(asked, total, [_listed(row) for row in rows])


def one(caller: Caller, book_id: int) -> Book:
    """Return one of the account's bookings, with the whole ID number: it is the caller's own."""
    field_encryption.ready()
    row, patient = mysql.autocommit(lambda tx: _one(tx, caller, book_id))
    born = patient.birthday.isoformat() if patient.birthday else ""
    return Book(
        **_shown(row),
        bookCode=row["book_code"],
        bookfee=yuan(row["fee"]),
        treaNo=row["serial_no"],
        treaArea=row["area"],
        memberGender=GENDERS.get(patient.gender, "未知"),
        memberAge=formatting.age(born, clock.today()),
        memberIDNo=patients.number_of(patient),
        bookTime=clock.wire(row["created_at"]),
    )


def _confirmable(tx: Tx, caller: Caller, asked: SlotAsked) -> tuple[Schedule, str, str]:
    """Return the schedule and the names of department and doctor."""
    schedule = reserve.found(schedule_store.find(tx, caller.tenant_id, asked.schedule_id))
    reserve.open_slot(tx, caller, rules.of(tx, caller.tenant_id), schedule, asked.serial_no)
    holder = booking_store.holder(tx, caller.tenant_id, asked.schedule_id, asked.serial_no)
    if holder and holder["user_id"] == caller.user_id:
        raise Refused(errors.CONFLICT, f"您已预约{asked.serial_no}号，请查看预约记录")
    if holder:
        raise reserve.gone(tx, caller, schedule, f"{asked.serial_no}号已被预约")
    return schedule, *calendar_store.names(tx, caller.tenant_id, schedule.dept_id, schedule.doctor_id)


def _one(tx: Tx, caller: Caller, book_id: int) -> tuple[Row, patients.Patient]:
    row = booking_store.one(tx, caller.tenant_id, caller.user_id, book_id)
    if row is None:
        raise Refused(errors.NOT_FOUND, "预约不存在")
    return row, patients.get(tx, caller.tenant_id, row["pati_id"])


def _listed(row: Row) -> ListedBook:
    is_registered = row["status"] == dues.REGISTERED
    return ListedBook(**_shown(row), visiSerialno=str(row["serial_no"]) if is_registered else "")


def _shown(row: Row) -> dict[str, Any]:
    """The fields of a Booking."""
    return {
        "bookId": str(row["book_id"]),
        "treaTime": f"{row['day']} {slots.shown(row['slot_time'])}:00",
        "bookStatus": row["status"],
        "deptId": str(row["dept_id"]),
        "deptName": row["dept_name"],
        "type": row["type"],
        "doctorId": str(row["doctor_id"] or ""),
        "doctorName": row["doctor_name"],
        "memberName": row["member_name"],
        "visiCharge": row["charge"],
        "cancelReason": row["cancelled_for"],
    }
