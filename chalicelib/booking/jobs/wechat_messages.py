"""A job of the outbox's outside lane: what became of a booking, at its holder's WeChat."""

from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.billing import money
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.reservations import booking_store, notifications
from chalicelib.booking.schedules import slots
from chalicelib.notifications.event_types import EventType
from chalicelib.wechat_account import template_messages
from chalicelib.wechat_account.account import PERSONAL_PATH

# Which state of the booking is told, and what it is called.
CANCELLED_STATUS_AND_LABEL = (BookingStatus.CANCELLED, "预约取消")
STATUS_AND_LABEL: dict[int, tuple[BookingStatus, str]] = {
    EventType.BOOKING_MADE: (BookingStatus.BOOKED, "预约成功"),
    EventType.BOOKING_CANCELLED: CANCELLED_STATUS_AND_LABEL,
    EventType.SCHEDULE_STOPPED: CANCELLED_STATUS_AND_LABEL,
    EventType.BOOKING_RELEASED: CANCELLED_STATUS_AND_LABEL,
    EventType.BOOKING_REGISTERED: (BookingStatus.REGISTERED, "挂号成功"),
    EventType.BOOKING_REMINDER: (BookingStatus.BOOKED, "就诊提醒"),
}
CANCELLATION_REASONS: dict[int, str] = {
    EventType.BOOKING_CANCELLED: "患者取消",
    EventType.SCHEDULE_STOPPED: "停诊",
    EventType.BOOKING_RELEASED: "未按时支付",
}


def send_booking_message(tenant_id: int, payload: dict[str, Any]) -> None:
    """payload: book_id, user_id, type. What is true no more is not told. Raises what messages.send does: then again."""
    user_id, book_id, told = (payload[name] for name in ("user_id", "book_id", "type"))
    booking = booking_store.find_own(mysql.autocommit, tenant_id, user_id, book_id)
    if booking is None or not _is_current(booking, told):
        return
    values = {**_build_values(booking), "what": STATUS_AND_LABEL[told][1], "reason": CANCELLATION_REASONS.get(told, "")}
    template_messages.send(
        tenant_id, user_id, notifications.WECHAT_TEMPLATES[told], values, PERSONAL_PATH, f"booking:{book_id}:{told}"
    )


def _is_current(booking: Row, told: int) -> bool:
    """Whether it still is: a visit whose hour has come is neither announced nor called to mind."""
    over = clock.now() >= clock.to_instant(booking["day"], booking["slot_time"])
    return bool(booking["status"] == STATUS_AND_LABEL[told][0]) and not (
        told in (EventType.BOOKING_MADE, EventType.BOOKING_REMINDER) and over
    )


def _build_values(booking: Row) -> dict[str, str]:
    return {
        "patient": booking["member_name"],
        "doctor": booking["doctor_name"] or "普通门诊",
        "dept": booking["dept_name"],
        "time": f"{clock.format_chinese_date(booking['day'])} {slots.format_time(booking['slot_time'])}",
        "code": booking["book_code"],
        "serial": str(booking["serial_no"]),
        "area": booking["area"],
        "fee": f"{money.to_yuan(booking['fee']):.2f}",
    }
