"""The booking rules of a hospital and their SQL."""

from dataclasses import asdict, dataclass
from datetime import date

from chalicelib.adapters.mysql import Row, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of a hospital; the defaults are those of a hospital that has not set any."""

    days_ahead: int = 14  # last day that can be booked, counted from today
    cancel_minutes: int = 0  # a patient can cancel at least this many minutes before the slot
    cancel_workdays: int = 0  # and until cancel_hour of so many working days before; 0: there is no such deadline
    cancel_hour: int = 16
    daily_limit: int = 5  # bookings that can be made for a patient in a day, cancelled ones included; 0: no limit
    pay_minutes: int = 0  # after this many minutes an unpaid booking is cancelled; 0: never
    missed_limit: int = 3  # missed bookings in MISSED_WINDOW_DAYS after which a patient cannot book; 0: no limit
    weeks_ahead: int = 4  # weeks for which patterns create schedules in advance
    half_day_rule: bool = True  # a patient can have one booking in a half-day; False: several, gap_minutes apart
    gap_minutes: int = 60  # minimum time between the beginnings of two bookings of a patient; 0: any
    hold_hours: int = 24  # how long an alternative is held for the patient of a stopped schedule; 0: none is
    waitlist_limit: int = 3  # how often a person can wait at one time; 0: there is no waitlist
    offer_minutes: int = 30  # to confirm what the waitlist gives
    offer_stop_minutes: int = 120  # nothing is given to the waitlist later than so long before the slot
    quiet_from: int = 22  # hour at which quiet hours begin, and at which they end; equal: there are none
    quiet_to: int = 7
    reschedule_limit: int = 3  # how often a patient can reschedule a booking; 0: not at all
    checkin_minutes: int = 60  # so many minutes before the slot, patients can check in by the code of the department
    segment_minutes: int = 30  # length of the parts of a half-day in whose order patients are called


# Each rule is a column of booking_rules.
_NAMES = tuple(Rules.__dataclass_fields__)
SELECT_RULES = f"SELECT {', '.join(_NAMES)} FROM booking_rules WHERE tenant_id = %(tenant_id)s"


def parse_rules(row: Row | None) -> Rules:
    """Return the rules in a row of SELECT_RULES, or the defaults if there is none."""
    return Rules(**{**row, "half_day_rule": bool(row["half_day_rule"])}) if row else Rules()


def load(tx: Tx, tenant_id: int) -> Rules:
    """Return the rules of a hospital."""
    return parse_rules(tx.fetch_one(SELECT_RULES, tenant_id=tenant_id))


def insert_if_absent(tx: Tx, tenant_id: int, rules: Rules, user_id: int, now: int) -> None:
    """Insert the rules of a hospital unless it has some; either way its row is locked until the commit."""
    tx.execute(
        f"""
        INSERT INTO booking_rules (tenant_id, {", ".join(_NAMES)}, changed_by, changed_at)
        VALUES (%(tenant_id)s, {", ".join(f"%({name})s" for name in _NAMES)}, %(user_id)s, %(now)s)
        ON DUPLICATE KEY UPDATE tenant_id = %(tenant_id)s
        """,
        **asdict(rules),
        tenant_id=tenant_id,
        user_id=user_id,
        now=now,
    )


def update(tx: Tx, tenant_id: int, rules: Rules, user_id: int, now: int) -> None:
    """Replace the rules of a hospital."""
    tx.execute(
        f"""
        UPDATE booking_rules
        SET {", ".join(f"{name} = %({name})s" for name in _NAMES)}, changed_by = %(user_id)s, changed_at = %(now)s
        WHERE tenant_id = %(tenant_id)s
        """,
        **asdict(rules),
        tenant_id=tenant_id,
        user_id=user_id,
        now=now,
    )


def take_half_days(tx: Tx, tenant_id: int, today: date) -> None:
    """Let bookings to come take their patients' half-days, the first one of a patient where there are several.

    Until then they took none, as the rule was lifted.
    """
    tx.execute(
        """
        UPDATE bookings b JOIN (
            SELECT MIN(o.book_id) AS book_id FROM bookings o
            WHERE o.tenant_id = %(tenant_id)s AND o.day >= %(today)s AND o.person_live = 1
            GROUP BY o.pati_id, o.day, o.half_day HAVING MAX(o.half_day_live) IS NULL
        ) f ON f.book_id = b.book_id
        SET b.half_day_live = 1 WHERE b.tenant_id = %(tenant_id)s
        """,
        tenant_id=tenant_id,
        today=today,
    )
