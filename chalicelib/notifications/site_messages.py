"""Site messages in MySQL: what is written of them. Nothing is decided here."""

from collections.abc import Collection

from chalicelib.adapters.mysql import Tx

SYSTEM_SENDER = "system"  # the sender of what nobody wrote


def insert(
    tx: Tx, tenant_id: int, sender: str, idempotency_key: str | None, text: str, user_ids: Collection[int], now: int
) -> int:
    """Deliver a text to these people, each named once; return its message_id.

    Raises mysql.DuplicateKeyError("idempotency_key") where the sender has used the key already.
    """
    message_id = tx.insert(
        """
        INSERT INTO site_messages (tenant_id, sender, idempotency_key, text, receivers, sent_at)
        VALUES (%(tenant_id)s, %(sender)s, %(idempotency_key)s, %(text)s, %(receivers)s, %(now)s)
        """,
        tenant_id=tenant_id,
        sender=sender.encode(),
        idempotency_key=idempotency_key.encode() if idempotency_key else None,
        text=text,
        receivers=len(user_ids),
        now=now,
    )
    tx.execute_many(
        """
        INSERT INTO site_deliveries (tenant_id, user_id, message_id)
        VALUES (%(tenant_id)s, %(user_id)s, %(message_id)s)
        """,
        [{"tenant_id": tenant_id, "user_id": user_id, "message_id": message_id} for user_id in user_ids],
    )
    return message_id


def mark_read(tx: Tx, tenant_id: int, user_id: int, message_ids: Collection[int], now: int) -> int:
    """Return how many of these the person has, whether or not they had been read before."""
    return tx.execute(
        """
        UPDATE site_deliveries SET is_read = 1, read_at = COALESCE(read_at, %(now)s)
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND message_id IN %(message_ids)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        message_ids=message_ids,
        now=now,
    )
