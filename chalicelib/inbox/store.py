"""Somebody's site messages as MySQL has them. What is written is core: notifications/site_messages.py."""

from collections.abc import Collection

from chalicelib.adapters.mysql import Row, Tx


def list_messages(tx: Tx, tenant_id: int, user_id: int, is_read: bool | None, before: int, limit: int) -> list[Row]:
    """Return message_id, text, sent_at and is_read, the newest first; is_read None is all of them."""
    return tx.fetch_all(
        f"""
        SELECT d.message_id, m.text, m.sent_at, d.is_read
        FROM site_deliveries d STRAIGHT_JOIN site_messages m ON m.message_id = d.message_id
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


def count_unread(tx: Tx, tenant_id: int, user_id: int) -> int:
    count: int = tx.fetch_value(
        """
        SELECT COUNT(*) FROM site_deliveries
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND is_read = 0
        """,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    return count


def list_unread_ids(tx: Tx, tenant_id: int, user_id: int) -> list[int]:
    """Return the ids of all that is unread."""
    rows = tx.fetch_all(
        """
        SELECT message_id FROM site_deliveries
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND is_read = 0 ORDER BY message_id
        """,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    return [row["message_id"] for row in rows]


def is_same_message(
    tx: Tx, tenant_id: int, sender: str, idempotency_key: str, text: str, user_ids: Collection[int]
) -> bool:
    """Whether what an idempotency key names is this text for just these people."""
    row = tx.fetch_one(
        """
        SELECT m.text, m.receivers, (
            SELECT COUNT(*) FROM site_deliveries d
            WHERE d.tenant_id = %(tenant_id)s AND d.user_id IN %(user_ids)s AND d.message_id = m.message_id
        ) AS among_these
        FROM site_messages m
        WHERE m.tenant_id = %(tenant_id)s AND m.sender = %(sender)s AND m.idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        sender=sender.encode(),
        idempotency_key=idempotency_key.encode(),
        user_ids=user_ids,
    )
    return row is not None and row["text"] == text and row["receivers"] == row["among_these"] == len(user_ids)
