"""SQL that writes site messages. The inbox group reads them."""

from collections.abc import Collection

from chalicelib.adapters.mysql import Tx

SYSTEM_SENDER = "system"  # the sender of automatic messages


def insert(
    tx: Tx,
    tenant_id: int,
    sender: str,
    idempotency_key: str | None,
    text: str,
    user_ids: Collection[int],
    now: int,
    doctor_id: int | None = None,
) -> int:
    """Insert a message and one delivery for each user; return its message_id.

    Args:
        user_ids: without duplicates.
        doctor_id: the doctor in whose name it is; None for the hospital.

    Raises:
        mysql.DuplicateKeyError: "idempotency_key" if the sender has used the key before.
    """
    message_id = tx.insert(
        """
        INSERT INTO site_messages (tenant_id, sender, doctor_id, idempotency_key, text, recipients, sent_at)
        VALUES (%(tenant_id)s, %(sender)s, %(doctor_id)s, %(idempotency_key)s, %(text)s, %(recipients)s, %(now)s)
        """,
        tenant_id=tenant_id,
        sender=sender.encode(),
        doctor_id=doctor_id,
        idempotency_key=idempotency_key.encode() if idempotency_key else None,
        text=text,
        recipients=len(user_ids),
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
