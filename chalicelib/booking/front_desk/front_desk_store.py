"""Bookings in MySQL as the desk sees them. Nothing is decided here."""

from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


def find(tx: Tx, tenant_id: int, book_id: int | None, book_code: str | None) -> Row | None:
    """Return book_id, pati_id and schedule_id of a booking by its number, or by its code where there is no number."""
    return tx.fetch_one(
        f"""
        SELECT book_id, pati_id, schedule_id FROM bookings WHERE tenant_id = %(tenant_id)s
          AND {"book_id = %(book_id)s" if book_id else "book_code = %(book_code)s"}
        """,
        tenant_id=tenant_id,
        book_id=book_id,
        book_code=book_code,
    )


def register(tx: Tx, book_id: int, by: int) -> None:
    """Register a booking that dues.find has locked."""
    tx.execute(
        "UPDATE bookings SET status = 2, changed_by = %(by)s, changed_at = %(now)s WHERE book_id = %(book_id)s",
        book_id=book_id,
        by=by,
        now=clock.now(),
    )


def list_day(
    tx: Tx,
    tenant_id: int,
    day: date,
    dept_id: int | None,
    doctor_id: int | None,
    seen_by: int | None,
    limits: tuple[int, int],
) -> tuple[int, list[Row]]:
    """Return how many bookings there are for a day, but for cancelled ones, and one page (skipped, taken) by time.

    seen_by: a doctor, who sees their own and those of their department's general clinic; None sees all.
    """
    own = """
        AND (b.doctor_id = %(seen_by)s OR b.doctor_id IS NULL AND b.dept_id = (
            SELECT d.dept_id FROM doctors d WHERE d.user_id = %(seen_by)s AND d.tenant_id = %(tenant_id)s))
    """
    rows = f"""
        FROM bookings b JOIN patients p ON p.pati_id = b.pati_id
        WHERE b.tenant_id = %(tenant_id)s AND b.day = %(day)s AND b.live = 1
          {"AND b.dept_id = %(dept_id)s" if dept_id else ""} {"AND b.doctor_id = %(doctor_id)s" if doctor_id else ""}
          {own if seen_by else ""}
    """
    [total], found = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n {rows};
        SELECT b.book_id, b.book_code, b.status, b.slot_time, b.serial_no, b.type, b.payment_state, b.pati_id,
               p.name, p.gender, p.birthday, p.phone,
               (SELECT d.name FROM departments d WHERE d.dept_id = b.dept_id) AS dept_name,
               COALESCE((SELECT s.name FROM staff s WHERE s.user_id = b.doctor_id), '') AS doctor_name
        {rows} ORDER BY b.slot_time, b.book_id LIMIT %(skipped)s, %(taken)s
        """,
        tenant_id=tenant_id,
        day=day,
        dept_id=dept_id,
        doctor_id=doctor_id,
        seen_by=seen_by,
        skipped=limits[0],
        taken=limits[1],
    )
    return total["n"], found
