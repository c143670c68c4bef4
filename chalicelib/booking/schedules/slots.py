"""Schedules and their numbered slots: when each slot begins, and which of them can still be booked."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum, StrEnum, auto
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row


class HalfDay(StrEnum):
    """The half-day of a schedule; MySQL and the API use the same values."""

    AM = "AM"
    PM = "PM"

    @property
    def label(self) -> str:
        """The Chinese name, for error texts."""
        return "上午" if self is HalfDay.AM else "下午"


class Share(Enum):
    """Who can book a slot, and when."""

    ANY = auto()
    SAME_DAY = auto()  # patients, on the day itself only
    DESK = auto()  # the front desk


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleTerms:
    """What a schedule and a weekly pattern have in common."""

    dept_id: int
    doctor_id: int | None  # None: the general clinic of the department
    half_day: HalfDay
    type: int  # 0 ordinary, 1 expert
    fee: int  # fen
    area: str  # waiting area
    begins: timedelta  # since midnight, as MySQL returns a TIME
    ends: timedelta
    slots: int
    # Shares of the slots: the last ones are for the front desk, those before them are bookable on the day itself only.
    desk_slots: int = 0
    same_day_slots: int = 0
    release_days: int | None = None  # so many days before, patients can book from release_time on; None: no such time
    release_time: timedelta = timedelta(0)  # since midnight

    @property
    def clinic_id(self) -> int | None:
        """The department if this is its general clinic, else None: a column that unique indexes need."""
        return None if self.doctor_id else self.dept_id

    def build_params(self) -> dict[str, Any]:
        """Return the columns as SQL parameters."""
        return {name: getattr(self, name) for name in TERM_COLUMNS}


TERM_COLUMNS = (*ScheduleTerms.__dataclass_fields__, "clinic_id")
"""The columns that schedules and weekly patterns have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(ScheduleTerms):
    """A half-day of a doctor or of a general clinic."""

    schedule_id: int
    day: date
    stopped_at: int | None
    doctor_active: bool  # False if its doctor has left
    # Somebody waits for a slot. Free ones are for them until so many minutes before; None: nobody waits.
    waitlist_minutes: int | None = None

    def get_slot_time(self, serial_no: int) -> str:
        """Return when a slot begins, as HH:MM. An additional slot, beyond the last one, begins with the last one."""
        number = min(serial_no, self.slots)
        return format_time(self.begins + (number - 1) * (self.ends - self.begins) / self.slots)

    def get_slot_datetime(self, serial_no: int) -> str:
        """Return when a slot begins in the date format of the API: 2026-01-05 09:00:00."""
        return f"{self.day} {self.get_slot_time(serial_no)}:00"

    def is_past(self, serial_no: int) -> bool:
        """Return whether a slot has begun."""
        return self.get_slot_datetime(serial_no) <= clock.format_wire_time(clock.now())

    @property
    def released_at(self) -> int | None:
        """When patients can book it; None if it has no such time."""
        if self.release_days is None:
            return None
        return clock.to_instant(self.day - timedelta(self.release_days), self.release_time)

    def is_released(self) -> bool:
        """Return whether patients can book it by its release time."""
        return self.released_at is None or self.released_at <= clock.now()

    def get_share(self, serial_no: int) -> Share:
        """Return who can book a slot."""
        if serial_no > self.slots - self.desk_slots:
            return Share.DESK
        return Share.SAME_DAY if serial_no > self.slots - self.desk_slots - self.same_day_slots else Share.ANY

    def is_for_waitlist(self, serial_no: int) -> bool:
        """Return whether a free slot is for those who wait."""
        if self.waitlist_minutes is None or not self.can_be_offered(serial_no):
            return False
        begins = clock.to_instant(self.day, parse_time(self.get_slot_time(serial_no)))
        return clock.now() < begins - self.waitlist_minutes * 60 * clock.SECOND

    def can_be_offered(self, serial_no: int) -> bool:
        """Return whether a slot is one that patients can book on this day."""
        share = self.get_share(serial_no)
        return share is Share.ANY or (share is Share.SAME_DAY and self.day <= clock.today())

    def list_free_slots(self, reserved: frozenset[int], for_desk: bool = False) -> list[int]:
        """Return the slots that are neither reserved, kept for the waitlist nor past; none if the schedule is not open.

        Args:
            for_desk: those that the front desk can book; otherwise, those that patients can book now.
        """
        if self.stopped_at or not self.doctor_active or not (for_desk or self.is_released()):
            return []
        numbers = (serial_no for serial_no in range(1, self.slots + 1) if serial_no not in reserved)
        free = [serial_no for serial_no in numbers if not self.is_for_waitlist(serial_no)]
        if not for_desk:
            free = [serial_no for serial_no in free if self.can_be_offered(serial_no)]
        return free if self.day > clock.today() else [serial_no for serial_no in free if not self.is_past(serial_no)]


@dataclass(frozen=True, slots=True)
class Overlap:
    """A schedule or weekly pattern of a doctor at the time of another one."""

    begins: timedelta  # since midnight
    ends: timedelta
    dept_name: str

    def __str__(self) -> str:
        """Return the time and the department, for error texts."""
        return f"{format_time(self.begins)}–{format_time(self.ends)}（{self.dept_name}）"


def parse_schedule(row: Row) -> Schedule:
    """Return the schedule in a row that has at least the columns of a schedule."""
    fields: dict[str, Any] = {name: row[name] for name in Schedule.__dataclass_fields__}
    fields["half_day"] = HalfDay(row["half_day"])
    fields["doctor_active"] = bool(row["doctor_active"])
    return Schedule(**fields)


def format_time(since_midnight: timedelta) -> str:
    """Return a time of day as HH:MM."""
    minutes = int(since_midnight.total_seconds()) // 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def parse_time(text: str) -> timedelta:
    """Return HH:MM as time since midnight."""
    return timedelta(hours=int(text[:2]), minutes=int(text[3:]))
