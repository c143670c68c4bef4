"""A schedule and its numbered slots: when each begins, and which of them somebody could still come to."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A half-day. begins and ends are clock times as MySQL gives them: time since midnight."""

    schedule_id: int
    dept_id: int
    doctor_id: int | None  # None: the general clinic of the department
    day: date
    half_day: str  # AM or PM
    type: int
    fee: int  # fen
    area: str
    begins: timedelta
    ends: timedelta
    slots: int
    stopped_at: int | None
    doctor_active: int  # 0: its doctor has left

    def get_slot_time(self, serial_no: int) -> str:
        """Return when a slot begins: 09:00."""
        return format_time(self.begins + (serial_no - 1) * (self.ends - self.begins) / self.slots)

    def get_slot_datetime(self, serial_no: int) -> str:
        """Return the same with the day, as the wire writes it: 2026-01-05 09:00:00."""
        return f"{self.day} {self.get_slot_time(serial_no)}:00"

    def is_past(self, serial_no: int) -> bool:
        return self.get_slot_datetime(serial_no) <= clock.format_wire_time(clock.now())

    def list_free_slots(self, taken: frozenset[int]) -> list[int]:
        """Return the slots that nobody has and whose time has not come."""
        if self.stopped_at or not self.doctor_active:
            return []
        left = [one for one in range(1, self.slots + 1) if one not in taken]
        return left if self.day > clock.today() else [one for one in left if not self.is_past(one)]


def parse_schedule(row: Row) -> Schedule:
    """Return the schedule in a row that has every column of one, whatever else it has."""
    fields: dict[str, Any] = {name: row[name] for name in Schedule.__dataclass_fields__}
    return Schedule(**fields)


def format_time(time: timedelta) -> str:
    """Return a clock time as the wire writes it: 09:00."""
    minutes = int(time.total_seconds()) // 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
