"""A patient's bookings: what the confirm page shows, the list, one of them."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking import rules, selling, slots, store, store_calendar, store_schedules
from chalicelib.booking.models import Book, BooksAsked, ListedBook, Presubmitted, SlotAsked
from chalicelib.booking.money import yuan
from chalicelib.booking.slots import Schedule
from chalicelib.errors import Refused
from chalicelib.identity import sealing
from chalicelib.identity.callers import Caller
from chalicelib.people import patients, shown
from chalicelib.wire import Page

GENDERS = {1: "男", 2: "女"}
REGISTERED = 2


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


def list_own(caller: Caller, asked: BooksAsked) -> Page[ListedBook]:
    """Return a page of the account's bookings, the newest first."""
    limits = (asked.skipped, asked.page_size)
    total, rows = mysql.autocommit(lambda tx: store.listed(tx, caller.tenant_id, caller.user_id, limits))
    return Page[ListedBook].of(asked, total, [_listed(row) for row in rows])


def one(caller: Caller, book_id: int) -> Book:
    """Return one of the account's bookings, with the whole ID number: it is the caller's own."""
    sealing.ready()
    row, patient = mysql.autocommit(lambda tx: _one(tx, caller, book_id))
    born = patient.birthday.isoformat() if patient.birthday else ""
    return Book(
        bookId=str(row["book_id"]),
        bookCode=row["book_code"],
        bookStatus=row["status"],
        deptId=str(row["dept_id"]),
        deptName=row["dept_name"],
        type=row["type"],
        doctorId=str(row["doctor_id"] or ""),
        doctorName=row["doctor_name"],
        bookfee=yuan(row["fee"]),
        treaTime=moment(row),
        treaNo=row["serial_no"],
        treaArea=row["area"],
        memberName=row["member_name"],
        memberGender=GENDERS.get(patient.gender, "未知"),
        memberAge=shown.age(born, clock.today()),
        memberIDNo=patients.number_of(patient),
        bookTime=clock.wire(row["created_at"]),
        visiCharge=row["charge"],
    )


def moment(row: Row) -> str:
    return f"{row['day']} {slots.shown(row['slot_time'])}:00"


def _confirmable(tx: Tx, caller: Caller, asked: SlotAsked) -> tuple[Schedule, str, str]:
    """Return the schedule and the names of department and doctor."""
    schedule = selling.found(store_schedules.find(tx, caller.tenant_id, asked.schedule_id))
    selling.open_slot(tx, caller, rules.of(tx, caller.tenant_id), schedule, asked.serial_no)
    if store.holder(tx, caller.tenant_id, asked.schedule_id, asked.serial_no):
        raise selling.gone(tx, caller, schedule, f"{asked.serial_no}号已被预约")
    return schedule, *store_calendar.names(tx, caller.tenant_id, schedule.dept_id, schedule.doctor_id)


def _one(tx: Tx, caller: Caller, book_id: int) -> tuple[Row, patients.Patient]:
    row = store.one(tx, caller.tenant_id, caller.user_id, book_id)
    if row is None:
        raise Refused(errors.NOT_FOUND, "预约不存在")
    return row, patients.get(tx, caller.tenant_id, row["pati_id"])


def _listed(row: Row) -> ListedBook:
    return ListedBook(
        bookId=str(row["book_id"]),
        treaTime=moment(row),
        bookStatus=row["status"],
        deptId=str(row["dept_id"]),
        deptName=row["dept_name"],
        type=row["type"],
        doctorId=str(row["doctor_id"] or ""),
        doctorName=row["doctor_name"],
        memberName=row["member_name"],
        visiSerialno=str(row["serial_no"]) if row["status"] == REGISTERED else "",
        visiCharge=row["charge"],
    )
