"""Subscription messages (订阅通知): a user's consent on the hospital's page permits one message by a template.

WeChat reports consents to us (wechat/callback_events.py); each is a credit of an openid and a template.
"""

from chalicelib import clock
from chalicelib.adapters.mysql import Tx


def add_credit(tx: Tx, tenant_id: int, openid: str, template_id: str) -> None:
    """Record a consent, if the hospital uses the template."""
    tx.execute(
        """
        INSERT INTO wechat_subscription_credits (tenant_id, openid, template_id, credits, changed_at)
        SELECT %(tenant_id)s, %(openid)s, t.wech_temp_id, 1, %(now)s FROM wechat_subscription_templates t
        WHERE t.tenant_id = %(tenant_id)s AND t.wech_temp_id = %(template_id)s LIMIT 1
        ON DUPLICATE KEY UPDATE credits = credits + 1, changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        openid=openid.encode(),
        template_id=template_id,
        now=clock.now(),
    )


def clear_credits(tx: Tx, tenant_id: int, openid: str, template_id: str) -> None:
    """Record that a user does not accept messages by a template any more."""
    _update(tx, tenant_id, openid, template_id, "credits = 0")


def has_credit(tx: Tx, tenant_id: int, openid: str, template_id: str) -> bool:
    """Return whether a user has consented to a message by a template."""
    credit = tx.fetch_value(
        """
        SELECT credits FROM wechat_subscription_credits
        WHERE tenant_id = %(tenant_id)s AND openid = %(openid)s AND template_id = %(template_id)s
        """,
        tenant_id=tenant_id,
        openid=openid.encode(),
        template_id=template_id,
    )
    return bool(credit)


def was_used(tx: Tx, tenant_id: int, key: str) -> bool:
    """Return whether the message with a key has used a credit: WeChat may have accepted it."""
    found = tx.fetch_value(
        "SELECT 1 FROM wechat_subscription_uses WHERE tenant_id = %(tenant_id)s AND message_key = %(key)s",
        tenant_id=tenant_id,
        key=key.encode(),
    )
    return found is not None


def use_credit(tx: Tx, tenant_id: int, openid: str, template_id: str, key: str) -> bool:
    """Use a credit for the message with a key, in a transaction; return False without a credit.

    Raises:
        mysql.DuplicateKeyError: the message has used one before.
    """
    if not _update(tx, tenant_id, openid, template_id, "credits = credits - 1", "AND credits > 0"):
        return False
    tx.execute(
        """
        INSERT INTO wechat_subscription_uses (tenant_id, message_key, used_at)
        VALUES (%(tenant_id)s, %(key)s, %(now)s)
        """,
        tenant_id=tenant_id,
        key=key.encode(),
        now=clock.now(),
    )
    return True


def return_credit(tx: Tx, tenant_id: int, openid: str, template_id: str, key: str) -> None:
    """Undo `use_credit`, in a transaction: the message was certainly not accepted."""
    tx.execute(
        "DELETE FROM wechat_subscription_uses WHERE tenant_id = %(tenant_id)s AND message_key = %(key)s",
        tenant_id=tenant_id,
        key=key.encode(),
    )
    _update(tx, tenant_id, openid, template_id, "credits = credits + 1")


def _update(tx: Tx, tenant_id: int, openid: str, template_id: str, change: str, condition: str = "") -> int:
    return tx.execute(
        f"""
        UPDATE wechat_subscription_credits SET {change}, changed_at = %(now)s
        WHERE tenant_id = %(tenant_id)s AND openid = %(openid)s AND template_id = %(template_id)s {condition}
        """,
        tenant_id=tenant_id,
        openid=openid.encode(),
        template_id=template_id,
        now=clock.now(),
    )
