"""SQL of bookings that staff make for patients."""

from dataclasses import dataclass
from datetime import date, timedelta

from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import BookingOrigin, BookingStatus, PaymentState
from chalicelib.people.patient_status import PROVES_OWNER_SQL, PatientStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToBook:
    """A patient file, and the account in which its bookings are shown."""

    pati_id: int
    status: PatientStatus
    user_id: int | None  # the owner's account, or the only one with this file; None: no such account
    member_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskBooking:
    """A booking as the front desk is told about it."""

    book_id: int
    book_code: str
    serial_no: int
    day: date
    slot_time: timedelta  # since midnight
    user_id: int | None
    till_receipt_no: str | None


def find_file(tx: Tx, tenant_id: int, pati_id: int) -> FileToBook | None:
    """Return a patient file that is not merged into another one, or None."""
    rows = tx.fetch_all(
        f"""
        SELECT p.pati_id, p.status, m.user_id, m.member_id,
               p.status = %(verified)s AND {PROVES_OWNER_SQL} AS is_owner
        FROM patients p
        LEFT JOIN (members m JOIN accounts a ON a.user_id = m.user_id AND a.closed_at IS NULL)
            ON m.pati_id = p.pati_id AND m.live = 1
        WHERE p.pati_id = %(pati_id)s AND p.tenant_id = %(tenant_id)s AND p.merged_into IS NULL
        ORDER BY m.member_id
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
        verified=PatientStatus.VERIFIED,
    )
    if not rows:
        return None
    holder = next((row for row in rows if row["is_owner"]), rows[0] if len(rows) == 1 else None)
    return FileToBook(
        pati_id=pati_id,
        status=PatientStatus(rows[0]["status"]),
        user_id=holder["user_id"] if holder else None,
        member_id=holder["member_id"] if holder else None,
    )


def is_schedule_of(tx: Tx, tenant_id: int, schedule_id: int, doctor_id: int) -> bool:
    """Return whether a schedule is a doctor's, or of the general clinic of their department."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM schedules x
        WHERE x.schedule_id = %(schedule_id)s AND x.tenant_id = %(tenant_id)s
          AND (x.doctor_id = %(doctor_id)s OR x.doctor_id IS NULL AND x.dept_id = (
              SELECT d.dept_id FROM doctors d WHERE d.user_id = %(doctor_id)s AND d.tenant_id = %(tenant_id)s))
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        doctor_id=doctor_id,
    )
    return found is not None


def get_booking(tx: Tx, tenant_id: int, book_id: int) -> DeskBooking:
    """Return a booking that exists."""
    [row] = tx.fetch_all(
        """
        SELECT book_id, book_code, serial_no, day, slot_time, user_id, till_receipt_no
        FROM bookings WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return DeskBooking(**row)


def get_refund(tx: Tx, tenant_id: int, book_id: int) -> tuple[BookingStatus, int]:
    """Return the status of a booking that exists, and what of its fee is refunded or is to be, in fen."""
    [row] = tx.fetch_all(
        """
        SELECT b.status, (SELECT COALESCE(SUM(d.fee), 0) FROM refunds_due d WHERE d.book_id = b.book_id) AS refunded
        FROM bookings b WHERE b.book_id = %(book_id)s AND b.tenant_id = %(tenant_id)s
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return BookingStatus(row["status"]), int(row["refunded"])


def find_additional(tx: Tx, tenant_id: int, schedule_id: int, pati_id: int) -> int | None:
    """Return the booking of an additional slot that the patient has in the schedule, or None."""
    book_id: int | None = tx.fetch_value(
        """
        SELECT book_id FROM bookings
        WHERE schedule_id = %(schedule_id)s AND live = 1 AND tenant_id = %(tenant_id)s AND pati_id = %(pati_id)s
          AND origin = %(origin)s
        """,
        tenant_id=tenant_id,
        schedule_id=schedule_id,
        pati_id=pati_id,
        origin=BookingOrigin.ADDITIONAL,
    )
    return book_id


def find_last_serial_no(tx: Tx, tenant_id: int, schedule_id: int, slots: int) -> int:
    """Return the highest number of a schedule's slots, additional ones included."""
    row = tx.fetch_one(
        """
        SELECT serial_no FROM bookings
        WHERE schedule_id = %(schedule_id)s AND live = 1 AND tenant_id = %(tenant_id)s AND serial_no > %(slots)s
        ORDER BY serial_no DESC LIMIT 1
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        slots=slots,
    )
    return row["serial_no"] if row else slots


def set_receipt(tx: Tx, tenant_id: int, book_id: int, receipt_no: str) -> None:
    """Mark a booking that `bookings.find_for_update` has locked as paid at the hospital's till."""
    tx.execute(
        """
        UPDATE bookings SET payment_state = %(paid)s, till_receipt_no = %(receipt_no)s
        WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s
        """,
        paid=PaymentState.PAID,
        receipt_no=receipt_no,
        book_id=book_id,
        tenant_id=tenant_id,
    )
