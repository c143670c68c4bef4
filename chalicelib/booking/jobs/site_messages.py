"""Outbox job NOTIFY_BOOKING: report an event of a booking to its holder by site message and at /notify.

The job also enqueues WECHAT_BOOKING, if the hospital has a template for the event or the patient must know of it; then
SMS_BOOKING as well, which sends an SMS if WeChat has not reached the patient in a few minutes.
"""

from contextlib import suppress
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.jobs import notified_bookings
from chalicelib.booking.jobs.notified_bookings import NotifiedBooking
from chalicelib.booking.queues import announcements
from chalicelib.booking.reservations import notifications
from chalicelib.booking.schedules import slots
from chalicelib.notifications import delivery_states, event_push, site_messages
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from chalicelib.wechat_account import templates
from chalicelib.wechat_account.templates import TemplateTable

MESSAGE_TEXTS = {
    EventType.BOOKING_MADE: "预约成功：{what}。{where}请按时就诊。",
    EventType.BOOKING_OFFERED: "候补成功：{what}。请在 {until} 前确认，逾期将让给下一位候补患者。",
    EventType.BOOKING_LAPSED: "您未按时确认候补到的号，已让给下一位候补患者：{what}。不计为失约。",
    EventType.BOOKING_RESCHEDULED: "改期成功：{what}（原 {before}）。{where}请按时就诊。",
    EventType.BOOKING_MOVED: "医院为您调整了就诊时间：{what}（原 {before}）。{where}请按时就诊。",
    EventType.BOOKING_CANCELLED: "您已取消预约：{what}。",
    EventType.BOOKING_CANCELLED_BY_DESK: "医院前台为您取消了预约：{what}。",
    EventType.SCHEDULE_STOPPED: "因停诊，您的预约已取消：{what}。{reason}给您带来不便，敬请谅解。",
    EventType.DOCTOR_SUBSTITUTED: "原医生停诊，由替诊医生接诊：{what}。{reason}{where}"
    "如不接受，可在就诊前退号，费用全额退回。",
    EventType.ALTERNATIVE_HELD: "因停诊，您 {before} 的预约改为：{what}。{reason}{where}"
    "请在 {until} 前确认，也可另选时间或退号；逾期未确认将自动退号，已付费用原路退回。",
    EventType.ALTERNATIVE_LAPSED: "您未确认停诊后保留的号源，预约已取消：{what}。已付费用将原路退回。",
    EventType.BOOKING_RELEASED: "未按时支付，您的预约已取消：{what}。",
    EventType.BOOKING_REGISTERED: "挂号成功：{what}，{serial_no}号。{where}",
    EventType.BOOKING_MISSED: "您未按时就诊，已记为失约：{what}。",
    EventType.BOOKING_REMINDER: "就诊提醒：{what}。{where}请按时就诊。",
    EventType.QUEUE_SOON: "即将叫号：{what}，{serial_no}号。前面等候 {waiting} 人，请在候诊区等候。{where}",
    EventType.QUEUE_CALLED: "请就诊：{what}，{serial_no}号。{where}",
}


def notify_holder(tenant_id: int, payload: dict[str, Any]) -> None:
    """Insert the site message, once, and publish the event. A patient without an account gets on the call list.

    Args:
        payload: book_id, user_id (None without an account), type (an EventType), at; change, before and details, as
            notifications.enqueue has them.

    Raises:
        redis.RedisUnavailableError: the event was not published, and the job is to be retried.
    """
    user_id, book_id, at = payload["user_id"], payload["book_id"], payload["at"]
    event_type = EventType(payload["type"])
    if announcements.is_outdated(mysql.autocommit, tenant_id, book_id, event_type):
        return
    booking = notified_bookings.find_of_account(mysql.autocommit, tenant_id, user_id, book_id)
    if booking and not notifications.is_outdated(payload, booking.changes):
        _insert_message(tenant_id, payload, event_type, _format_text(booking, event_type, payload))
    if user_id is None:
        return
    event = {"type": event_type, "content": {"bookId": str(book_id)}, "at": at}
    event_push.publish_event(tenant_id, {"principals": [f"user:{user_id}"], **event})


def _insert_message(tenant_id: int, payload: dict[str, Any], event_type: EventType, text: str) -> None:
    """Insert the site message, and enqueue the messages on other channels."""
    key, user_id = notifications.build_key(payload), payload["user_id"]

    def insert(tx: Tx) -> bool:
        if user_id is not None:
            site_messages.insert(tx, tenant_id, site_messages.SYSTEM_SENDER, key, text, [user_id], payload["at"])
        if event_type in notifications.MUST_ARRIVE:
            _insert_delivery(tx, tenant_id, payload, event_type, text)
        kind = notifications.WECHAT_TEMPLATES.get(event_type)
        has_template = kind is not None and any(
            templates.find_id(tx, table, tenant_id, kind) for table in TemplateTable
        )
        if user_id is None or not (has_template or event_type in notifications.MUST_ARRIVE):
            return False
        outbox.enqueue(tx, tenant_id, Job.WECHAT_BOOKING, payload, dedup_key=key)
        return True

    with suppress(mysql.DuplicateKeyError):  # an earlier run of the job has inserted it
        if mysql.run_transaction(insert):
            outbox.wake_worker(Queue.EXTERNAL)


def _insert_delivery(tx: Tx, tenant_id: int, payload: dict[str, Any], event_type: EventType, text: str) -> None:
    """Record a notification that must arrive, and enqueue the SMS in case WeChat does not reach the patient."""
    notification_id = delivery_states.insert(
        tx,
        tenant_id,
        name=notifications.build_key(payload),
        book_id=payload["book_id"],
        user_id=payload["user_id"],
        event_type=event_type,
        change_number=payload.get("change", 0),
        details={name: payload[name] for name in ("before", "until", "reason") if payload.get(name)},
        text=text,
    )
    if payload["user_id"] is not None:
        due_at = clock.now() + delivery_states.CONFIRMATION_WAIT
        delivery_states.enqueue_sms(tx, tenant_id, notification_id, "unconfirmed", due_at)


def _format_text(booking: NotifiedBooking, event_type: EventType, payload: dict[str, Any]) -> str:
    when = f"{booking.day} {slots.format_time(booking.slot_time)}"
    doctor = f"{booking.dept_name} {booking.doctor_name}".strip()
    where = f"候诊地点：{booking.area}。" if booking.area else ""
    what = f"{booking.patient_name}，{when}，{doctor}"
    values = {name: payload.get(name, "") for name in ("before", "until", "waiting")}
    values["reason"] = f"原因：{payload['reason']}。" if payload.get("reason") else ""
    return MESSAGE_TEXTS[event_type].format(what=what, where=where, serial_no=booking.serial_no, **values)
