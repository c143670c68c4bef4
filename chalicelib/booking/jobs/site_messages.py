"""A job of the outbox: what became of a booking, as a site message and at /notify; at WeChat, another job's to send."""

from contextlib import suppress
from typing import Any

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.reservations import booking_store, notifications
from chalicelib.booking.schedules import slots
from chalicelib.notifications import event_push, site_messages
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from chalicelib.wechat_account import templates

MESSAGE_TEXTS: dict[int, str] = {
    EventType.BOOKING_MADE: "预约成功：{what}。{where}请按时就诊。",
    EventType.BOOKING_CANCELLED: "您已取消预约：{what}。",
    EventType.SCHEDULE_STOPPED: "因停诊，您的预约已取消：{what}。给您带来不便，敬请谅解。",
    EventType.BOOKING_RELEASED: "未按时支付，您的预约已取消：{what}。",
    EventType.BOOKING_REGISTERED: "挂号成功：{what}，{serial_no}号。{where}",
    EventType.BOOKING_MISSED: "您未按时就诊，已记为失约：{what}。",
    EventType.BOOKING_REMINDER: "就诊提醒：{what}。{where}请按时就诊。",
}


def notify_holder(tenant_id: int, payload: dict[str, Any]) -> None:
    """payload: book_id, user_id, type, at. Run again, it is one site message. Raises redis.RedisUnavailableError:
    then again."""
    user_id, book_id, kind, at = (payload[name] for name in ("user_id", "book_id", "type", "at"))
    booking = booking_store.find_own(mysql.autocommit, tenant_id, user_id, book_id)
    if booking:
        _insert_message(tenant_id, payload, _format_text(booking, kind))
    told = {"type": kind, "content": {"bookId": str(book_id)}, "at": at}
    event_push.publish_event(tenant_id, {"principals": [f"user:{user_id}"], **told})


def _insert_message(tenant_id: int, payload: dict[str, Any], text: str) -> None:
    """Write the site message, and promise the one to WeChat where the hospital sends that kind."""
    user_id, kind = payload["user_id"], payload["type"]
    key = f"booking:{payload['book_id']}:{kind}"

    def insert(tx: Tx) -> bool:
        site_messages.insert(tx, tenant_id, site_messages.SYSTEM_SENDER, key, text, [user_id], payload["at"])
        if kind not in notifications.WECHAT_TEMPLATES or not templates.find_id(
            tx, tenant_id, notifications.WECHAT_TEMPLATES[kind]
        ):
            return False
        outbox.enqueue(tx, tenant_id, Job.WECHAT_BOOKING, payload, dedup_key=key)
        return True

    with suppress(mysql.DuplicateKeyError):  # it is there already
        if mysql.run_transaction(insert):
            outbox.wake_worker(Queue.EXTERNAL)


def _format_text(booking: Row, kind: int) -> str:
    when = f"{booking['day']} {slots.format_time(booking['slot_time'])}"
    doctor = f"{booking['dept_name']} {booking['doctor_name']}".strip()
    where = f"候诊地点：{booking['area']}。" if booking["area"] else ""
    what = f"{booking['member_name']}，{when}，{doctor}"
    return MESSAGE_TEXTS[kind].format(what=what, where=where, serial_no=booking["serial_no"])
