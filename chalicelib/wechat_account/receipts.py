"""What became of messages that WeChat accepted. Its report may come before or after a message's number is stored."""

from chalicelib.adapters.mysql import Tx


def link(tx: Tx, tenant_id: int, msg_id: int, notification_id: int, now: int) -> bool | None:
    """Store which notification a message is; return whether it has arrived, None if WeChat has not reported it yet."""
    tx.execute(
        """
        INSERT INTO wechat_receipts (tenant_id, msg_id, notification_id, created_at)
        VALUES (%(tenant_id)s, %(msg_id)s, %(notification_id)s, %(now)s)
        ON DUPLICATE KEY UPDATE notification_id = %(notification_id)s
        """,
        tenant_id=tenant_id,
        msg_id=msg_id,
        notification_id=notification_id,
        now=now,
    )
    succeeded = _find(tx, tenant_id, msg_id, "succeeded")
    return None if succeeded is None else bool(succeeded)


def record_result(tx: Tx, tenant_id: int, msg_id: int, succeeded: bool, now: int) -> int | None:
    """Store what WeChat reports; return the notification_id, None if the message is not known, or not yet."""
    tx.execute(
        """
        INSERT INTO wechat_receipts (tenant_id, msg_id, succeeded, created_at)
        VALUES (%(tenant_id)s, %(msg_id)s, %(succeeded)s, %(now)s)
        ON DUPLICATE KEY UPDATE succeeded = %(succeeded)s
        """,
        tenant_id=tenant_id,
        msg_id=msg_id,
        succeeded=succeeded,
        now=now,
    )
    return _find(tx, tenant_id, msg_id, "notification_id")


def _find(tx: Tx, tenant_id: int, msg_id: int, column: str) -> int | None:
    value: int | None = tx.fetch_value(
        f"SELECT {column} FROM wechat_receipts WHERE tenant_id = %(tenant_id)s AND msg_id = %(msg_id)s",
        tenant_id=tenant_id,
        msg_id=msg_id,
    )
    return value
