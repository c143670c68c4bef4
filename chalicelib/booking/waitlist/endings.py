"""End entries of the waitlist that can lead to no booking any more, and notify those whose whole request has ended."""

from collections.abc import Collection

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.reservations import waitlist_store
from chalicelib.booking.reservations.waitlist_store import WaitingEntry
from chalicelib.booking.waitlist import ending_store
from chalicelib.booking.waitlist.ending_store import EndedRequest
from chalicelib.notifications import event_jobs, site_messages
from chalicelib.notifications.event_types import EventType


def end_entry(tx: Tx, tenant_id: int, entry: WaitingEntry) -> None:
    """End an entry whose person cannot take a slot. Call outbox.wake_worker() after the commit.

    No effect if the person has left the line, or another process was faster.
    """
    if waitlist_store.end(tx, tenant_id, entry.entry_id):
        _notify_ended(tx, tenant_id, [entry.group_id])


def end_schedule(tx: Tx, tenant_id: int, schedule_id: int) -> int:
    """End the entries of a schedule that is over or stopped; return how many. Wake the worker as above."""
    group_ids = ending_store.lock_groups_of_schedule(tx, tenant_id, schedule_id)
    ended = waitlist_store.end_all(tx, tenant_id, schedule_id)
    _notify_ended(tx, tenant_id, group_ids)
    return ended


def _notify_ended(tx: Tx, tenant_id: int, group_ids: Collection[int]) -> None:
    for request in ending_store.list_ended(tx, tenant_id, group_ids):
        key, now = f"waitlist:{request.group_id}", clock.now()
        text, recipients = _format_text(request), [request.user_id]
        site_messages.insert(tx, tenant_id, site_messages.SYSTEM_SENDER, key, text, recipients, now)
        principals, content = [f"user:{request.user_id}"], {"entryId": str(request.group_id)}
        event_jobs.enqueue_event(tx, tenant_id, principals, EventType.WAITLIST_ENDED, content, now, key)


def _format_text(request: EndedRequest) -> str:
    days = f"{request.first_day}"
    if request.last_day != request.first_day:
        days += f" 至 {request.last_day}"
    doctor = f"{request.dept_name} {request.doctor_name}".strip()
    return f"您的候补已结束，未候补到号：{request.member_name}，{days}，{doctor}。可选择其他时间预约。"
