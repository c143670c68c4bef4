"""Outbox job WECHAT_BOOKING of the external queue: report an event of a booking to its holder in WeChat."""

from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.billing import money
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.queues import announcements
from chalicelib.booking.reservations import booking_store, notifications
from chalicelib.booking.reservations.booking_store import BookingDetails
from chalicelib.booking.schedules import slots
from chalicelib.notifications.event_types import EventType
from chalicelib.wechat_account import template_messages
from chalicelib.wechat_account.account import PERSONAL_PATH

# The status that a booking has if the event is still current, and the event's name in the message.
CANCELLED_STATUS_AND_LABEL = (BookingStatus.CANCELLED, "预约取消")
STATUS_AND_LABEL = {
    EventType.BOOKING_MADE: (BookingStatus.BOOKED, "预约成功"),
    EventType.BOOKING_OFFERED: (BookingStatus.BOOKED, "候补成功，请尽快确认"),
    EventType.BOOKING_LAPSED: CANCELLED_STATUS_AND_LABEL,
    EventType.BOOKING_RESCHEDULED: (BookingStatus.BOOKED, "改期成功"),
    EventType.BOOKING_MOVED: (BookingStatus.BOOKED, "就诊时间调整"),
    EventType.BOOKING_CANCELLED: CANCELLED_STATUS_AND_LABEL,
    EventType.BOOKING_CANCELLED_BY_DESK: CANCELLED_STATUS_AND_LABEL,
    EventType.SCHEDULE_STOPPED: CANCELLED_STATUS_AND_LABEL,
    EventType.BOOKING_RELEASED: CANCELLED_STATUS_AND_LABEL,
    EventType.DOCTOR_SUBSTITUTED: (BookingStatus.BOOKED, "替诊"),
    EventType.ALTERNATIVE_HELD: (BookingStatus.BOOKED, "停诊改约，请确认"),
    EventType.ALTERNATIVE_LAPSED: CANCELLED_STATUS_AND_LABEL,
    EventType.BOOKING_REGISTERED: (BookingStatus.REGISTERED, "挂号成功"),
    EventType.BOOKING_REMINDER: (BookingStatus.BOOKED, "就诊提醒"),
    EventType.QUEUE_SOON: (BookingStatus.REGISTERED, "即将叫号"),
    EventType.QUEUE_CALLED: (BookingStatus.REGISTERED, "请就诊"),
}
CANCELLATION_REASONS = {
    EventType.BOOKING_CANCELLED: "患者取消",
    EventType.BOOKING_LAPSED: "候补逾期未确认",
    EventType.BOOKING_CANCELLED_BY_DESK: "医院前台取消",
    EventType.SCHEDULE_STOPPED: "停诊",
    EventType.BOOKING_RELEASED: "未按时支付",
    EventType.ALTERNATIVE_LAPSED: "停诊",
}
# Pointless once the slot has begun.
EVENTS_BEFORE_VISIT = (
    EventType.BOOKING_MADE,
    EventType.BOOKING_OFFERED,
    EventType.BOOKING_RESCHEDULED,
    EventType.BOOKING_MOVED,
    EventType.DOCTOR_SUBSTITUTED,
    EventType.ALTERNATIVE_HELD,
    EventType.BOOKING_REMINDER,
)


def send_booking_message(tenant_id: int, payload: dict[str, Any]) -> None:
    """Send a template message, unless the booking has changed since the event.

    Args:
        payload: book_id, user_id, type (an EventType), change.

    Raises:
        Exception: as template_messages.send; the job is then retried.
    """
    user_id, book_id, event_type = payload["user_id"], payload["book_id"], EventType(payload["type"])
    booking = booking_store.find_own(mysql.autocommit, tenant_id, user_id, book_id)
    if booking is None or not _is_current(booking, event_type) or notifications.is_outdated(payload, booking.changes):
        return
    if announcements.is_outdated(mysql.autocommit, tenant_id, book_id, event_type):
        return
    values = {
        **_build_values(booking),
        "what": STATUS_AND_LABEL[event_type][1],
        "reason": CANCELLATION_REASONS.get(event_type, ""),
    }
    key = notifications.build_key({**payload, "type": event_type})
    template_messages.send(tenant_id, user_id, notifications.WECHAT_TEMPLATES[event_type], values, PERSONAL_PATH, key)


def _is_current(booking: BookingDetails, event_type: EventType) -> bool:
    if booking.status != STATUS_AND_LABEL[event_type][0]:
        return False
    has_begun = clock.now() >= clock.to_instant(booking.day, booking.slot_time)
    return not (has_begun and event_type in EVENTS_BEFORE_VISIT)


def _build_values(booking: BookingDetails) -> dict[str, str]:
    """Return the values for the fields of a template, by the names that wechat_account knows."""
    return {
        "patient": booking.member_name,
        "doctor": booking.doctor_name or "普通门诊",
        "dept": booking.dept_name,
        "time": f"{clock.format_chinese_date(booking.day)} {slots.format_time(booking.slot_time)}",
        "code": booking.book_code,
        "serial": str(booking.serial_no),
        "area": booking.area,
        "fee": f"{money.to_yuan(booking.fee):.2f}",
    }
