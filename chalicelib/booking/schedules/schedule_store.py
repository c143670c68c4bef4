"""SQL of schedules."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Literal

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.schedules.pattern_store import (
    DOUBLE_SUBMISSION_CONDITION,
    NAME_COLUMNS,
    OVERLAP_COLUMNS,
    OVERLAP_CONDITION,
    TERM_COLUMNS_OF_X,
    TERM_NAMES,
    TERM_PARAMETERS,
    Pattern,
)
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.booking.schedules.slots import TERM_COLUMNS, Overlap, Schedule, ScheduleTerms, parse_schedule
from chalicelib.identity.callers import Role
from chalicelib.people import double_submission

# True for a general clinic, and for a doctor who works and still is one. Needs the parameter doctor_role.
DOCTOR_ACTIVE_CONDITION = """
    (x.doctor_id IS NULL OR EXISTS (
        SELECT 1 FROM staff s WHERE s.user_id = x.doctor_id AND s.role = %(doctor_role)s AND s.disabled_at IS NULL))
"""
# NULL if nobody waits for a slot.
WAITLIST_MINUTES = f"""
    IF(EXISTS (SELECT 1 FROM waitlist_entries w WHERE w.schedule_id = x.schedule_id AND w.waiting = 1),
       COALESCE((SELECT r.offer_stop_minutes FROM booking_rules r WHERE r.tenant_id = x.tenant_id),
                {Rules().offer_stop_minutes}), NULL)
"""
SCHEDULE_COLUMNS = f"""
    x.schedule_id, x.day, {TERM_COLUMNS_OF_X}, x.stopped_at, {DOCTOR_ACTIVE_CONDITION} AS doctor_active,
    {WAITLIST_MINUTES} AS waitlist_minutes
"""
SELECT_SCHEDULE = (
    f"SELECT {SCHEDULE_COLUMNS} FROM schedules x WHERE x.schedule_id = %(schedule_id)s AND x.tenant_id = %(tenant_id)s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedScheduleRow:
    """A schedule with what the list shows besides."""

    schedule: Schedule
    dept_name: str
    doctor_name: str  # "" for a general clinic
    booked: int  # number of reserved slots


def insert(tx: Tx, tenant_id: int, day: date, terms: ScheduleTerms, user_id: int) -> int:
    """Insert a schedule and return its schedule_id.

    Raises:
        mysql.DuplicateKeyError: the doctor or general clinic has a schedule in that half-day.
    """
    return tx.insert(
        f"""
        INSERT INTO schedules (tenant_id, day, {TERM_NAMES}, created_by, created_at)
        VALUES (%(tenant_id)s, %(day)s, {TERM_PARAMETERS}, %(user_id)s, %(now)s)
        """,
        **terms.build_params(),
        tenant_id=tenant_id,
        day=day,
        user_id=user_id,
        now=clock.now(),
    )


def insert_from_pattern(tx: Tx, pattern: Pattern, day: date) -> bool:
    """Insert a pattern's schedule for a day; return False if it exists already or the half-day has another schedule."""
    inserted = tx.execute(
        f"""
        INSERT IGNORE INTO schedules (tenant_id, day, {TERM_NAMES}, pattern_id, created_by, created_at)
        VALUES (%(tenant_id)s, %(day)s, {TERM_PARAMETERS}, %(pattern_id)s, %(created_by)s, %(now)s)
        """,
        **pattern.build_params(),
        tenant_id=pattern.tenant_id,
        pattern_id=pattern.pattern_id,
        created_by=pattern.created_by,
        day=day,
        now=clock.now(),
    )
    return inserted == 1


def find(
    tx: Tx, tenant_id: int, schedule_id: int, lock: Literal["", "FOR UPDATE", "LOCK IN SHARE MODE"] = ""
) -> Schedule | None:
    """Return a schedule, also a stopped one, or None.

    Args:
        lock: until the commit, FOR UPDATE prevents that slots are booked, and LOCK IN SHARE MODE that the schedule is
            stopped or changed.
    """
    row = tx.fetch_one(
        f"{SELECT_SCHEDULE} {lock}", schedule_id=schedule_id, tenant_id=tenant_id, doctor_role=Role.DOCTOR
    )
    return parse_schedule(row) if row else None


def lock_all(tx: Tx, tenant_id: int, schedule_ids: Collection[int]) -> list[Schedule]:
    """Return schedules in the order of their ids, and prevent until the commit that slots of them are booked."""
    rows = tx.fetch_all(
        f"""
        SELECT {SCHEDULE_COLUMNS} FROM schedules x
        WHERE x.schedule_id IN %(schedule_ids)s AND x.tenant_id = %(tenant_id)s ORDER BY x.schedule_id FOR UPDATE
        """,
        schedule_ids=schedule_ids,
        tenant_id=tenant_id,
        doctor_role=Role.DOCTOR,
    )
    return [parse_schedule(row) for row in rows]


def list_ids_of_doctor(tx: Tx, tenant_id: int, dept_id: int, doctor_id: int, days: tuple[date, date]) -> list[int]:
    """Return the schedules of a doctor in a department between two days that are not stopped."""
    rows = tx.fetch_all(
        """
        SELECT schedule_id FROM schedules
        WHERE tenant_id = %(tenant_id)s AND doctor_id = %(doctor_id)s AND day BETWEEN %(first)s AND %(last)s
          AND dept_id = %(dept_id)s AND live = 1 ORDER BY schedule_id
        """,
        tenant_id=tenant_id,
        doctor_id=doctor_id,
        dept_id=dept_id,
        first=days[0],
        last=days[1],
    )
    return [row["schedule_id"] for row in rows]


def find_double_submission(tx: Tx, tenant_id: int, day: date, terms: ScheduleTerms, user_id: int) -> int | None:
    """Return the schedule that an equal request of the same person has just created, or None."""
    schedule_id: int | None = tx.fetch_value(
        f"""
        SELECT x.schedule_id FROM schedules x
        WHERE {DOUBLE_SUBMISSION_CONDITION} AND x.day = %(day)s AND x.pattern_id IS NULL LIMIT 1
        """,
        **terms.build_params(),
        tenant_id=tenant_id,
        day=day,
        user_id=user_id,
        since=clock.now() - double_submission.WINDOW,
    )
    return schedule_id


def find_overlap(
    tx: Tx, tenant_id: int, day: date, terms: ScheduleTerms, changed_schedule_id: int | None
) -> Overlap | None:
    """Return a schedule of the same doctor that overlaps on this day, or None. Lock the doctor before.

    Args:
        changed_schedule_id: the schedule that gets these terms; None for a new one.
    """
    row = tx.fetch_one(
        f"""
        SELECT {OVERLAP_COLUMNS} FROM schedules x
        WHERE {OVERLAP_CONDITION} AND x.day = %(day)s AND x.schedule_id <> %(changed)s LIMIT 1
        """,
        **terms.build_params(),
        tenant_id=tenant_id,
        day=day,
        changed=changed_schedule_id or 0,
    )
    return Overlap(**row) if row else None


def count_open(tx: Tx, tenant_id: int, day: date) -> int:
    """Return how many schedules of a day are not stopped."""
    count: int = tx.fetch_value(
        "SELECT COUNT(*) FROM schedules WHERE tenant_id = %(tenant_id)s AND day = %(day)s AND live = 1",
        tenant_id=tenant_id,
        day=day,
    )
    return count


def count_booked(tx: Tx, schedule_id: int) -> int:
    """Return how many slots of a schedule are reserved."""
    count: int = tx.fetch_value(
        "SELECT COUNT(*) FROM bookings WHERE schedule_id = %(schedule_id)s AND live = 1", schedule_id=schedule_id
    )
    return count


def update(tx: Tx, tenant_id: int, schedule_id: int, terms: ScheduleTerms) -> None:
    """Change a schedule, except for its day.

    Raises:
        mysql.DuplicateKeyError: another schedule has that half-day.
    """
    tx.execute(
        f"""
        UPDATE schedules SET {", ".join(f"{name} = %({name})s" for name in TERM_COLUMNS)}
        WHERE schedule_id = %(schedule_id)s AND tenant_id = %(tenant_id)s
        """,
        **terms.build_params(),
        schedule_id=schedule_id,
        tenant_id=tenant_id,
    )


def stop(
    tx: Tx, tenant_id: int, schedule_id: int, user_id: int, reason: str = "", substitute_id: int | None = None
) -> None:
    """Mark a schedule as stopped. A stopped schedule is not changed.

    Args:
        reason: shown to its patients.
        substitute_id: the schedule of the doctor who sees its patients instead.
    """
    tx.execute(
        """
        UPDATE schedules
        SET live = NULL, stopped_at = %(now)s, stopped_by = %(user_id)s, stop_reason = %(reason)s,
            substitute_id = %(substitute_id)s
        WHERE schedule_id = %(schedule_id)s AND tenant_id = %(tenant_id)s AND stopped_at IS NULL
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        user_id=user_id,
        reason=reason,
        substitute_id=substitute_id,
        now=clock.now(),
    )


def list_page(
    tx: Tx, tenant_id: int, dept_id: int | None, doctor_id: int | None, days: tuple[date, date], limits: tuple[int, int]
) -> tuple[int, list[ListedScheduleRow]]:
    """Return the number of schedules between two days, stopped ones included, and one page of them.

    Args:
        days: first and last, inclusive.
        limits: offset and page size.
    """
    source = f"""
        schedules x WHERE x.tenant_id = %(tenant_id)s AND x.day BETWEEN %(first)s AND %(last)s
          {"AND x.dept_id = %(dept_id)s" if dept_id else ""} {"AND x.doctor_id = %(doctor_id)s" if doctor_id else ""}
    """
    [total], rows = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n FROM {source};
        SELECT {SCHEDULE_COLUMNS}, {NAME_COLUMNS},
               (SELECT COUNT(*) FROM bookings b WHERE b.schedule_id = x.schedule_id AND b.live = 1) AS booked
        FROM {source} ORDER BY x.day, x.half_day, x.dept_id, x.doctor_id, x.schedule_id LIMIT %(offset)s, %(size)s
        """,
        tenant_id=tenant_id,
        dept_id=dept_id,
        doctor_id=doctor_id,
        doctor_role=Role.DOCTOR,
        first=days[0],
        last=days[1],
        offset=limits[0],
        size=limits[1],
    )
    return total["n"], [
        ListedScheduleRow(
            schedule=parse_schedule(row),
            dept_name=row["dept_name"],
            doctor_name=row["doctor_name"],
            booked=row["booked"],
        )
        for row in rows
    ]
