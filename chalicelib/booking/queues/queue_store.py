"""SQL of queues. An entry counts while its booking is live; all changes are made under the lock of the schedule.

The lock is `schedule_store.find(…, "FOR UPDATE")` or `lock_schedule`, taken after that of the patient and before that
of the booking, as reservations/reserve.py documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import Booking, BookingStatus
from chalicelib.booking.schedules.schedule_store import SELECT_SCHEDULE
from chalicelib.booking.schedules.slots import Schedule, parse_schedule
from chalicelib.identity.callers import Role

# The booking of an entry e that still counts. Needs no parameter: a cancelled booking is not live.
LIVE_BOOKING = "JOIN bookings b ON b.book_id = e.book_id AND b.tenant_id = e.tenant_id AND b.live = 1"


class QueueState(StrEnum):
    """queue_entries.state; on the wire too."""

    WAITING = "waiting"
    CALLED = "called"  # the current patient, one at most in a queue
    AWAY = "away"  # seen, and to return with results
    SEEN = "seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """An entry whose booking is live, with what the doctor is shown of the patient."""

    book_id: int
    schedule_id: int  # whose queue it is in
    serial_no: int
    user_id: int | None  # the account; None: the patient has none
    state: QueueState
    place: int
    segment: timedelta
    is_returning: bool
    calls: int
    skips: int
    called_at: int | None
    announced_at: int | None
    checked_in_at: int
    slot_time: timedelta  # since midnight
    pati_id: int
    name: str
    gender: int
    birthday: date | None


def lock_schedule(tx: Tx, tenant_id: int, schedule_id: int, doctor_id: int | None) -> Schedule | None:
    """Lock a schedule, and with it its queue, until the commit; return it, or None.

    Args:
        doctor_id: whose schedule it must be; None for any.
    """
    own = "AND x.doctor_id = %(doctor_id)s" if doctor_id else ""
    row = tx.fetch_one(
        f"{SELECT_SCHEDULE} {own} FOR UPDATE",
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        doctor_id=doctor_id,
        doctor_role=Role.DOCTOR,
    )
    return parse_schedule(row) if row else None


def is_visible(tx: Tx, tenant_id: int, schedule_id: int, doctor_id: int | None) -> bool:
    """Return whether the tenant has a schedule, and it is the doctor's if one is given."""
    own = "AND x.doctor_id = %(doctor_id)s" if doctor_id else ""
    found = tx.fetch_value(
        f"SELECT 1 FROM schedules x WHERE x.schedule_id = %(schedule_id)s AND x.tenant_id = %(tenant_id)s {own}",
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        doctor_id=doctor_id,
    )
    return found is not None


def list_entries(tx: Tx, tenant_id: int, schedule_id: int) -> list[QueueEntry]:
    """Return the entries of a queue: those who wait in their order, the others as they were called."""
    rows = tx.fetch_all(
        f"""
        SELECT e.book_id, e.schedule_id, e.state, e.place, e.segment, e.is_returning, e.calls, e.skips, e.called_at,
               e.announced_at, e.checked_in_at, b.serial_no, b.user_id, b.slot_time, b.pati_id, p.name, p.gender,
               p.birthday
        FROM queue_entries e {LIVE_BOOKING} JOIN patients p ON p.pati_id = b.pati_id
        WHERE e.schedule_id = %(schedule_id)s AND e.tenant_id = %(tenant_id)s ORDER BY e.place, e.book_id
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
    )
    return [_parse_entry(row) for row in rows]


def find_state(tx: Tx, tenant_id: int, book_id: int) -> QueueState | None:
    """Return the state of a booking's entry, or None."""
    state = tx.fetch_value(
        f"""
        SELECT e.state FROM queue_entries e {LIVE_BOOKING}
        WHERE e.book_id = %(book_id)s AND e.tenant_id = %(tenant_id)s
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return QueueState(state) if state else None


def find_schedule_id(tx: Tx, tenant_id: int, book_id: int) -> int | None:
    """Return the schedule in whose queue a booking is, or was until it was cancelled; None for none."""
    schedule_id: int | None = tx.fetch_value(
        "SELECT schedule_id FROM queue_entries WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return schedule_id


def count_expected(tx: Tx, tenant_id: int, schedule_id: int) -> int:
    """Return how many patients of a schedule have not checked in."""
    return int(
        tx.fetch_value(
            """
            SELECT COUNT(*) FROM bookings
            WHERE schedule_id = %(schedule_id)s AND live = 1 AND tenant_id = %(tenant_id)s AND status = %(booked)s
            """,
            schedule_id=schedule_id,
            tenant_id=tenant_id,
            booked=BookingStatus.BOOKED,
        )
    )


def make_room(tx: Tx, tenant_id: int, schedule_id: int, line: Sequence[QueueEntry], index: int) -> int:
    """Return the place of a patient who is to be inserted into the line; who is behind moves one place back."""
    if index == len(line):
        return line[-1].place + 1 if line else 1
    place = line[index].place
    tx.execute(
        """
        UPDATE queue_entries SET place = place + 1
        WHERE schedule_id = %(schedule_id)s AND tenant_id = %(tenant_id)s AND state = %(waiting)s AND place >= %(place)s
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        waiting=QueueState.WAITING,
        place=place,
    )
    return place


def insert(tx: Tx, booking: Booking, segment: timedelta, place: int) -> None:
    """Insert an entry for a booking that is registered now."""
    tx.execute(
        """
        INSERT INTO queue_entries (book_id, tenant_id, schedule_id, state, place, segment, checked_in_at)
        VALUES (%(book_id)s, %(tenant_id)s, %(schedule_id)s, %(waiting)s, %(place)s, %(segment)s, %(now)s)
        """,
        book_id=booking.book_id,
        tenant_id=booking.tenant_id,
        schedule_id=booking.schedule_id,
        waiting=QueueState.WAITING,
        place=place,
        segment=segment,
        now=clock.now(),
    )


def update(tx: Tx, tenant_id: int, book_id: int, **changes: Any) -> None:
    """Change columns of an entry."""
    columns = ", ".join(f"{name} = %({name})s" for name in changes)
    tx.execute(
        f"UPDATE queue_entries SET {columns} WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
        **changes,
    )


def mark_registered(tx: Tx, booking: Booking, user_id: int) -> None:
    """Mark a booking that `bookings.find_for_update` has locked as registered.

    Args:
        user_id: the member of staff, or the account.
    """
    tx.execute(
        """
        UPDATE bookings SET status = %(registered)s, changed_by = %(user_id)s, changed_at = %(now)s
        WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s
        """,
        registered=BookingStatus.REGISTERED,
        book_id=booking.book_id,
        tenant_id=booking.tenant_id,
        user_id=user_id,
        now=clock.now(),
    )


def mark_seen(tx: Tx, tenant_id: int, book_id: int) -> None:
    """Record that the doctor has seen the patient of a booking, unless it was cancelled."""
    tx.execute(
        """
        UPDATE bookings SET seen_at = %(now)s
        WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s AND status = %(registered)s AND seen_at IS NULL
        """,
        now=clock.now(),
        book_id=book_id,
        tenant_id=tenant_id,
        registered=BookingStatus.REGISTERED,
    )


def move_queue(tx: Tx, tenant_id: int, schedule_id: int, substitute_id: int) -> None:
    """Let the queue of a schedule change over to that of a substitute. Who is just being called is the first again."""
    tx.execute(
        """
        UPDATE queue_entries
        SET schedule_id = %(substitute_id)s, place = IF(state = %(called)s, 0, place),
            state = IF(state = %(called)s, %(waiting)s, state)
        WHERE schedule_id = %(schedule_id)s AND tenant_id = %(tenant_id)s AND state <> %(seen)s
        """,
        substitute_id=substitute_id,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        called=QueueState.CALLED,
        waiting=QueueState.WAITING,
        seen=QueueState.SEEN,
    )


def _parse_entry(row: Row) -> QueueEntry:
    parsed = {"state": QueueState(row["state"]), "is_returning": bool(row["is_returning"])}
    return QueueEntry(**{**row, **parsed})
