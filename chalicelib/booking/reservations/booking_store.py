"""Bookings in MySQL. Nothing is decided here."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.schedules.rule_store import SELECT_RULES
from chalicelib.booking.schedules.schedule_store import SELECT_SCHEDULE


def find_member(tx: Tx, tenant_id: int, user_id: int, member_id: int) -> Row | None:
    """Return pati_id of an account's own member; None for another's."""
    return tx.fetch_one(
        """
        SELECT pati_id FROM members
        WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s AND user_id = %(user_id)s
        """,
        member_id=member_id,
        tenant_id=tenant_id,
        user_id=user_id,
    )


LOCK_PATIENT = "SELECT 1 FROM patients WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s FOR UPDATE"
SELECT_SLOT_HOLDER = """
    SELECT book_id, user_id, member_id FROM bookings
    WHERE schedule_id = %(schedule_id)s AND serial_no = %(serial_no)s AND live = 1 AND tenant_id = %(tenant_id)s
"""
SELECT_BY_IDEMPOTENCY_KEY = """
    SELECT book_id, schedule_id, serial_no, member_id FROM bookings
    WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND idempotency_key = %(idempotency_key)s
"""
SELECT_SAME_DAY = """
    SELECT b.half_day, b.doctor_id FROM schedules x
    JOIN bookings b ON b.tenant_id = x.tenant_id AND b.pati_id = %(pati_id)s AND b.day = x.day AND b.live = 1
    WHERE x.schedule_id = %(schedule_id)s AND x.tenant_id = %(tenant_id)s
"""
COUNT_CREATED_SINCE = """
    SELECT COUNT(*) AS n FROM bookings
    WHERE tenant_id = %(tenant_id)s AND pati_id = %(pati_id)s AND created_at >= %(midnight)s
"""
COUNT_MISSED_SINCE = """
    SELECT COUNT(*) AS n FROM bookings
    WHERE tenant_id = %(tenant_id)s AND pati_id = %(pati_id)s AND status = 3 AND day >= %(first)s
"""


@dataclass(frozen=True, slots=True)
class BookingContext:
    """What is known of a slot and of the person who wants it, while others are kept from changing it."""

    schedule: Row | None
    earlier_booking: Row | None  # book_id, schedule_id, serial_no and member_id of what this request's key has made
    slot_holder: Row | None  # book_id, user_id and member_id of who has the slot
    rules: Row | None
    same_day_bookings: list[Row]  # half_day and doctor_id of what the person has booked for that day
    created_today_count: int  # bookings that were made for the person since midnight, the cancelled among them
    missed_count: int  # since a day


def lock_booking_context(
    tx: Tx,
    tenant_id: int,
    user_id: int,
    idempotency_key: str | None,
    pati_id: int,
    schedule_id: int,
    serial_no: int,
    midnight: int,
    missed_since: date,
) -> BookingContext:
    """Lock a person, so that what is counted stays true, and share the lock of a schedule: nobody changes or stops it
    before the commit. In one round trip: while it lasts, others of that person wait."""
    statements = (
        LOCK_PATIENT,
        f"{SELECT_SCHEDULE} LOCK IN SHARE MODE",
        SELECT_BY_IDEMPOTENCY_KEY,
        SELECT_SLOT_HOLDER,
        SELECT_RULES,
        SELECT_SAME_DAY,
        COUNT_CREATED_SINCE,
        COUNT_MISSED_SINCE,
    )
    _, schedule, sent, holder, rules, that_day, [made], [missed] = tx.execute_packet(
        ";".join(statements),
        tenant_id=tenant_id,
        user_id=user_id,
        idempotency_key=idempotency_key.encode() if idempotency_key else None,
        pati_id=pati_id,
        schedule_id=schedule_id,
        serial_no=serial_no,
        midnight=midnight,
        first=missed_since,
    )
    return BookingContext(
        _get_first_row(schedule),
        _get_first_row(sent),
        _get_first_row(holder),
        _get_first_row(rules),
        that_day,
        made["n"],
        missed["n"],
    )


def _get_first_row(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None


def lock_patient(tx: Tx, tenant_id: int, pati_id: int) -> None:
    """Let nobody else book for a person before the commit. The first lock taken."""
    tx.fetch_one(LOCK_PATIENT, pati_id=pati_id, tenant_id=tenant_id)


def find_by_idempotency_key(tx: Tx, tenant_id: int, user_id: int, idempotency_key: str) -> Row | None:
    """Return what a request's key has made: book_id, schedule_id, serial_no and member_id."""
    return tx.fetch_one(
        SELECT_BY_IDEMPOTENCY_KEY, tenant_id=tenant_id, user_id=user_id, idempotency_key=idempotency_key.encode()
    )


def find_slot_holder(tx: Tx, tenant_id: int, schedule_id: int, serial_no: int) -> Row | None:
    """Return who has a slot: book_id, user_id and member_id."""
    return tx.fetch_one(SELECT_SLOT_HOLDER, schedule_id=schedule_id, serial_no=serial_no, tenant_id=tenant_id)


def list_same_day(tx: Tx, tenant_id: int, pati_id: int, schedule_id: int) -> list[Row]:
    """Return half_day and doctor_id of what a person has booked for the day of a schedule."""
    return tx.fetch_all(SELECT_SAME_DAY, tenant_id=tenant_id, pati_id=pati_id, schedule_id=schedule_id)


def insert(tx: Tx, tenant_id: int, fields: dict[str, Any]) -> int:
    """Insert a booking and return its book_id.

    Raises:
        mysql.DuplicateKeyError: its key is "slot" if the slot is booked, "patient_half_day" or "patient_doctor_day" if
            the patient has a conflicting booking, "idempotency_key" if the key was used before, "book_code" if the
            code is taken.
    """
    return tx.insert(
        """
        INSERT INTO bookings
            (tenant_id, schedule_id, serial_no, user_id, member_id, idempotency_key, pati_id, dept_id, doctor_id, day,
             half_day, slot_time, type, fee, area, book_code, pay_by, changed_at, created_at)
        VALUES
            (%(tenant_id)s, %(schedule_id)s, %(serial_no)s, %(user_id)s, %(member_id)s, %(idempotency_key)s,
             %(pati_id)s, %(dept_id)s, %(doctor_id)s, %(day)s, %(half_day)s,
             %(slot_time)s, %(type)s, %(fee)s, %(area)s, %(book_code)s, %(pay_by)s, %(now)s, %(now)s)
        """,
        **fields,
        tenant_id=tenant_id,
        now=clock.now(),
    )


SELECT_BOOKING = """
    SELECT b.book_id, b.tenant_id, b.schedule_id, b.serial_no, b.user_id, b.pati_id, b.dept_id, b.doctor_id, b.day,
           b.slot_time, b.type, b.fee, b.area, b.book_code, b.status, b.payment_state, b.cancelled_for,
           b.created_at,
           (SELECT d.name FROM departments d WHERE d.dept_id = b.dept_id) AS dept_name,
           COALESCE((SELECT s.name FROM staff s WHERE s.user_id = b.doctor_id), '') AS doctor_name,
           m.name AS member_name
    FROM bookings b JOIN members m ON m.member_id = b.member_id
"""


def list_page(tx: Tx, tenant_id: int, user_id: int, limits: tuple[int, int]) -> tuple[int, list[Row]]:
    """Return how many bookings an account has, and one page (skipped, taken), the newest first."""
    mine = "WHERE b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s"
    [total], found = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n FROM bookings b {mine};
        {SELECT_BOOKING} {mine} ORDER BY b.book_id DESC LIMIT %(skipped)s, %(taken)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        skipped=limits[0],
        taken=limits[1],
    )
    return total["n"], found


def find_own(tx: Tx, tenant_id: int, user_id: int, book_id: int) -> Row | None:
    """Return an account's own booking."""
    return tx.fetch_one(
        f"{SELECT_BOOKING} WHERE b.book_id = %(book_id)s AND b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
        user_id=user_id,
    )


def cancel(tx: Tx, book_id: int, reason: str, by: int | None) -> None:
    """Cancel a booking that dues has locked; its slot is free again."""
    tx.execute(
        """
        UPDATE bookings
        SET status = 1, live = NULL, cancelled_for = %(reason)s, changed_by = %(by)s, changed_at = %(now)s
        WHERE book_id = %(book_id)s
        """,
        book_id=book_id,
        reason=reason,
        by=by,
        now=clock.now(),
    )


def list_booked_ids(tx: Tx, tenant_id: int, schedule_id: int, limit: int) -> list[int]:
    """Return bookings of a schedule that wait for their day."""
    rows = tx.fetch_all(
        """
        SELECT book_id FROM bookings
        WHERE schedule_id = %(schedule_id)s AND live = 1 AND status = 0 AND tenant_id = %(tenant_id)s
        ORDER BY serial_no LIMIT %(limit)s
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        limit=limit,
    )
    return [row["book_id"] for row in rows]
