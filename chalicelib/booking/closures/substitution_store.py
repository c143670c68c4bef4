"""SQL of substitution: the bookings of a schedule change over to that of another doctor."""

from dataclasses import dataclass
from datetime import date, timedelta

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.closures.alternative_store import AlternativeKind, AlternativeState


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedBooking:
    """A booking that changes over."""

    book_id: int
    user_id: int | None
    changes: int  # before
    day: date
    slot_time: timedelta  # since midnight


def find_substitute(tx: Tx, tenant_id: int, schedule_id: int) -> tuple[int, int] | None:
    """Return schedule_id and doctor of the schedule that replaces a stopped one, or None."""
    row = tx.fetch_one(
        """
        SELECT s.schedule_id, s.doctor_id FROM schedules x JOIN schedules s ON s.schedule_id = x.substitute_id
        WHERE x.schedule_id = %(schedule_id)s AND x.tenant_id = %(tenant_id)s
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
    )
    return (row["schedule_id"], row["doctor_id"]) if row else None


def count_moved(tx: Tx, tenant_id: int, schedule_id: int) -> int:
    """Return how many bookings of a stopped schedule have changed over to a substitute."""
    return int(
        tx.fetch_value(
            """
            SELECT COUNT(*) FROM alternatives
            WHERE schedule_id = %(schedule_id)s AND kind = %(kind)s AND tenant_id = %(tenant_id)s
            """,
            schedule_id=schedule_id,
            kind=AlternativeKind.SUBSTITUTE,
            tenant_id=tenant_id,
        )
    )


def lock_movable(tx: Tx, tenant_id: int, schedule_id: int, doctor_id: int) -> list[MovedBooking]:
    """Lock and return the bookings of a schedule whose patients still wait for their visit.

    Those of patients who have another booking with the substitute on that day are left out.
    """
    rows = tx.fetch_all(
        """
        SELECT b.book_id, b.user_id, b.changes, b.day, b.slot_time FROM bookings b
        WHERE b.schedule_id = %(schedule_id)s AND b.live = 1 AND b.tenant_id = %(tenant_id)s
          AND b.status IN (%(booked)s, %(registered)s) AND b.seen_at IS NULL
          AND NOT EXISTS (
              SELECT 1 FROM bookings o
              WHERE o.tenant_id = b.tenant_id AND o.pati_id = b.pati_id AND o.day = b.day
                AND o.doctor_id = %(doctor_id)s AND o.live = 1)
        ORDER BY b.serial_no FOR UPDATE
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        doctor_id=doctor_id,
        booked=BookingStatus.BOOKED,
        registered=BookingStatus.REGISTERED,
    )
    return [MovedBooking(**row) for row in rows]


def move_all(
    tx: Tx, tenant_id: int, moved: list[MovedBooking], schedules: tuple[int, int], doctor_id: int, user_id: int
) -> None:
    """Let bookings that are locked change over, keeping their slots; record the changes and what patients are offered.

    Args:
        schedules: schedule_id of the stopped one and of the substitute's.
        user_id: who has decided it.

    Raises:
        mysql.DuplicateKeyError: a patient has booked the substitute on that day meanwhile.
    """
    common = {
        "tenant_id": tenant_id,
        "book_ids": [0, *(one.book_id for one in moved)],  # 0: IN () is a syntax error
        "old": schedules[0],
        "new": schedules[1],
        "doctor_id": doctor_id,
        "user_id": user_id,
        "kind": AlternativeKind.SUBSTITUTE,
        "open": AlternativeState.OPEN,
        "ended": AlternativeState.ENDED,
        "now": clock.now(),
    }
    affected = "book_id IN %(book_ids)s AND tenant_id = %(tenant_id)s"
    tx.execute(
        f"""
        UPDATE bookings SET schedule_id = %(new)s, doctor_id = %(doctor_id)s, changes = changes + 1 WHERE {affected}
        """,
        **common,
    )
    tx.execute(
        f"""
        INSERT INTO booking_changes (tenant_id, book_id, number, old_schedule_id, old_serial_no, old_day, old_slot_time,
                                     schedule_id, serial_no, changed_by, created_at)
        SELECT tenant_id, book_id, changes, %(old)s, serial_no, day, slot_time, schedule_id, serial_no, %(user_id)s,
               %(now)s
        FROM bookings WHERE {affected}
        """,
        **common,
    )
    tx.execute(
        f"UPDATE alternatives SET state = %(ended)s, decided_at = %(now)s WHERE {affected} AND state = %(open)s",
        **common,
    )
    # Times of day are Shanghai's, eight hours ahead of UTC; expires_at is in µs.
    tx.execute(
        f"""
        INSERT INTO alternatives (tenant_id, book_id, number, schedule_id, kind, expires_at, created_at)
        SELECT tenant_id, book_id, changes, %(old)s, %(kind)s,
               (TIMESTAMPDIFF(SECOND, '1970-01-01', TIMESTAMP(day, slot_time)) - 28800) * 1000000, %(now)s
        FROM bookings WHERE {affected}
        """,
        **common,
    )
