"""The order of a queue: where in the line those who wait a patient is inserted.

The line is ordered by segments, the parts of the half-day that the hospital's rules set; within a segment by check-in.
Who checks in after the segment of the slot belongs to the one of the check-in. Patients whom the doctor has skipped and
those who return with results are inserted at other places, and stay there.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

SKIPPED_PLACES = 3  # so many patients come before one who was skipped (过号)
REGULAR_BEFORE_RETURNING = (
    2  # so many patients come before one who returns with results (回诊), and between two of them
)


class Waiting(Protocol):
    """A patient in the line."""

    @property
    def segment(self) -> timedelta:
        """When the segment begins."""

    @property
    def is_returning(self) -> bool:
        """Whether the patient waits to show results."""


def compute_segment(begins: timedelta, slot_time: timedelta, arrival: timedelta, minutes: int) -> timedelta:
    """Return when the segment begins that a patient belongs to, as the time of day.

    Args:
        begins: of the half-day.
        arrival: time of day of the check-in.
        minutes: length of a segment.
    """
    length = timedelta(minutes=minutes)
    return begins + (max(slot_time, arrival) - begins) // length * length


def find_index_of_arrival(line: Sequence[Waiting], segment: timedelta) -> int:
    """Return where to insert a patient who checks in: before the first one of a later segment."""
    later = (at for at, one in enumerate(line) if not one.is_returning and one.segment > segment)
    return next(later, len(line))


def find_index_of_skipped(line: Sequence[Waiting]) -> int:
    """Return where to insert a patient who was called and did not come."""
    return min(SKIPPED_PLACES, len(line))


def find_index_of_returning(line: Sequence[Waiting]) -> int:
    """Return where to insert a patient who returns with results: not directly behind another one who does."""
    first = max((at + 1 for at, one in enumerate(line) if one.is_returning), default=0)
    return min(first + REGULAR_BEFORE_RETURNING, len(line))
