"""SQL of bookings as the front desk sees them."""

from dataclasses import dataclass
from datetime import date, timedelta

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.people.patient_status import PatientStatus

_HALF_DAY_RULE = f"""
    COALESCE((SELECT r.half_day_rule FROM booking_rules r WHERE r.tenant_id = %(tenant_id)s), {Rules().half_day_rule})
"""


@dataclass(frozen=True, slots=True)
class BookingKeys:
    """The ids by which the rows that a registration locks are found."""

    book_id: int
    pati_id: int
    schedule_id: int  # in whose queue the patient is or will be


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBookingRow:
    """A booking in the list of a day, with the patient's data."""

    book_id: int
    book_code: str
    status: BookingStatus
    slot_time: timedelta  # since midnight
    serial_no: int
    type: int
    payment_state: PaymentState
    pati_id: int
    name: str
    gender: int
    birthday: date | None
    phone_sealed: bytes | None  # see people/patients.py
    dept_name: str
    doctor_name: str  # "" for a general clinic
    verified: bool
    conflict: bool  # whether the patient has another booking in the half-day or with the doctor


def find(tx: Tx, tenant_id: int, book_id: int | None, book_code: str | None) -> BookingKeys | None:
    """Return the keys of a booking by its book_id or, if that is None, by its code; None if there is none."""
    row = tx.fetch_one(
        f"""
        SELECT b.book_id, b.pati_id, COALESCE(e.schedule_id, b.schedule_id) AS schedule_id
        FROM bookings b LEFT JOIN queue_entries e ON e.book_id = b.book_id
        WHERE b.tenant_id = %(tenant_id)s
          AND {"b.book_id = %(book_id)s" if book_id else "b.book_code = %(book_code)s"}
        """,
        tenant_id=tenant_id,
        book_id=book_id,
        book_code=book_code,
    )
    return BookingKeys(**row) if row else None


def is_verified(tx: Tx, tenant_id: int, pati_id: int) -> bool:
    """Return whether a patient file, which is locked, is verified."""
    status = tx.fetch_value(
        "SELECT status FROM patients WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s",
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return bool(status == PatientStatus.VERIFIED)


def list_day(
    tx: Tx,
    tenant_id: int,
    day: date,
    dept_id: int | None,
    doctor_id: int | None,
    viewer_id: int | None,
    limits: tuple[int, int],
) -> tuple[int, list[DayBookingRow]]:
    """Return the number of a day's bookings that are not cancelled, and one page of them by time.

    Args:
        viewer_id: a doctor, who sees their own bookings and those of the general clinic of their department; None for
            all bookings.
        limits: offset and page size.
    """
    visible = """
        AND (b.doctor_id = %(viewer_id)s OR b.doctor_id IS NULL AND b.dept_id = (
            SELECT d.dept_id FROM doctors d WHERE d.user_id = %(viewer_id)s AND d.tenant_id = %(tenant_id)s))
    """
    source = f"""
        FROM bookings b JOIN patients p ON p.pati_id = b.pati_id
        WHERE b.tenant_id = %(tenant_id)s AND b.day = %(day)s AND b.live = 1
          {"AND b.dept_id = %(dept_id)s" if dept_id else ""} {"AND b.doctor_id = %(doctor_id)s" if doctor_id else ""}
          {visible if viewer_id else ""}
    """
    [total], rows = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n {source};
        SELECT b.book_id, b.book_code, b.status, b.slot_time, b.serial_no, b.type, b.payment_state, b.pati_id,
               p.name, p.gender, p.birthday, p.phone_sealed,
               (SELECT d.name FROM departments d WHERE d.dept_id = b.dept_id) AS dept_name,
               COALESCE((SELECT s.name FROM staff s WHERE s.user_id = b.doctor_id), '') AS doctor_name,
               p.status = %(verified)s AS verified,
               EXISTS (SELECT 1 FROM bookings o
                       WHERE o.tenant_id = b.tenant_id AND o.pati_id = b.pati_id AND o.day = b.day AND o.live = 1
                         AND o.book_id <> b.book_id
                         AND (o.half_day = b.half_day AND {_HALF_DAY_RULE} OR o.doctor_id = b.doctor_id)
               ) AS conflict
        {source} ORDER BY b.slot_time, b.book_id LIMIT %(offset)s, %(size)s
        """,
        tenant_id=tenant_id,
        day=day,
        dept_id=dept_id,
        doctor_id=doctor_id,
        viewer_id=viewer_id,
        verified=PatientStatus.VERIFIED,
        offset=limits[0],
        size=limits[1],
    )
    return total["n"], [_parse_row(row) for row in rows]


def _parse_row(row: Row) -> DayBookingRow:
    parsed = {
        "status": BookingStatus(row["status"]),
        "payment_state": PaymentState(row["payment_state"]),
        "verified": bool(row["verified"]),
        "conflict": bool(row["conflict"]),
    }
    return DayBookingRow(**{**row, **parsed})
