"""A job of the outbox: what became of somebody's money, as a site message and at /notify."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

from chalicelib.adapters import mysql
from chalicelib.notifications import event_push, site_messages
from chalicelib.notifications.event_types import EventType

MESSAGE_TEXTS: dict[int, str] = {
    EventType.PAYMENT_RECEIVED: "支付成功：挂号费 {yuan} 元，预约编号 {book_id}。",
    EventType.PAYMENT_REFUNDED: "退款成功：挂号费 {yuan} 元已原路退回，预约编号 {book_id}。",
}


def notify_holder(tenant_id: int, payload: dict[str, Any]) -> None:
    """payload: user_id, book_id, payment_id, fee, type, at. Run again, it is one site message. Raises
    redis.RedisUnavailableError."""
    user_id, book_id, kind, at = (payload[name] for name in ("user_id", "book_id", "type", "at"))
    text = MESSAGE_TEXTS[kind].format(yuan=f"{Decimal(payload['fee']) / 100:.2f}", book_id=book_id)
    key = f"payment:{payload['payment_id']}:{kind}"
    with suppress(mysql.DuplicateKeyError):  # it is there already
        mysql.run_transaction(
            lambda tx: site_messages.insert(tx, tenant_id, site_messages.SYSTEM_SENDER, key, text, [user_id], at)
        )
    told = {"type": kind, "content": {"bookId": str(book_id)}, "at": at}
    event_push.publish_event(tenant_id, {"principals": [f"user:{user_id}"], **told})
