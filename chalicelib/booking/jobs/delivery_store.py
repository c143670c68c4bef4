"""SQL of what decides how a notification reaches a patient."""

from datetime import date

from chalicelib.adapters.mysql import Tx
from chalicelib.notifications import site_messages
from chalicelib.notifications.delivery_states import Delivery, NotificationState


def find_phone(tx: Tx, tenant_id: int, user_id: int) -> bytes | None:
    """Return the encrypted phone of an account, None if it has none or the number may be another person's now."""
    phone_sealed: bytes | None = tx.fetch_value(
        """
        SELECT phone_sealed FROM accounts
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s AND identity_locked_at IS NULL
        """,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    return phone_sealed


def has_read(tx: Tx, tenant_id: int, delivery: Delivery) -> bool:
    """Return whether the patient has read the site message of a notification."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM site_messages s JOIN site_deliveries d
            ON d.message_id = s.message_id AND d.tenant_id = s.tenant_id AND d.is_read = 1
        WHERE s.tenant_id = %(tenant_id)s AND s.sender = %(sender)s AND s.idempotency_key = %(name)s
          AND d.user_id = %(user_id)s
        """,
        tenant_id=tenant_id,
        sender=site_messages.SYSTEM_SENDER.encode(),
        name=delivery.name.encode(),
        user_id=delivery.user_id,
    )
    return found is not None


def list_over(tx: Tx, today: date, limit: int) -> list[tuple[int, int]]:
    """Return tenant_id and notification_id of notifications of all tenants whose day is over."""
    rows = tx.fetch_all(
        """
        SELECT n.tenant_id, n.notification_id FROM booking_notifications n JOIN bookings b ON b.book_id = n.book_id
        WHERE n.state = %(unreached)s AND b.day < %(today)s LIMIT %(limit)s
        """,
        unreached=NotificationState.UNREACHED,
        today=today,
        limit=limit,
    )
    return [(row["tenant_id"], row["notification_id"]) for row in rows]
