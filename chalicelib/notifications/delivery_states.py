"""How far the notifications that must arrive have come on their way from WeChat to SMS to the front desk's call list.

Each step changes the state with its former value as a condition, so each is taken once, whoever is faster.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job


class NotificationState(StrEnum):
    """booking_notifications.state."""

    WAITING = "waiting"  # no channel has accepted it yet
    SENT = "sent"  # WeChat has accepted it, and will report whether it arrived
    ARRIVED = "arrived"  # at WeChat, or the patient has read the site message
    TEXTING = "texting"  # an SMS is being sent
    TEXTED = "texted"  # the SMS provider has accepted it
    UNREACHED = "unreached"  # on the call list
    CALLED = "called"  # by the front desk
    OUTDATED = "outdated"  # no longer true before it arrived


class DeliveryFailure(StrEnum):
    """booking_notifications.failure: why no channel reached the patient."""

    NO_ACCOUNT = "no_account"
    NO_PHONE = "no_phone"  # of the account, or it may belong to another person now
    NO_TEMPLATE = "no_template"  # WeChat did not deliver it, and the hospital sends no SMS for this event
    QUOTA = "quota"
    REJECTED = "rejected"  # by the SMS provider
    NOT_SENT = "not_sent"  # the SMS provider cannot be reached; it is tried again
    UNCERTAIN = "uncertain"  # the SMS provider did not respond, or the process died: it may have been sent


CONFIRMATION_WAIT = 300 * clock.SECOND  # after which WeChat is considered not to have delivered a message
# States in which an SMS may still be sent.
OPEN_STATES = (NotificationState.WAITING, NotificationState.SENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notification that must arrive."""

    notification_id: int
    name: str
    book_id: int
    user_id: int | None
    event_type: EventType
    change_number: int
    details: Mapping[str, str]  # what the text says besides the booking
    state: NotificationState
    failure: str  # a DeliveryFailure, or ""
    changed_at: int
    created_at: int


def insert(
    tx: Tx,
    tenant_id: int,
    name: str,
    book_id: int,
    user_id: int | None,
    event_type: EventType,
    change_number: int,
    details: Mapping[str, str],
    text: str,
) -> int:
    """Insert a notification, for a patient without an account into the call list; return its notification_id.

    Raises:
        mysql.DuplicateKeyError: key "name" if it was inserted before.
    """
    now, state, failure = clock.now(), NotificationState.WAITING, ""
    if user_id is None:
        state, failure = NotificationState.UNREACHED, DeliveryFailure.NO_ACCOUNT
    return tx.insert(
        """
        INSERT INTO booking_notifications
            (tenant_id, name, book_id, user_id, event_type, change_number, details, text, state, failure, changed_at,
             created_at)
        VALUES
            (%(tenant_id)s, %(name)s, %(book_id)s, %(user_id)s, %(event_type)s, %(change_number)s, %(details)s,
             %(text)s, %(state)s, %(failure)s, %(now)s, %(now)s)
        """,
        tenant_id=tenant_id,
        name=name.encode(),
        book_id=book_id,
        user_id=user_id,
        event_type=event_type,
        change_number=change_number,
        details=json.dumps(dict(details), ensure_ascii=False),
        text=text,
        state=state,
        failure=failure,
        now=now,
    )


def find_by_name(tx: Tx, tenant_id: int, name: str) -> Delivery | None:
    """Return the notification with a name, or None."""
    return _find(tx, tenant_id, "name = %(key)s", name.encode())


def find(tx: Tx, tenant_id: int, notification_id: int) -> Delivery | None:
    """Return a notification, or None."""
    return _find(tx, tenant_id, "notification_id = %(key)s", notification_id)


def change_state(
    tx: Tx,
    tenant_id: int,
    notification_id: int,
    before: Collection[NotificationState],
    state: NotificationState,
    failure: DeliveryFailure | None = None,
) -> bool:
    """Change the state if it is one of `before`; return whether it was."""
    changed = tx.execute(
        """
        UPDATE booking_notifications SET state = %(state)s, failure = %(failure)s, changed_at = %(now)s
        WHERE notification_id = %(notification_id)s AND tenant_id = %(tenant_id)s AND state IN %(before)s
        """,
        tenant_id=tenant_id,
        notification_id=notification_id,
        before=before,
        state=state,
        failure=failure or "",
        now=clock.now(),
    )
    return changed == 1


def apply_wechat_result(tx: Tx, tenant_id: int, notification_id: int, succeeded: bool) -> None:
    """Apply what WeChat reports about a notification: one that has not arrived is sent by SMS."""
    if succeeded:
        change_state(tx, tenant_id, notification_id, OPEN_STATES, NotificationState.ARRIVED)
    else:
        enqueue_sms(tx, tenant_id, notification_id, "now", clock.now())


def enqueue_sms(tx: Tx, tenant_id: int, notification_id: int, cause: str, due_at: int) -> None:
    """Enqueue the job that sends an SMS unless the notification has arrived by then.

    Args:
        cause: with it, the job is enqueued once.
    """
    key = f"sms:{notification_id}:{cause}"
    outbox.enqueue(tx, tenant_id, Job.SMS_BOOKING, {"notification_id": notification_id}, key, due_at)


def _find(tx: Tx, tenant_id: int, condition: str, key: bytes | int) -> Delivery | None:
    row = tx.fetch_one(
        f"""
        SELECT notification_id, name, book_id, user_id, event_type, change_number, details, state, failure,
               changed_at, created_at
        FROM booking_notifications WHERE tenant_id = %(tenant_id)s AND {condition}
        """,
        tenant_id=tenant_id,
        key=key,
    )
    if row is None:
        return None
    parsed = {
        "name": row["name"].decode(),
        "event_type": EventType(row["event_type"]),
        "details": json.loads(row["details"]),
        "state": NotificationState(row["state"]),
    }
    return Delivery(**{**row, **parsed})
