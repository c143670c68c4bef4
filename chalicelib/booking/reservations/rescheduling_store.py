"""SQL of rescheduling: which booking is to be moved, and the move."""

from dataclasses import dataclass
from datetime import timedelta

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import Booking
from chalicelib.booking.reservations.booking_store import COPIED_SCHEDULE_COLUMNS, MemberFile
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.people.patient_status import PatientStatus


@dataclass(frozen=True, slots=True)
class BookingToMove:
    """A booking by which the rows to lock are found."""

    book_id: int
    user_id: int | None
    member_id: int | None
    file: MemberFile  # of the booking


@dataclass(frozen=True, slots=True)
class EarlierChange:
    """The change that an earlier request with the same idempotency key made."""

    book_id: int
    schedule_id: int
    serial_no: int


def find(tx: Tx, tenant_id: int, book_id: int) -> BookingToMove | None:
    """Return a booking of any account, without a lock, or None."""
    row = tx.fetch_one(
        """
        SELECT b.book_id, b.user_id, b.member_id, b.pati_id, p.status
        FROM bookings b JOIN patients p ON p.pati_id = b.pati_id
        WHERE b.book_id = %(book_id)s AND b.tenant_id = %(tenant_id)s
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return _parse(row) if row else None


def find_by_idempotency_key(tx: Tx, tenant_id: int, user_id: int, idempotency_key: str | None) -> EarlierChange | None:
    """Return the change that a person made with an idempotency key, or None."""
    if not idempotency_key:
        return None
    row = tx.fetch_one(
        """
        SELECT book_id, schedule_id, serial_no FROM booking_changes
        WHERE tenant_id = %(tenant_id)s AND changed_by = %(user_id)s AND idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        idempotency_key=idempotency_key.encode(),
    )
    return EarlierChange(**row) if row else None


def count_changes(tx: Tx, tenant_id: int, book_id: int, user_id: int) -> int:
    """Return how often a person has rescheduled a booking."""
    return int(
        tx.fetch_value(
            """
            SELECT COUNT(*) FROM booking_changes
            WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s AND changed_by = %(user_id)s
            """,
            book_id=book_id,
            tenant_id=tenant_id,
            user_id=user_id,
        )
    )


def move(
    tx: Tx, booking: Booking, schedule: Schedule, serial_no: int, slot_time: timedelta, half_day_rule: bool
) -> None:
    """Give a booking that `bookings.find_for_update` has locked another slot, which frees the one that it has.

    Args:
        half_day_rule: whether the booking takes the patient's half-day.

    Raises:
        mysql.DuplicateKeyError: as booking_store.insert, for the keys slot, patient_half_day and patient_doctor_day.
    """
    copied = {name: getattr(schedule, name) for name in COPIED_SCHEDULE_COLUMNS}
    tx.execute(
        f"""
        UPDATE bookings
        SET schedule_id = %(schedule_id)s, serial_no = %(serial_no)s, slot_time = %(slot_time)s,
            {", ".join(f"{name} = %({name})s" for name in copied)},
            person_live = 1, half_day_live = %(half_day_live)s, changes = changes + 1, reminded_at = NULL
        WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s
        """,
        **copied,
        book_id=booking.book_id,
        tenant_id=booking.tenant_id,
        schedule_id=schedule.schedule_id,
        serial_no=serial_no,
        slot_time=slot_time,
        half_day_live=1 if half_day_rule else None,
    )


def insert_change(
    tx: Tx, booking: Booking, moved: Booking, changed_by: int, idempotency_key: str | None = None
) -> None:
    """Record that a booking was moved.

    Raises:
        mysql.DuplicateKeyError: "idempotency_key" if the person has used the key before.
    """
    tx.insert(
        """
        INSERT INTO booking_changes (tenant_id, book_id, number, old_schedule_id, old_serial_no, old_day, old_slot_time,
                                     schedule_id, serial_no, changed_by, idempotency_key, created_at)
        VALUES (%(tenant_id)s, %(book_id)s, %(number)s, %(old_schedule_id)s, %(old_serial_no)s, %(old_day)s,
                %(old_slot_time)s, %(schedule_id)s, %(serial_no)s, %(changed_by)s, %(idempotency_key)s, %(now)s)
        """,
        tenant_id=booking.tenant_id,
        book_id=booking.book_id,
        number=moved.changes,
        old_schedule_id=booking.schedule_id,
        old_serial_no=booking.serial_no,
        old_day=booking.day,
        old_slot_time=booking.slot_time,
        schedule_id=moved.schedule_id,
        serial_no=moved.serial_no,
        changed_by=changed_by,
        idempotency_key=idempotency_key.encode() if idempotency_key else None,
        now=clock.now(),
    )


def _parse(row: Row) -> BookingToMove:
    file = MemberFile(row["pati_id"], row["status"] != PatientStatus.VERIFIED)
    return BookingToMove(row["book_id"], row["user_id"], row["member_id"], file)
