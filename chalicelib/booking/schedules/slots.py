"""Schedules and their numbered slots: when each slot begins, and which of them can still be booked."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
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

    @property
    def clinic_id(self) -> int | None:
        """The department if this is its general clinic, else None: a column that unique indexes need."""
        return None if self.doctor_id else self.dept_id

    def build_params(self) -> dict[str, Any]:
        """Return the columns as SQL parameters."""
        return {name: getattr(self, name) for name in (*ScheduleTerms.__dataclass_fields__, "clinic_id")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(ScheduleTerms):
    """A half-day of a doctor or of a general clinic."""

    schedule_id: int
    day: date
    stopped_at: int | None
    doctor_active: bool  # False if its doctor has left

    def get_slot_time(self, serial_no: int) -> str:
        """Return when a slot begins, as HH:MM."""
        return format_time(self.begins + (serial_no - 1) * (self.ends - self.begins) / self.slots)

    def get_slot_datetime(self, serial_no: int) -> str:
        """Return when a slot begins in the date format of the API: 2026-01-05 09:00:00."""
        return f"{self.day} {self.get_slot_time(serial_no)}:00"

    def is_past(self, serial_no: int) -> bool:
        """Return whether a slot has begun."""
        return self.get_slot_datetime(serial_no) <= clock.format_wire_time(clock.now())

    def list_free_slots(self, reserved: frozenset[int]) -> list[int]:
        """Return the slots that are neither reserved nor past; none if the schedule is not open."""
        if self.stopped_at or not self.doctor_active:
            return []
        free = [serial_no for serial_no in range(1, self.slots + 1) if serial_no not in reserved]
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
