"""SQL of the list of bookings."""

from datetime import date

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.admin.booking_models import BookingListQuery
from chalicelib.http import pagination

FIRST_DAY, LAST_DAY = date.min, date.max
_COLUMNS = """
    b.book_id, b.book_code, b.day, b.slot_time, b.serial_no, b.pati_id, b.status, b.cancelled_for, b.changed_at,
    b.changed_by, b.fee, b.payment_state, b.origin, b.created_at,
    (SELECT d.name FROM departments d WHERE d.dept_id = b.dept_id) AS dept_name,
    COALESCE((SELECT s.name FROM staff s WHERE s.user_id = b.doctor_id), '') AS doctor_name,
    COALESCE((SELECT p.name FROM patients p WHERE p.pati_id = b.pati_id), '') AS pati_name,
    (SELECT COALESCE(SUM(r.fee), 0) FROM refunds r WHERE r.book_id = b.book_id) AS refund
"""


def list_bookings(tx: Tx, tenant_id: int, query: BookingListQuery) -> list[Row]:
    """Return the rows of a page, the latest day first."""
    bounds = query.bounds
    return tx.fetch_all(
        build_sql(query),
        tenant_id=tenant_id,
        from_day=query.from_date or FIRST_DAY,
        to_day=query.to_date or LAST_DAY,
        status=query.book_status,
        cancelled_for=query.cancel_reason,
        dept_id=query.dept_id,
        doctor_id=query.doctor_id,
        pati_id=query.pati_id,
        **pagination.build_params(bounds, parse_day),
    )


def build_sql(query: BookingListQuery) -> str:
    """Return the statement, which reads the rows of the page in the order of an index, or all of one patient."""
    return f"""
        SELECT {_COLUMNS} FROM bookings b FORCE INDEX ({_find_index(query)})
        WHERE b.tenant_id = %(tenant_id)s AND b.day BETWEEN %(from_day)s AND %(to_day)s
          {"AND b.status = %(status)s" if query.book_status is not None else ""}
          {"AND b.cancelled_for = %(cancelled_for)s" if query.cancel_reason else ""}
          {"AND b.dept_id = %(dept_id)s" if query.dept_id else ""}
          {"AND b.doctor_id = %(doctor_id)s" if query.doctor_id else ""}
          {"AND b.pati_id = %(pati_id)s" if query.pati_id else ""}
          {pagination.build_condition("b.day", "b.book_id", query.bounds)}
        ORDER BY b.day DESC, b.book_id DESC LIMIT %(limit)s
    """


def _find_index(query: BookingListQuery) -> str:
    if query.pati_id:
        return "by_patient"
    if query.doctor_id:
        return "by_doctor_day"
    if query.dept_id:
        return "by_department_day"
    if query.book_status is not None or query.cancel_reason:
        return "by_tenant_status"
    return "by_tenant_day"


def parse_day(ordinal: int) -> date:
    """Return the day of a position."""
    return date.fromordinal(min(max(ordinal, FIRST_DAY.toordinal()), LAST_DAY.toordinal()))
