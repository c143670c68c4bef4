"""SQL of alternatives: what the patients of a stopped schedule were offered instead."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import Booking, BookingStatus
from chalicelib.booking.schedules.schedule_store import DOCTOR_ACTIVE_CONDITION, SCHEDULE_COLUMNS
from chalicelib.booking.schedules.slots import Schedule, parse_schedule
from chalicelib.identity.callers import Role

MAX_CANDIDATES = 20  # schedules in which an alternative is looked for


class AlternativeKind(StrEnum):
    """alternatives.kind."""

    SUBSTITUTE = "substitute"  # another doctor sees the patients of the schedule
    HELD = "held"  # a slot of another schedule is held for the patient


class AlternativeState(StrEnum):
    """alternatives.state."""

    OPEN = "open"
    ACCEPTED = "accepted"  # by the patient, who may also have chosen another slot
    DECLINED = "declined"
    LAPSED = "lapsed"
    ENDED = "ended"  # the booking was cancelled, or its new schedule was stopped too


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """What a patient was offered when a schedule was stopped."""

    alternative_id: int
    tenant_id: int
    book_id: int
    number: int  # bookings.changes after the move
    kind: AlternativeKind
    state: AlternativeState
    expires_at: int
    reason: str  # why the schedule was stopped, "" for none


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedBooking:
    """A booking for which alternatives are looked for, without a lock."""

    book_id: int
    schedule_id: int
    pati_id: int
    day: date
    slot_time: timedelta  # since midnight
    dept_id: int
    doctor_id: int | None
    type: int
    fee: int  # fen
    status: BookingStatus
    cancelled_for: str


_SELECT = """
    SELECT a.alternative_id, a.tenant_id, a.book_id, a.number, a.kind, a.state, a.expires_at,
           x.stop_reason AS reason
    FROM alternatives a JOIN schedules x ON x.schedule_id = a.schedule_id
"""


def insert(tx: Tx, moved: Booking, stopped_schedule_id: int, kind: AlternativeKind, expires_at: int) -> None:
    """Insert what the patient of a booking is offered; an earlier offer, whose schedule was stopped too, ends.

    Args:
        moved: the booking with its new slot.
    """
    tx.execute(
        """
        UPDATE alternatives SET state = %(ended)s, decided_at = %(now)s
        WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s AND state = %(open)s
        """,
        ended=AlternativeState.ENDED,
        open=AlternativeState.OPEN,
        book_id=moved.book_id,
        tenant_id=moved.tenant_id,
        now=clock.now(),
    )
    tx.insert(
        """
        INSERT INTO alternatives (tenant_id, book_id, number, schedule_id, kind, expires_at, created_at)
        VALUES (%(tenant_id)s, %(book_id)s, %(number)s, %(schedule_id)s, %(kind)s, %(expires_at)s, %(now)s)
        """,
        tenant_id=moved.tenant_id,
        book_id=moved.book_id,
        number=moved.changes,
        schedule_id=stopped_schedule_id,
        kind=kind,
        expires_at=expires_at,
        now=clock.now(),
    )


def find_latest(tx: Tx, tenant_id: int, book_id: int) -> Alternative | None:
    """Return the latest offer for a booking. It changes only while the booking is locked."""
    row = tx.fetch_one(
        f"""
        {_SELECT} WHERE a.book_id = %(book_id)s AND a.tenant_id = %(tenant_id)s ORDER BY a.number DESC LIMIT 1
        """,
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return _parse(row) if row else None


def list_expired(tx: Tx, limit: int) -> list[Alternative]:
    """Return open offers of all tenants that have expired."""
    rows = tx.fetch_all(
        f"{_SELECT} WHERE a.state = %(open)s AND a.expires_at <= %(now)s ORDER BY a.expires_at LIMIT %(limit)s",
        open=AlternativeState.OPEN,
        now=clock.now(),
        limit=limit,
    )
    return [_parse(row) for row in rows]


def close(tx: Tx, alternative: Alternative, state: AlternativeState) -> None:
    """Store how an open offer ended."""
    tx.execute(
        """
        UPDATE alternatives SET state = %(state)s, decided_at = %(now)s
        WHERE alternative_id = %(alternative_id)s AND state = %(open)s
        """,
        state=state,
        open=AlternativeState.OPEN,
        alternative_id=alternative.alternative_id,
        now=clock.now(),
    )


def find_booking(tx: Tx, tenant_id: int, book_id: int, user_id: int | None = None) -> StoppedBooking | None:
    """Return a booking, of an account if `user_id` is given, or None."""
    row = tx.fetch_one(
        f"""
        SELECT book_id, schedule_id, pati_id, day, slot_time, dept_id, doctor_id, type, fee, status, cancelled_for
        FROM bookings
        WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s {"AND user_id = %(user_id)s" if user_id else ""}
        """,
        book_id=book_id,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    return StoppedBooking(**{**row, "status": BookingStatus(row["status"])}) if row else None


def list_candidates(tx: Tx, tenant_id: int, booking: StoppedBooking, last_day: date) -> list[Schedule]:
    """Return other schedules of the department in the coming days for the same fee: those of the same doctor first.

    Args:
        last_day: the last one that can be booked.
    """
    rows = tx.fetch_all(
        f"""
        SELECT {SCHEDULE_COLUMNS} FROM schedules x
        WHERE x.tenant_id = %(tenant_id)s AND x.dept_id = %(dept_id)s AND x.day > %(today)s AND x.day <= %(last)s
          AND x.schedule_id <> %(schedule_id)s AND x.live = 1 AND x.fee = %(fee)s AND x.type = %(type)s
          AND {DOCTOR_ACTIVE_CONDITION}
        ORDER BY x.doctor_id <=> %(doctor_id)s DESC, x.day, x.half_day, x.schedule_id LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        schedule_id=0 if booking.status == BookingStatus.CANCELLED else booking.schedule_id,
        dept_id=booking.dept_id,
        doctor_id=booking.doctor_id,
        fee=booking.fee,
        type=booking.type,
        today=clock.today(),
        last=last_day,
        doctor_role=Role.DOCTOR,
        limit=MAX_CANDIDATES,
    )
    return [parse_schedule(row) for row in rows]


def find_stop_reason(tx: Tx, tenant_id: int, schedule_id: int) -> str:
    """Return why a schedule was stopped, "" for no reason."""
    return str(
        tx.fetch_value(
            "SELECT stop_reason FROM schedules WHERE schedule_id = %(schedule_id)s AND tenant_id = %(tenant_id)s",
            schedule_id=schedule_id,
            tenant_id=tenant_id,
        )
    )


def _parse(row: Row) -> Alternative:
    return Alternative(**{**row, "kind": AlternativeKind(row["kind"]), "state": AlternativeState(row["state"])})
