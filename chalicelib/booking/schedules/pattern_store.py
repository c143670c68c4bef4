"""SQL of weekly patterns."""

from dataclasses import dataclass
from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.schedules.slots import TERM_COLUMNS, HalfDay, Overlap, ScheduleTerms
from chalicelib.people import double_submission

TERM_NAMES = ", ".join(TERM_COLUMNS)
TERM_PARAMETERS = ", ".join(f"%({name})s" for name in TERM_COLUMNS)
TERM_COLUMNS_OF_X = ", ".join(f"x.{name}" for name in ScheduleTerms.__dataclass_fields__)
PATTERN_COLUMNS = f"x.pattern_id, x.tenant_id, x.weekday, x.created_by, {TERM_COLUMNS_OF_X}"
# Names of the department and the doctor of a row x that has dept_id and doctor_id.
NAME_COLUMNS = """
    (SELECT d.name FROM departments d WHERE d.dept_id = x.dept_id) AS dept_name,
    COALESCE((SELECT s.name FROM staff s WHERE s.user_id = x.doctor_id), '') AS doctor_name
"""
# True for a row x of the same doctor in the other half-day (unique keys are over the same half-day) that overlaps. A
# general clinic never does: several doctors may see its patients.
OVERLAP_CONDITION = """
    x.tenant_id = %(tenant_id)s AND x.doctor_id = %(doctor_id)s AND x.live = 1 AND x.half_day <> %(half_day)s
    AND x.begins < %(ends)s AND x.ends > %(begins)s
"""
# True for a row x with these terms that the same person has just created: a double click. Bytes are compared, because
# the collation takes different texts for equal.
DOUBLE_SUBMISSION_CONDITION = """
    x.tenant_id = %(tenant_id)s AND x.live = 1 AND x.created_by = %(user_id)s AND x.created_at > %(since)s
    AND x.doctor_id <=> %(doctor_id)s AND x.dept_id = %(dept_id)s AND x.half_day = %(half_day)s AND x.type = %(type)s
    AND x.fee = %(fee)s AND CAST(x.area AS BINARY) = %(area)s AND x.begins = %(begins)s AND x.ends = %(ends)s
    AND x.slots = %(slots)s AND x.desk_slots = %(desk_slots)s AND x.same_day_slots = %(same_day_slots)s
    AND x.release_days <=> %(release_days)s AND x.release_time = %(release_time)s
"""
OVERLAP_COLUMNS = "x.begins, x.ends, (SELECT d.name FROM departments d WHERE d.dept_id = x.dept_id) AS dept_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern(ScheduleTerms):
    """A weekly pattern that has not ended."""

    pattern_id: int
    tenant_id: int
    weekday: int  # 1 Monday to 7 Sunday
    created_by: int  # user_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPatternRow:
    """A pattern with what the list shows besides."""

    pattern: Pattern
    dept_name: str
    doctor_name: str  # "" for a general clinic


def insert(tx: Tx, tenant_id: int, weekday: int, terms: ScheduleTerms, user_id: int) -> int:
    """Insert a pattern and return its pattern_id.

    Raises:
        mysql.DuplicateKeyError: the doctor or general clinic has a pattern in that half-day of the week.
    """
    return tx.insert(
        f"""
        INSERT INTO schedule_patterns (tenant_id, weekday, {TERM_NAMES}, created_by, created_at)
        VALUES (%(tenant_id)s, %(weekday)s, {TERM_PARAMETERS}, %(user_id)s, %(now)s)
        """,
        **terms.build_params(),
        tenant_id=tenant_id,
        weekday=weekday,
        user_id=user_id,
        now=clock.now(),
    )


def find_double_submission(tx: Tx, tenant_id: int, weekday: int, terms: ScheduleTerms, user_id: int) -> int | None:
    """Return the pattern that an equal request of the same person has just created, or None."""
    pattern_id: int | None = tx.fetch_value(
        f"""
        SELECT x.pattern_id FROM schedule_patterns x
        WHERE {DOUBLE_SUBMISSION_CONDITION} AND x.weekday = %(weekday)s LIMIT 1
        """,
        **terms.build_params(),
        tenant_id=tenant_id,
        weekday=weekday,
        user_id=user_id,
        since=clock.now() - double_submission.WINDOW,
    )
    return pattern_id


def count_schedules(tx: Tx, tenant_id: int, pattern_id: int) -> int:
    """Return how many schedules a pattern has created."""
    return int(
        tx.fetch_value(
            "SELECT COUNT(*) FROM schedules WHERE pattern_id = %(pattern_id)s AND tenant_id = %(tenant_id)s",
            pattern_id=pattern_id,
            tenant_id=tenant_id,
        )
    )


def find_overlap(tx: Tx, tenant_id: int, weekday: int, terms: ScheduleTerms) -> Overlap | None:
    """Return a pattern of the same doctor that overlaps on this weekday, or None. Lock the doctor before."""
    row = tx.fetch_one(
        f"""
        SELECT {OVERLAP_COLUMNS} FROM schedule_patterns x
        WHERE {OVERLAP_CONDITION} AND x.weekday = %(weekday)s LIMIT 1
        """,
        **terms.build_params(),
        tenant_id=tenant_id,
        weekday=weekday,
    )
    return Overlap(**row) if row else None


def list_page(
    tx: Tx, tenant_id: int, dept_id: int | None, doctor_id: int | None, limits: tuple[int, int]
) -> tuple[int, list[ListedPatternRow]]:
    """Return the number of patterns that have not ended, and one page of them in the order of the week.

    Args:
        limits: offset and page size.
    """
    source = f"""
        schedule_patterns x WHERE x.tenant_id = %(tenant_id)s AND x.live = 1
          {"AND x.dept_id = %(dept_id)s" if dept_id else ""} {"AND x.doctor_id = %(doctor_id)s" if doctor_id else ""}
    """
    [total], rows = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n FROM {source};
        SELECT {PATTERN_COLUMNS}, {NAME_COLUMNS} FROM {source}
        ORDER BY x.weekday, x.half_day, x.dept_id, x.doctor_id, x.pattern_id LIMIT %(offset)s, %(size)s
        """,
        tenant_id=tenant_id,
        dept_id=dept_id,
        doctor_id=doctor_id,
        offset=limits[0],
        size=limits[1],
    )
    return total["n"], [
        ListedPatternRow(pattern=_parse_pattern(row), dept_name=row["dept_name"], doctor_name=row["doctor_name"])
        for row in rows
    ]


def list_ids(tx: Tx) -> list[tuple[int, int]]:
    """Return tenant_id and pattern_id of the patterns of all tenants that have not ended."""
    rows = tx.fetch_all("SELECT tenant_id, pattern_id FROM schedule_patterns WHERE live = 1 ORDER BY pattern_id")
    return [(row["tenant_id"], row["pattern_id"]) for row in rows]


def list_ids_of_weekday(tx: Tx, tenant_id: int, weekday: int) -> list[int]:
    """Return the patterns of a hospital's weekday that have not ended."""
    rows = tx.fetch_all(
        """
        SELECT pattern_id FROM schedule_patterns
        WHERE tenant_id = %(tenant_id)s AND weekday = %(weekday)s AND live = 1 ORDER BY pattern_id
        """,
        tenant_id=tenant_id,
        weekday=weekday,
    )
    return [row["pattern_id"] for row in rows]


def find_doctor_id(tx: Tx, tenant_id: int, pattern_id: int) -> int | None:
    """Return the doctor of a pattern, which never changes; None for a general clinic."""
    doctor_id: int | None = tx.fetch_value(
        "SELECT doctor_id FROM schedule_patterns WHERE pattern_id = %(pattern_id)s AND tenant_id = %(tenant_id)s",
        pattern_id=pattern_id,
        tenant_id=tenant_id,
    )
    return doctor_id


def find_for_share(tx: Tx, tenant_id: int, pattern_id: int) -> Pattern | None:
    """Return a pattern that has not ended, with a shared lock: it cannot be ended before the commit."""
    row = tx.fetch_one(
        f"""
        SELECT {PATTERN_COLUMNS} FROM schedule_patterns x
        WHERE x.pattern_id = %(pattern_id)s AND x.tenant_id = %(tenant_id)s AND x.live = 1 LOCK IN SHARE MODE
        """,
        pattern_id=pattern_id,
        tenant_id=tenant_id,
    )
    return _parse_pattern(row) if row else None


def list_days_to_skip(tx: Tx, pattern_id: int, today: date) -> set[date]:
    """Return the days for which a pattern must not create a schedule.

    These are the days for which it has created one before, coming days on which the same half-day was stopped after
    the pattern was created, whether the pattern or a member of staff had created that schedule, and coming days on
    which a schedule of the doctor overlaps. Schedules of the half-day that are not stopped are locked (shared), so that
    they cannot be stopped before the commit. Lock the doctor before.
    """
    same_half_days = """
        schedule_patterns p JOIN schedules x
            ON x.tenant_id = p.tenant_id AND x.doctor_id <=> p.doctor_id AND x.clinic_id <=> p.clinic_id
            AND x.half_day = p.half_day AND x.day >= %(today)s
        WHERE p.pattern_id = %(pattern_id)s
    """
    _, rows = tx.execute_packet(
        f"""
        SELECT x.schedule_id FROM {same_half_days} AND x.live = 1 LOCK IN SHARE MODE;
        SELECT day FROM schedules WHERE pattern_id = %(pattern_id)s
        UNION SELECT x.day FROM {same_half_days} AND x.stopped_at >= p.created_at
        UNION SELECT x.day FROM schedule_patterns p JOIN schedules x
            ON x.tenant_id = p.tenant_id AND x.doctor_id = p.doctor_id AND x.live = 1 AND x.day >= %(today)s
            AND x.half_day <> p.half_day AND x.begins < p.ends AND x.ends > p.begins
        WHERE p.pattern_id = %(pattern_id)s
        """,
        pattern_id=pattern_id,
        today=today,
    )
    return {row["day"] for row in rows}


def end(tx: Tx, tenant_id: int, pattern_id: int) -> bool:
    """End a pattern; return False if the tenant has no such pattern. An ended pattern stays ended."""
    matched = tx.execute(
        """
        UPDATE schedule_patterns SET live = NULL
        WHERE pattern_id = %(pattern_id)s AND tenant_id = %(tenant_id)s
        """,
        pattern_id=pattern_id,
        tenant_id=tenant_id,
    )
    return matched == 1


def _parse_pattern(row: Row) -> Pattern:
    fields = {name: row[name] for name in Pattern.__dataclass_fields__}
    return Pattern(**{**fields, "half_day": HalfDay(row["half_day"])})
