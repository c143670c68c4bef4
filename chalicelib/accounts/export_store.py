"""SQL of exports: their rows, and what they contain of other tables."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx

PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Export:
    """An export of an account's own data. Instants are microseconds."""

    export_id: int
    object_key: str
    requested_at: int
    finished_at: int | None  # None until the object is written
    delete_at: int | None  # None once the object is deleted


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation in which an account takes part, or took part."""

    conversation_id: int
    kind: str  # a ConversationKind
    created_at: int
    last_seq: int
    left_at: int | None
    member_name: str  # of a consultation, else ""
    doctor_name: str  # of a consultation, else ""


def find_latest(tx: Tx, tenant_id: int, user_id: int) -> Export | None:
    """Return the latest export of an account, or None."""
    row = tx.fetch_one(
        """
        SELECT export_id, object_key, requested_at, finished_at, delete_at FROM account_exports
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s ORDER BY export_id DESC LIMIT 1
        """,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    return Export(**{**row, "object_key": row["object_key"].decode()}) if row else None


def insert(tx: Tx, tenant_id: int, user_id: int, object_key: str, now: int, delete_at: int) -> int:
    """Insert a requested export and return its export_id."""
    return tx.insert(
        """
        INSERT INTO account_exports (tenant_id, user_id, object_key, requested_at, delete_at)
        VALUES (%(tenant_id)s, %(user_id)s, %(object_key)s, %(now)s, %(delete_at)s)
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        object_key=object_key.encode(),
        now=now,
        delete_at=delete_at,
    )


def mark_finished(tx: Tx, tenant_id: int, export: Export, now: int, delete_at: int) -> bool:
    """Record that the object is written; return False if an earlier run did, or the export was made to expire."""
    changed = tx.execute(
        """
        UPDATE account_exports SET finished_at = %(now)s, delete_at = %(delete_at)s
        WHERE export_id = %(export_id)s AND tenant_id = %(tenant_id)s AND finished_at IS NULL
          AND delete_at = %(expected)s
        """,
        tenant_id=tenant_id,
        export_id=export.export_id,
        expected=export.delete_at,
        now=now,
        delete_at=delete_at,
    )
    return changed == 1


def is_deleted(tx: Tx, tenant_id: int, export_id: int) -> bool:
    """Return whether the object of an export has been deleted."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM account_exports
        WHERE export_id = %(export_id)s AND tenant_id = %(tenant_id)s AND delete_at IS NULL
        """,
        tenant_id=tenant_id,
        export_id=export_id,
    )
    return found is not None


def expire_all(tx: Tx, tenant_id: int, user_id: int, now: int) -> None:
    """Let the next clean-up delete the exports of an account."""
    tx.execute(
        """
        UPDATE account_exports SET delete_at = %(now)s
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND delete_at > %(now)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        now=now,
    )


def list_expired(tx: Tx, now: int, limit: int, offset: int) -> dict[int, str]:
    """Return export_ids and keys of the objects that are to be deleted, of all tenants."""
    rows = tx.fetch_all(
        """
        SELECT export_id, object_key FROM account_exports
        WHERE delete_at <= %(now)s ORDER BY delete_at, export_id LIMIT %(offset)s, %(limit)s
        """,
        now=now,
        limit=limit,
        offset=offset,
    )
    return {row["export_id"]: row["object_key"].decode() for row in rows}


def record_deletion(tx: Tx, export_ids: Collection[int]) -> None:
    """Record that the objects of these exports have been deleted."""
    sql = "UPDATE account_exports SET object_key = '', delete_at = NULL WHERE export_id IN %(ids)s"
    tx.execute(sql, ids=sorted(export_ids))


def iter_bookings(tenant_id: int, user_id: int) -> Iterator[Row]:
    """Yield an account's bookings in the order of their creation."""
    sql = """
        SELECT b.book_id, m.name AS member_name, b.day, b.slot_time, b.serial_no, b.fee, b.status, b.payment_state,
               b.book_code, b.cancelled_for, b.created_at,
               (SELECT d.name FROM departments d WHERE d.dept_id = b.dept_id) AS dept_name,
               COALESCE((SELECT s.name FROM staff s WHERE s.user_id = b.doctor_id), '') AS doctor_name
        FROM bookings b JOIN members m ON m.member_id = b.member_id
        WHERE b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s AND b.book_id > %(after)s
        ORDER BY b.book_id LIMIT %(limit)s
    """
    return _iter_pages(sql, "book_id", tenant_id=tenant_id, user_id=user_id)


def iter_payments(tenant_id: int, user_id: int) -> Iterator[Row]:
    """Yield the orders of an account's bookings that were paid."""
    sql = """
        SELECT p.payment_id, p.book_id, p.out_trade_no, p.transaction_id, p.fee, p.paid_at
        FROM bookings b JOIN payments p ON p.book_id = b.book_id AND p.tenant_id = b.tenant_id
        WHERE b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s AND p.paid_at IS NOT NULL
          AND p.payment_id > %(after)s
        ORDER BY p.payment_id LIMIT %(limit)s
    """
    return _iter_pages(sql, "payment_id", tenant_id=tenant_id, user_id=user_id)


def iter_refunds(tenant_id: int, user_id: int) -> Iterator[Row]:
    """Yield the refunds of an account's bookings."""
    sql = """
        SELECT r.refund_id, r.book_id, r.out_refund_no, r.fee, r.reason, r.state, r.created_at, r.done_at
        FROM bookings b JOIN refunds r ON r.book_id = b.book_id AND r.tenant_id = b.tenant_id
        WHERE b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s AND r.refund_id > %(after)s
        ORDER BY r.refund_id LIMIT %(limit)s
    """
    return _iter_pages(sql, "refund_id", tenant_id=tenant_id, user_id=user_id)


def iter_site_messages(tenant_id: int, user_id: int) -> Iterator[Row]:
    """Yield an account's site messages, oldest first."""
    sql = """
        SELECT d.message_id, m.text, m.sent_at, d.read_at
        FROM site_deliveries d JOIN site_messages m ON m.message_id = d.message_id
        WHERE d.tenant_id = %(tenant_id)s AND d.user_id = %(user_id)s AND d.message_id > %(after)s
        ORDER BY d.message_id LIMIT %(limit)s
    """
    return _iter_pages(sql, "message_id", tenant_id=tenant_id, user_id=user_id)


def iter_conversations(tenant_id: int, user_id: int) -> Iterator[Conversation]:
    """Yield the conversations in which an account takes part, or took part."""
    sql = """
        SELECT p.conversation_id, c.kind, c.created_at, c.last_seq, p.left_at,
               COALESCE(m.name, '') AS member_name, COALESCE(d.name, '') AS doctor_name
        FROM participants p
        JOIN conversations c ON c.conversation_id = p.conversation_id
        LEFT JOIN consult_sessions s ON s.session_no = c.public_id
        LEFT JOIN members m ON m.member_id = s.member_id
        LEFT JOIN staff d ON d.user_id = s.doctor_id
        WHERE p.tenant_id = %(tenant_id)s AND p.principal = %(principal)s AND p.conversation_id > %(after)s
        ORDER BY p.conversation_id LIMIT %(limit)s
    """
    principal = f"user:{user_id}".encode()
    rows = _iter_pages(sql, "conversation_id", tenant_id=tenant_id, principal=principal)
    return (Conversation(**row) for row in rows)


def list_sessions(tx: Tx, tenant_id: int, user_id: int) -> list[Row]:
    """Return an account's sessions that are not forgotten yet (identity/cleanup.py), oldest first."""
    return tx.fetch_all(
        """
        SELECT device, address, created_at, last_used_at, expires_at, revoked_at FROM tokens
        WHERE tenant_id = %(tenant_id)s AND principal = %(principal)s ORDER BY created_at
        """,
        tenant_id=tenant_id,
        principal=f"user:{user_id}".encode(),
    )


def find_staff_name(tx: Tx, tenant_id: int, user_id: int) -> str | None:
    """Return the name of a member of staff, None if it is none."""
    name: str | None = tx.fetch_value(
        "SELECT name FROM staff WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s",
        user_id=user_id,
        tenant_id=tenant_id,
    )
    return name


def _iter_pages(sql: str, key: str, **params: Any) -> Iterator[Row]:
    """Yield the rows of a query that is ordered by `key`, reading PAGE_SIZE of them at a time."""
    after = 0
    while rows := mysql.autocommit.fetch_all(sql, **params, after=after, limit=PAGE_SIZE):
        yield from rows
        after = rows[-1][key]
