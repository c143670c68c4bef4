"""SQL of requests for refunds, and of the rule above which amount they need a second person."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.admin.refund_models import RefundRequestListQuery, RequestState
from chalicelib.http import pagination

DEFAULT_APPROVAL_FEE = 20_000  # fen
_COLUMNS = """
    q.request_id, q.book_id, q.fee, q.reason, q.state, q.requested_by, q.created_at, q.decided_by, q.decided_at,
    q.reject_reason,
    COALESCE((SELECT s.name FROM staff s WHERE s.user_id = q.requested_by), '') AS requested_by_name,
    COALESCE((SELECT s.name FROM staff s WHERE s.user_id = q.decided_by), '') AS decided_by_name
"""


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request for a refund."""

    request_id: int
    book_id: int
    fee: int  # fen
    state: RequestState
    requested_by: int  # user_id
    decided_by: int | None  # user_id


def get_approval_fee(tx: Tx, tenant_id: int) -> int:
    """Return the amount, in fen, above which a refund of the tenant needs a second person."""
    fee: int | None = tx.fetch_value(
        "SELECT approval_fee FROM refund_rules WHERE tenant_id = %(tenant_id)s", tenant_id=tenant_id
    )
    return DEFAULT_APPROVAL_FEE if fee is None else fee


def set_approval_fee(tx: Tx, tenant_id: int, fee: int, user_id: int) -> None:
    """Store that amount."""
    tx.execute(
        """
        INSERT INTO refund_rules (tenant_id, approval_fee, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(fee)s, %(user_id)s, %(now)s)
        ON DUPLICATE KEY UPDATE approval_fee = VALUES(approval_fee), changed_by = VALUES(changed_by),
            changed_at = VALUES(changed_at)
        """,
        tenant_id=tenant_id,
        fee=fee,
        user_id=user_id,
        now=clock.now(),
    )


def insert(
    tx: Tx, tenant_id: int, book_id: int, fee: int, reason: str, state: RequestState, user_id: int, key: str
) -> int:
    """Insert a request and return its request_id.

    Raises:
        mysql.DuplicateKeyError: key "idempotency_key".
    """
    return tx.insert(
        """
        INSERT INTO refund_requests (tenant_id, book_id, fee, reason, state, requested_by, idempotency_key, created_at)
        VALUES (%(tenant_id)s, %(book_id)s, %(fee)s, %(reason)s, %(state)s, %(user_id)s, %(key)s, %(now)s)
        """,
        tenant_id=tenant_id,
        book_id=book_id,
        fee=fee,
        reason=reason,
        state=state,
        user_id=user_id,
        key=key.encode(),
        now=clock.now(),
    )


def find_by_key(tx: Tx, tenant_id: int, user_id: int, key: str, upper_key: str) -> Row | None:
    """Return the columns of the request that a person made with a key from `key` to `upper_key`."""
    return tx.fetch_one(
        f"""
        SELECT {_COLUMNS} FROM refund_requests q
        WHERE q.tenant_id = %(tenant_id)s AND q.requested_by = %(user_id)s
          AND q.idempotency_key BETWEEN %(key)s AND %(upper_key)s
        ORDER BY q.request_id DESC LIMIT 1
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        key=key.encode(),
        upper_key=upper_key.encode(),
    )


def find_book_id(tx: Tx, tenant_id: int, request_id: int) -> int | None:
    """Return the booking of a request, which is to be locked before the request; None if there is none."""
    book_id: int | None = tx.fetch_value(
        "SELECT book_id FROM refund_requests WHERE request_id = %(request_id)s AND tenant_id = %(tenant_id)s",
        request_id=request_id,
        tenant_id=tenant_id,
    )
    return book_id


def lock(tx: Tx, tenant_id: int, request_id: int) -> StoredRequest:
    """Lock a request that exists and return it."""
    row = tx.fetch_one(
        """
        SELECT request_id, book_id, fee, state, requested_by, decided_by FROM refund_requests
        WHERE request_id = %(request_id)s AND tenant_id = %(tenant_id)s FOR UPDATE
        """,
        request_id=request_id,
        tenant_id=tenant_id,
    )
    assert row, "requests are never deleted"
    return StoredRequest(**{**row, "state": RequestState(row["state"])})


def decide(tx: Tx, tenant_id: int, request_id: int, state: RequestState, user_id: int, reject_reason: str) -> None:
    """Store who decided about a locked request."""
    tx.execute(
        """
        UPDATE refund_requests
        SET state = %(state)s, decided_by = %(user_id)s, decided_at = %(now)s, reject_reason = %(reject_reason)s
        WHERE request_id = %(request_id)s AND tenant_id = %(tenant_id)s
        """,
        tenant_id=tenant_id,
        request_id=request_id,
        state=state,
        user_id=user_id,
        reject_reason=reject_reason,
        now=clock.now(),
    )


def get(tx: Tx, tenant_id: int, request_id: int) -> Row:
    """Return the columns of a request that exists."""
    row = tx.fetch_one(
        f"""
        SELECT {_COLUMNS} FROM refund_requests q
        WHERE q.request_id = %(request_id)s AND q.tenant_id = %(tenant_id)s
        """,
        request_id=request_id,
        tenant_id=tenant_id,
    )
    assert row, "requests are never deleted"
    return row


def list_requests(tx: Tx, tenant_id: int, query: RefundRequestListQuery) -> list[Row]:
    """Return the rows of a page, the newest first."""
    index = "by_booking" if query.book_id else "by_state" if query.state else "by_time"
    return tx.fetch_all(
        f"""
        SELECT {_COLUMNS} FROM refund_requests q FORCE INDEX ({index})
        WHERE q.tenant_id = %(tenant_id)s AND q.created_at >= %(since)s AND q.created_at < %(until)s
          {"AND q.state = %(state)s" if query.state else ""} {"AND q.book_id = %(book_id)s" if query.book_id else ""}
          {pagination.build_condition("q.created_at", "q.request_id", query.bounds)}
        ORDER BY q.created_at DESC, q.request_id DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        since=query.since,
        until=query.until,
        state=query.state,
        book_id=query.book_id,
        **pagination.build_params(query.bounds),
    )
