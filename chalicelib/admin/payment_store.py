"""SQL of the lists of payments and refunds, and of the ledger of a booking."""

from typing import Any

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.admin.payment_models import MoneyListQuery, PaymentListQuery, RefundListQuery
from chalicelib.billing.orders import OrderState
from chalicelib.billing.refunds_due import RefundState
from chalicelib.http import pagination

UNRESOLVED_CHECKS = 5  # an order that is still unknown after more queries does not resolve by itself
_BOOKING_COLUMNS = """
    b.pati_id,
    (SELECT d.name FROM departments d WHERE d.dept_id = b.dept_id) AS dept_name,
    COALESCE((SELECT s.name FROM staff s WHERE s.user_id = b.doctor_id), '') AS doctor_name,
    COALESCE((SELECT p.name FROM patients p WHERE p.pati_id = b.pati_id), '') AS pati_name
"""


def list_payments(tx: Tx, tenant_id: int, query: PaymentListQuery) -> list[Row]:
    """Return the rows of a page, the newest first."""
    return tx.fetch_all(build_payment_sql(query), **build_params(tenant_id, query))


def list_refunds(tx: Tx, tenant_id: int, query: RefundListQuery) -> list[Row]:
    """Return the rows of a page, the newest first."""
    return tx.fetch_all(build_refund_sql(query), **build_params(tenant_id, query))


def list_ledger(tx: Tx, tenant_id: int, book_id: int) -> list[Row]:
    """Return the ledger of a booking's payments and their refunds, the oldest entry first."""
    return tx.fetch_all(
        """
        SELECT l.entry_id, l.payment_id, l.refund_id, l.event, l.source, l.detail, l.at
        FROM payments p JOIN payment_ledger l ON l.payment_id = p.payment_id AND l.tenant_id = p.tenant_id
        WHERE p.book_id = %(book_id)s AND p.tenant_id = %(tenant_id)s ORDER BY l.entry_id
        """,
        tenant_id=tenant_id,
        book_id=book_id,
    )


def exists_booking(tx: Tx, tenant_id: int, book_id: int) -> bool:
    """Return whether the tenant has a booking."""
    sql = "SELECT 1 FROM bookings WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s"
    return tx.fetch_value(sql, book_id=book_id, tenant_id=tenant_id) is not None


def build_payment_sql(query: PaymentListQuery) -> str:
    """Return the statement, which reads the rows in the order of an index, or all of one booking or patient."""
    state = OrderState.CREATED if query.unresolved else query.state
    return f"""
        SELECT x.payment_id, x.book_id, x.out_trade_no, x.transaction_id, x.mch_id, x.fee, x.state, x.checks,
            x.created_at, x.paid_at, {_BOOKING_COLUMNS},
            (SELECT COALESCE(SUM(r.fee), 0) FROM refunds r WHERE r.payment_id = x.payment_id) AS refunded
        FROM {_build_source("payments", query, bool(state))}
          {"AND x.state = %(state)s" if query.state else ""}
          {f"AND x.state = %(created)s AND x.checks > {UNRESOLVED_CHECKS}" if query.unresolved else ""}
          {"AND (x.out_trade_no = %(number)s OR x.transaction_id = %(number)s)" if query.number else ""}
          {_build_conditions(query, "x.payment_id")}
    """


def build_refund_sql(query: RefundListQuery) -> str:
    """Return the statement, which reads the rows in the order of an index, or all of one booking or patient."""
    return f"""
        SELECT x.refund_id, x.payment_id, x.book_id, x.out_refund_no, x.wechat_id, x.fee, x.reason, x.state, x.error,
            x.checks, x.created_at, x.done_at, {_BOOKING_COLUMNS},
            (SELECT p.fee FROM payments p WHERE p.payment_id = x.payment_id) AS paid
        FROM {_build_source("refunds", query, bool(query.state) or query.unfinished)}
          {"AND x.state = %(state)s" if query.state else ""}
          {"AND x.state IN %(unfinished)s" if query.unfinished else ""}
          {"AND (x.out_refund_no = %(number)s OR x.wechat_id = %(number)s)" if query.number else ""}
          {_build_conditions(query, "x.refund_id")}
    """


_UNFINISHED = [one for one in RefundState if one is not RefundState.SUCCESS]


def _build_source(table: str, query: MoneyListQuery, has_state: bool) -> str:
    """Return the joined tables in the order in which they are read, and the tenant's condition."""
    joined = f"{table} x {_find_index(query, has_state)} STRAIGHT_JOIN bookings b ON b.book_id = x.book_id"
    if query.pati_id and not query.book_id and not query.number:
        joined = f"bookings b FORCE INDEX (by_patient) STRAIGHT_JOIN {table} x ON x.book_id = b.book_id"
    return f"{joined} AND b.tenant_id = x.tenant_id WHERE x.tenant_id = %(tenant_id)s AND b.tenant_id = %(tenant_id)s"


def _find_index(query: MoneyListQuery, has_state: bool) -> str:
    if query.book_id or query.number:
        return ""  # a unique key, or two: the optimizer merges them
    return f"FORCE INDEX ({'by_tenant_state' if has_state else 'by_time'})"


def _build_conditions(query: MoneyListQuery, row_id: str) -> str:
    return f"""
        AND x.created_at >= %(since)s AND x.created_at < %(until)s
        {"AND x.book_id = %(book_id)s" if query.book_id else ""}
        {"AND b.dept_id = %(dept_id)s" if query.dept_id else ""}
        {"AND b.doctor_id = %(doctor_id)s" if query.doctor_id else ""}
        {"AND b.pati_id = %(pati_id)s" if query.pati_id else ""}
        {pagination.build_condition("x.created_at", row_id, query.bounds)}
        ORDER BY x.created_at DESC, {row_id} DESC LIMIT %(limit)s
    """


def build_params(tenant_id: int, query: MoneyListQuery) -> dict[str, Any]:
    """Return the parameters of both statements."""
    return {
        "tenant_id": tenant_id,
        "since": query.since,
        "until": query.until,
        "created": OrderState.CREATED,
        "unfinished": _UNFINISHED,
        **query.model_dump(include={"number", "book_id", "dept_id", "doctor_id", "pati_id", "state"}),
        **pagination.build_params(query.bounds),
    }
