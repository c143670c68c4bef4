"""SQL of the calls of WeChat that have taken effect."""

from chalicelib.adapters.mysql import Tx


def insert(tx: Tx, tenant_id: int, content_hash: bytes, nonce_hash: bytes, now: int) -> None:
    """Record a call.

    Raises:
        mysql.DuplicateKeyError: key "PRIMARY" if the content, "nonce" if only timestamp and nonce were received before.
    """
    tx.execute(
        """
        INSERT INTO wechat_callbacks (tenant_id, content_hash, nonce_hash, received_at)
        VALUES (%(tenant_id)s, %(content_hash)s, %(nonce_hash)s, %(now)s)
        """,
        tenant_id=tenant_id,
        content_hash=content_hash,
        nonce_hash=nonce_hash,
        now=now,
    )
