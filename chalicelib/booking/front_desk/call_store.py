"""SQL of the call list: patients whom no channel has reached, as long as what they are to know is true."""

from dataclasses import dataclass
from datetime import date, timedelta

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.booking.closures.alternative_store import AlternativeState
from chalicelib.booking.reservations import notifications
from chalicelib.notifications import site_messages
from chalicelib.notifications.delivery_states import NotificationState
from chalicelib.notifications.event_types import EventType

# Events that are true of a booking that is cancelled, and of one whose patient still waits.
CANCELLED_EVENTS = (EventType.SCHEDULE_STOPPED, EventType.ALTERNATIVE_LAPSED)
WAITING_EVENTS = tuple(notifications.MUST_ARRIVE.difference(CANCELLED_EVENTS))
# The conditions of booking/jobs/notified_bookings.py, is_current, and that the patient has not read the site message.
_IS_CURRENT = """
    AND n.change_number IN (0, b.changes) AND b.day >= %(today)s
    AND (n.event_type IN %(cancelled_events)s AND b.status = %(cancelled)s
         OR n.event_type IN %(waiting_events)s AND TIMESTAMP(b.day, b.slot_time) > %(wire_now)s
            AND (b.status = %(booked)s OR n.event_type = %(substituted)s AND b.status = %(registered)s))
    AND (n.event_type <> %(offered)s OR b.confirm_by > %(now)s AND b.payment_state = %(unpaid)s)
    AND (n.event_type <> %(held)s OR EXISTS (
        SELECT 1 FROM alternatives o WHERE o.book_id = b.book_id AND o.number = b.changes AND o.state = %(open)s))
    AND NOT EXISTS (
        SELECT 1 FROM site_messages m JOIN site_deliveries d
            ON d.tenant_id = m.tenant_id AND d.message_id = m.message_id AND d.user_id = n.user_id
        WHERE m.tenant_id = n.tenant_id AND m.sender = %(sender)s AND m.idempotency_key = n.name AND d.is_read = 1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which patients to list."""

    called: bool
    day: date | None
    dept_id: int | None
    after: int  # notification_id of the last one of the page before


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientToCall:
    """A notification that has reached no recipient, with its booking."""

    notification_id: int
    event_type: EventType
    text: str
    failure: str  # a DeliveryFailure
    created_at: int
    called_at: int | None
    called_by_name: str | None
    book_id: int
    book_code: str
    status: BookingStatus
    day: date
    slot_time: timedelta  # since midnight
    pati_id: int
    user_id: int | None
    dept_name: str
    doctor_name: str  # "" for a general clinic
    patient_name: str
    account_phone_sealed: bytes | None
    file_phone_sealed: bytes | None


@dataclass(frozen=True, slots=True)
class CallState:
    """The state of a notification, and who has called the patient."""

    state: NotificationState
    called_by_name: str | None
    called_at: int | None


def list_page(tx: Tx, tenant_id: int, wanted: CallFilter, limit: int) -> list[PatientToCall]:
    """Return a page of the patients to call, or of those called, in the order in which they were added."""
    rows = tx.fetch_all(
        f"""
        SELECT n.notification_id, n.event_type, n.text, n.failure, n.created_at, n.called_at, b.book_id, b.book_code,
               b.status, b.day, b.slot_time, b.pati_id, b.user_id,
               (SELECT s.name FROM staff s WHERE s.user_id = n.called_by) AS called_by_name,
               (SELECT d.name FROM departments d WHERE d.dept_id = b.dept_id) AS dept_name,
               COALESCE((SELECT s.name FROM staff s WHERE s.user_id = b.doctor_id), '') AS doctor_name,
               COALESCE((SELECT m.name FROM members m WHERE m.member_id = b.member_id), p.name) AS patient_name,
               a.phone_sealed AS account_phone_sealed, p.phone_sealed AS file_phone_sealed
        FROM booking_notifications n JOIN bookings b ON b.book_id = n.book_id JOIN patients p ON p.pati_id = b.pati_id
        LEFT JOIN accounts a ON a.user_id = b.user_id AND a.identity_locked_at IS NULL
        WHERE n.state = %(state)s AND n.tenant_id = %(tenant_id)s AND n.notification_id > %(after)s
          {"" if wanted.called else _IS_CURRENT}
          {"AND b.day = %(day)s" if wanted.day else ""} {"AND b.dept_id = %(dept_id)s" if wanted.dept_id else ""}
        ORDER BY n.notification_id LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        state=NotificationState.CALLED if wanted.called else NotificationState.UNREACHED,
        after=wanted.after,
        day=wanted.day,
        dept_id=wanted.dept_id,
        limit=limit,
        now=clock.now(),
        wire_now=clock.format_wire_time(clock.now()),
        today=clock.today(),
        cancelled_events=CANCELLED_EVENTS,
        waiting_events=WAITING_EVENTS,
        offered=EventType.BOOKING_OFFERED,
        held=EventType.ALTERNATIVE_HELD,
        substituted=EventType.DOCTOR_SUBSTITUTED,
        booked=BookingStatus.BOOKED,
        registered=BookingStatus.REGISTERED,
        cancelled=BookingStatus.CANCELLED,
        unpaid=PaymentState.UNPAID,
        open=AlternativeState.OPEN,
        sender=site_messages.SYSTEM_SENDER.encode(),
    )
    return [_parse(row) for row in rows]


def find_for_update(tx: Tx, tenant_id: int, notification_id: int) -> CallState | None:
    """Lock a notification and return its state, None if the tenant has no such notification."""
    row = tx.fetch_one(
        """
        SELECT n.state, n.called_at, (SELECT s.name FROM staff s WHERE s.user_id = n.called_by) AS called_by_name
        FROM booking_notifications n
        WHERE n.notification_id = %(notification_id)s AND n.tenant_id = %(tenant_id)s FOR UPDATE
        """,
        notification_id=notification_id,
        tenant_id=tenant_id,
    )
    return CallState(NotificationState(row["state"]), row["called_by_name"], row["called_at"]) if row else None


def mark_called(tx: Tx, tenant_id: int, notification_id: int, called_by: int) -> None:
    """Record that a member of staff has called a patient; `find_for_update` has locked the notification."""
    tx.execute(
        """
        UPDATE booking_notifications
        SET state = %(called)s, called_by = %(called_by)s, called_at = %(now)s, changed_at = %(now)s
        WHERE notification_id = %(notification_id)s AND tenant_id = %(tenant_id)s
        """,
        notification_id=notification_id,
        tenant_id=tenant_id,
        called=NotificationState.CALLED,
        called_by=called_by,
        now=clock.now(),
    )


def _parse(row: Row) -> PatientToCall:
    parsed = {"event_type": EventType(row["event_type"]), "status": BookingStatus(row["status"])}
    return PatientToCall(**{**row, **parsed})
