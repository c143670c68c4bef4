"""SQL of a patient's own place in a queue, and of what a check-in needs to know before it locks."""

from dataclasses import dataclass
from datetime import date, timedelta

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.queues.queue_store import LIVE_BOOKING, QueueState
from chalicelib.people.patient_status import PatientStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBooking:
    """A booking of an account, without a lock."""

    book_id: int
    pati_id: int
    dept_id: int
    schedule_id: int  # in whose queue the patient is or will be
    is_declared: bool  # whether the file is not verified


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlace:
    """A booking of an account with its entry in the queue."""

    book_id: int
    serial_no: int
    status: BookingStatus
    day: date
    slot_time: timedelta  # since midnight
    area: str
    ends: timedelta  # of the half-day
    stopped_at: int | None  # of the schedule whose queue it is
    state: QueueState | None  # None: not checked in
    before: int  # who waits before the patient


def find_own(tx: Tx, tenant_id: int, user_id: int, book_id: int) -> OwnBooking | None:
    """Return a booking of an account, or None."""
    row = tx.fetch_one(
        """
        SELECT b.book_id, b.pati_id, b.dept_id, COALESCE(e.schedule_id, b.schedule_id) AS schedule_id,
               p.status <> %(verified)s AS is_declared
        FROM bookings b JOIN patients p ON p.pati_id = b.pati_id LEFT JOIN queue_entries e ON e.book_id = b.book_id
        WHERE b.book_id = %(book_id)s AND b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s
        """,
        book_id=book_id,
        tenant_id=tenant_id,
        user_id=user_id,
        verified=PatientStatus.VERIFIED,
    )
    return OwnBooking(**{**row, "is_declared": bool(row["is_declared"])}) if row else None


def find_place(tx: Tx, tenant_id: int, user_id: int, book_id: int) -> StoredPlace | None:
    """Return the place of a booking of an account, or None if it has no such booking."""
    row = tx.fetch_one(
        f"""
        SELECT o.book_id, o.serial_no, o.status, o.day, o.slot_time, o.area, s.ends, s.stopped_at, w.state,
               (SELECT COUNT(*) FROM queue_entries e {LIVE_BOOKING}
                WHERE e.schedule_id = w.schedule_id AND e.tenant_id = o.tenant_id AND e.state = %(waiting)s
                  AND e.place < w.place) AS `before`
        FROM bookings o LEFT JOIN queue_entries w ON w.book_id = o.book_id AND o.live = 1
        JOIN schedules s ON s.schedule_id = COALESCE(w.schedule_id, o.schedule_id)
        WHERE o.book_id = %(book_id)s AND o.tenant_id = %(tenant_id)s AND o.user_id = %(user_id)s
        """,
        book_id=book_id,
        tenant_id=tenant_id,
        user_id=user_id,
        waiting=QueueState.WAITING,
    )
    return _parse_place(row) if row else None


def _parse_place(row: Row) -> StoredPlace:
    state = QueueState(row["state"]) if row["state"] else None
    return StoredPlace(**{**row, "status": BookingStatus(row["status"]), "state": state})
