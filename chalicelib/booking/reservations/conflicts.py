"""Conflicts between the bookings of one patient.

Two bookings conflict in the same half-day (unless the hospital has lifted its `half_day_rule`), with the same doctor on
a day, or if they begin less than the hospital's `gap_minutes` apart, in any case at the same time. Unique indexes of
`bookings` enforce the first two; the third is enforced by the patient's lock, under which the bookings are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from chalicelib import errors
from chalicelib.adapters.mysql import Row
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.booking.schedules.slots import HalfDay, Schedule, format_time, parse_time
from chalicelib.errors import ApiError

# Bookings of the patient on the day of a schedule, and on the days before and after: a gap can span midnight.
SELECT_NEARBY = """
    SELECT b.book_id, b.user_id, b.day, b.half_day, b.slot_time, b.doctor_id,
           (SELECT d.name FROM departments d WHERE d.dept_id = b.dept_id) AS dept_name,
           COALESCE((SELECT s.name FROM staff s WHERE s.user_id = b.doctor_id), '') AS doctor_name
    FROM schedules x
    JOIN bookings b ON b.tenant_id = x.tenant_id AND b.pati_id = %(pati_id)s AND b.live = 1
        AND b.day BETWEEN x.day - INTERVAL 1 DAY AND x.day + INTERVAL 1 DAY
    WHERE x.schedule_id = %(schedule_id)s AND x.tenant_id = %(tenant_id)s
    ORDER BY b.day, b.slot_time
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbyBooking:
    """A booking of the patient on the day of the requested schedule, or the day before or after."""

    book_id: int
    user_id: int | None  # the account that booked
    day: date
    half_day: HalfDay
    slot_time: timedelta  # since midnight
    doctor_id: int | None
    dept_name: str
    doctor_name: str  # "" for a general clinic

    @property
    def begins(self) -> datetime:
        """When its slot begins."""
        return datetime.combine(self.day, time()) + self.slot_time

    def describe(self, viewer_id: int | None) -> str:
        """Return what an error tells about the booking: where it is, for an account only if it made the booking."""
        is_shown = viewer_id is None or self.user_id == viewer_id
        place = " ".join(filter(None, (self.dept_name, self.doctor_name))) if is_shown else "其他账号预约"
        return f"{self.day} {format_time(self.slot_time)}（{place}）"


def parse_nearby(rows: Sequence[Row]) -> list[NearbyBooking]:
    """Return the bookings in rows of SELECT_NEARBY."""
    return [NearbyBooking(**{**row, "half_day": HalfDay(row["half_day"])}) for row in rows]


def require_no_conflict(
    schedule: Schedule, serial_no: int, nearby: Sequence[NearbyBooking], rule: Rules, viewer_id: int | None
) -> None:
    """Raise ApiError(CONFLICT), which names the booking, if a slot conflicts with one.

    Args:
        viewer_id: the account that asks; None for staff.
    """
    for booking in nearby:
        if reason := _find_reason(schedule, serial_no, booking, rule):
            raise ApiError(errors.CONFLICT, f"就诊人已有预约 {booking.describe(viewer_id)}，{reason}")


def require_some_slot(schedule: Schedule, nearby: Sequence[NearbyBooking], rule: Rules, viewer_id: int | None) -> None:
    """Raise ApiError(CONFLICT), which names a booking, if every slot of a schedule conflicts with one."""
    slots = range(1, schedule.slots + 1)
    if all(any(_find_reason(schedule, slot, booking, rule) for booking in nearby) for slot in slots):
        require_no_conflict(schedule, slots[0], nearby, rule, viewer_id)


def _find_reason(schedule: Schedule, serial_no: int, booking: NearbyBooking, rule: Rules) -> str:
    """Return why a slot conflicts with a booking, "" if it does not."""
    is_same_day = booking.day == schedule.day
    if rule.half_day_rule and is_same_day and booking.half_day == schedule.half_day:
        return "同一半天只能预约一次，请选择其他半天，或先取消、改期该预约"
    if is_same_day and schedule.doctor_id and booking.doctor_id == schedule.doctor_id:
        return "同一医生一天只能预约一次，请选择其他日期，或先取消、改期该预约"
    begins = datetime.combine(schedule.day, time()) + parse_time(schedule.get_slot_time(serial_no))
    if abs(begins - booking.begins) < timedelta(minutes=max(rule.gap_minutes, 1)):
        reason = f"两次就诊须相隔 {rule.gap_minutes} 分钟以上" if rule.gap_minutes else "就诊时间相同"
        return f"{reason}，请选择其他时间"
    return ""
