"""Outbox job WECHAT_BOOKING of the external queue: report an event of a booking to its holder in WeChat.

What must arrive goes on to SMS (sms_messages.py) if WeChat does not take it, or does not report that it arrived.
"""

from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.jobs import notification_quotas, notified_bookings
from chalicelib.booking.jobs.notification_quotas import Channel, QuotaUsedUpError
from chalicelib.booking.jobs.notified_bookings import NotifiedBooking
from chalicelib.booking.queues import announcements
from chalicelib.booking.reservations import notifications
from chalicelib.booking.schedules import rule_store, rules
from chalicelib.notifications import delivery_states
from chalicelib.notifications.delivery_states import OPEN_STATES, Delivery, NotificationState
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from chalicelib.wechat_account import callback_settings, receipts, template_messages
from chalicelib.wechat_account.account import PERSONAL_PATH

# The event's name in the message.
LABELS = {
    EventType.BOOKING_MADE: "预约成功",
    EventType.BOOKING_OFFERED: "候补成功，请尽快确认",
    EventType.BOOKING_LAPSED: "预约取消",
    EventType.BOOKING_RESCHEDULED: "改期成功",
    EventType.BOOKING_MOVED: "就诊时间调整",
    EventType.BOOKING_CANCELLED: "预约取消",
    EventType.BOOKING_CANCELLED_BY_DESK: "预约取消",
    EventType.SCHEDULE_STOPPED: "预约取消",
    EventType.BOOKING_RELEASED: "预约取消",
    EventType.DOCTOR_SUBSTITUTED: "替诊",
    EventType.ALTERNATIVE_HELD: "停诊改约，请确认",
    EventType.ALTERNATIVE_LAPSED: "预约取消",
    EventType.BOOKING_REGISTERED: "挂号成功",
    EventType.BOOKING_REMINDER: "就诊提醒",
    EventType.QUEUE_SOON: "即将叫号",
    EventType.QUEUE_CALLED: "请就诊",
}
CANCELLATION_REASONS = {
    EventType.BOOKING_CANCELLED: "患者取消",
    EventType.BOOKING_LAPSED: "候补逾期未确认",
    EventType.BOOKING_CANCELLED_BY_DESK: "医院前台取消",
    EventType.SCHEDULE_STOPPED: "停诊",
    EventType.BOOKING_RELEASED: "未按时支付",
    EventType.ALTERNATIVE_LAPSED: "停诊",
}


def send_booking_message(tenant_id: int, payload: dict[str, Any]) -> None:
    """Send a message, unless the booking has changed since the event. In quiet hours it is sent afterwards.

    Args:
        payload: book_id, user_id, type (an EventType), change, before.

    Raises:
        Exception: as template_messages.send; the job is then retried.
    """
    event_type, key = EventType(payload["type"]), notifications.build_key(payload)
    booking = notified_bookings.find_of_account(mysql.autocommit, tenant_id, payload["user_id"], payload["book_id"])
    delivery = None
    if event_type in notifications.MUST_ARRIVE:
        delivery = delivery_states.find_by_name(mysql.autocommit, tenant_id, key)
        if delivery is None or delivery.state != NotificationState.WAITING:  # an SMS was faster
            return
    if booking is None or not notified_bookings.is_current(booking, event_type, payload.get("change", 0)):
        return
    if announcements.is_outdated(mysql.autocommit, tenant_id, payload["book_id"], event_type):
        return
    if quiet_end := find_quiet_end(tenant_id, booking, event_type, payload):
        tx, job = mysql.autocommit, Job.WECHAT_BOOKING
        outbox.enqueue(tx, tenant_id, job, payload, f"{key}:{quiet_end}", quiet_end)
        return
    msg_id = _send(tenant_id, booking, event_type, key)
    if delivery:
        mysql.run_transaction(lambda tx: _record(tx, tenant_id, delivery, msg_id))
        outbox.wake_worker(Queue.EXTERNAL)


def find_quiet_end(
    tenant_id: int, booking: NotifiedBooking, event_type: EventType, details: dict[str, Any]
) -> int | None:
    """Return when a notification may be sent, None if it may be now."""
    if notified_bookings.is_urgent(booking, event_type, details):
        return None
    return rules.find_quiet_end(rule_store.load(mysql.autocommit, tenant_id))


def _send(tenant_id: int, booking: NotifiedBooking, event_type: EventType, key: str) -> int | None:
    """Return the number of the message at WeChat, None if it was not sent."""
    assert booking.user_id is not None
    user_id, must_arrive = booking.user_id, event_type in notifications.MUST_ARRIVE
    quota = (tenant_id, Channel.WECHAT, user_id, must_arrive)
    values = {
        **notified_bookings.build_values(booking),
        "what": LABELS[event_type],
        "reason": CANCELLATION_REASONS.get(event_type, ""),
    }
    try:
        mysql.run_transaction(lambda tx: notification_quotas.use(tx, *quota))
    except QuotaUsedUpError:
        return None
    msg_id = None
    try:
        kind = notifications.WECHAT_TEMPLATES[event_type]
        msg_id = template_messages.send(tenant_id, user_id, kind, values, PERSONAL_PATH, key)
    finally:
        if msg_id is None:
            mysql.run_transaction(lambda tx: notification_quotas.give_back(tx, *quota))
    return msg_id


def _record(tx: Tx, tenant_id: int, delivery: Delivery, msg_id: int | None) -> None:
    """Record that WeChat has accepted a message that must arrive, or go on to SMS if it has not."""
    notification_id, now = delivery.notification_id, clock.now()
    if msg_id is None:
        delivery_states.enqueue_sms(tx, tenant_id, notification_id, "now", now)
        return
    reports = msg_id != 0 and callback_settings.is_verified(tx, tenant_id)
    state = NotificationState.SENT if reports else NotificationState.ARRIVED
    delivery_states.change_state(tx, tenant_id, notification_id, OPEN_STATES, state)
    if msg_id:
        succeeded = receipts.link(tx, tenant_id, msg_id, notification_id, now)
        if succeeded is not None:
            delivery_states.apply_wechat_result(tx, tenant_id, notification_id, succeeded)
