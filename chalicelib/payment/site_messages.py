"""The outbox job that notifies users about their payments and refunds: as a site message and at /notify, once each."""

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
    """Send the notification. Handler of Job.NOTIFY_PAYMENT; a repeated run sends no second site message.

    Raises:
        redis.RedisUnavailableError: the job is retried.
    """
    user_id, book_id, event_type, at = (payload[name] for name in ("user_id", "book_id", "type", "at"))
    text = MESSAGE_TEXTS[event_type].format(yuan=f"{Decimal(payload['fee']) / 100:.2f}", book_id=book_id)
    key = f"{payload['key']}:{event_type}"
    with suppress(mysql.DuplicateKeyError):  # sent by an earlier run
        mysql.run_transaction(
            lambda tx: site_messages.insert(tx, tenant_id, site_messages.SYSTEM_SENDER, key, text, [user_id], at)
        )
    event_push.publish_event(
        tenant_id,
        {"principals": [f"user:{user_id}"], "type": event_type, "content": {"bookId": str(book_id)}, "at": at},
    )
