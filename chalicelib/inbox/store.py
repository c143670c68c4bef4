"""SQL of a user's site messages. notifications/site_messages.py inserts them."""

from collections.abc import Collection
from dataclasses import dataclass

from chalicelib.adapters.mysql import Tx


@dataclass(frozen=True, slots=True)
class DeliveredMessage:
    """A site message as one user has it. sent_at is in microseconds."""

    message_id: int
    text: str
    sent_at: int
    is_read: bool
    doctor_id: int | None  # None for a message in the hospital's name
    sender_name: str  # of the doctor or the hospital


def list_messages(
    tx: Tx, tenant_id: int, user_id: int, is_read: bool | None, before: int, limit: int
) -> list[DeliveredMessage]:
    """Return a user's messages with an id below `before`, newest first.

    Args:
        is_read: True or False for messages in that state, None for all.
    """
    rows = tx.fetch_all(
        f"""
        SELECT d.message_id, m.text, m.sent_at, d.is_read, m.doctor_id,
               COALESCE(s.name, t.name) AS sender_name
        FROM site_deliveries d STRAIGHT_JOIN site_messages m ON m.message_id = d.message_id
        JOIN tenants t ON t.tenant_id = d.tenant_id
        LEFT JOIN staff s ON s.user_id = m.doctor_id
        WHERE d.tenant_id = %(tenant_id)s AND d.user_id = %(user_id)s AND d.message_id < %(before)s
          {"" if is_read is None else "AND d.is_read = %(is_read)s"}
        ORDER BY d.message_id DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        is_read=is_read,
        before=before,
        limit=limit,
    )
    return [DeliveredMessage(**{**row, "is_read": bool(row["is_read"])}) for row in rows]


def count_unread(tx: Tx, tenant_id: int, user_id: int) -> int:
    """Return how many messages a user has not read."""
    count: int = tx.fetch_value(
        """
        SELECT COUNT(*) FROM site_deliveries
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND is_read = FALSE
        """,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    return count


def list_unread_ids(tx: Tx, tenant_id: int, user_id: int) -> list[int]:
    """Return the ids of a user's unread messages, ascending."""
    rows = tx.fetch_all(
        """
        SELECT message_id FROM site_deliveries
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND is_read = FALSE ORDER BY message_id
        """,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    return [row["message_id"] for row in rows]


def has_key_in_range(tx: Tx, tenant_id: int, sender: str, after: str, key: str) -> bool:
    """Return whether the sender has stored a message under a key in (after, key]."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM site_messages
        WHERE tenant_id = %(tenant_id)s AND sender = %(sender)s
          AND idempotency_key > %(after)s AND idempotency_key <= %(key)s LIMIT 1
        """,
        tenant_id=tenant_id,
        sender=sender.encode(),
        after=after.encode(),
        key=key.encode(),
    )
    return found is not None


def is_same_message(
    tx: Tx, tenant_id: int, sender: str, idempotency_key: str, text: str, user_ids: Collection[int]
) -> bool:
    """Return whether the message with this idempotency key has this text and exactly these recipients."""
    row = tx.fetch_one(
        """
        SELECT m.text, m.recipients, (
            SELECT COUNT(*) FROM site_deliveries d
            WHERE d.tenant_id = %(tenant_id)s AND d.user_id IN %(user_ids)s AND d.message_id = m.message_id
        ) AS matching
        FROM site_messages m
        WHERE m.tenant_id = %(tenant_id)s AND m.sender = %(sender)s AND m.idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        sender=sender.encode(),
        idempotency_key=idempotency_key.encode(),
        user_ids=user_ids,
    )
    return row is not None and row["text"] == text and row["recipients"] == row["matching"] == len(user_ids)


def mark_read(tx: Tx, tenant_id: int, user_id: int, message_ids: Collection[int], now: int) -> int:
    """Mark messages as read. Those that were read before keep their read_at.

    Returns:
        The number of these messages that were delivered to the user, including those read before.
    """
    return tx.execute(
        """
        UPDATE site_deliveries SET is_read = TRUE, read_at = COALESCE(read_at, %(now)s)
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND message_id IN %(message_ids)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        message_ids=message_ids,
        now=now,
    )
