"""SQL of what a closure affects: the schedules of a doctor or of the hospital between two days, and their bookings."""

from dataclasses import dataclass
from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import BookingStatus, PaymentState

# A half-day of today that is over is not affected: who came was seen, and who did not has missed the visit.
_SCHEDULES = """
    schedules x WHERE x.tenant_id = %(tenant_id)s AND x.live = 1 AND x.day BETWEEN %(first)s AND %(last)s
    AND TIMESTAMP(x.day, x.ends) > %(now)s AND (%(doctor_id)s IS NULL OR x.doctor_id = %(doctor_id)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedCounts:
    """What a closure would stop."""

    schedules: int
    bookings: int  # of patients who still wait for their visit
    paid: int
    paid_fee: int  # fen
    no_account: int  # bookings of patients whom only the front desk can notify


def lock_schedules(tx: Tx, tenant_id: int, doctor_id: int | None, days: tuple[date, date]) -> list[int]:
    """Lock the schedules that are neither stopped nor over, and return their ids."""
    rows = tx.fetch_all(
        f"SELECT x.schedule_id FROM {_SCHEDULES} ORDER BY x.schedule_id FOR UPDATE",
        tenant_id=tenant_id,
        doctor_id=doctor_id,
        first=days[0],
        last=days[1],
        now=clock.format_wire_time(clock.now()),
    )
    return [row["schedule_id"] for row in rows]


def count(tx: Tx, tenant_id: int, doctor_id: int | None, days: tuple[date, date]) -> AffectedCounts:
    """Return what a closure would stop. Changes nothing."""
    [schedules], [bookings] = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS schedules FROM {_SCHEDULES};
        SELECT COUNT(*) AS bookings, COUNT(IF(b.payment_state = %(paid)s, 1, NULL)) AS paid,
               COALESCE(SUM(IF(b.payment_state = %(paid)s, b.fee, 0)), 0) AS paid_fee,
               COUNT(IF(b.user_id IS NULL, 1, NULL)) AS no_account
        FROM bookings b
        WHERE b.schedule_id IN (SELECT x.schedule_id FROM {_SCHEDULES}) AND b.tenant_id = %(tenant_id)s
          AND b.live = 1 AND b.status IN (%(booked)s, %(registered)s) AND b.seen_at IS NULL
        """,
        tenant_id=tenant_id,
        doctor_id=doctor_id,
        first=days[0],
        last=days[1],
        now=clock.format_wire_time(clock.now()),
        paid=PaymentState.PAID,
        booked=BookingStatus.BOOKED,
        registered=BookingStatus.REGISTERED,
    )
    return AffectedCounts(**{name: int(one) for name, one in {**schedules, **bookings}.items()})
