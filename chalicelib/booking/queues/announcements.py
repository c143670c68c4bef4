"""Notify patients when few are before them, by a call or because a patient before them has left the queue.

A notification that is late, and does not hold any more, would mislead the patient: it is dropped.
"""

from collections.abc import Sequence
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.queues import queue_store
from chalicelib.booking.queues.queue_store import QueueEntry, QueueState
from chalicelib.booking.reservations import notifications
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox

ANNOUNCED_BEFORE = 2  # a patient is notified when so many are before them
_STATES = {EventType.QUEUE_SOON: QueueState.WAITING, EventType.QUEUE_CALLED: QueueState.CALLED}


def announce(tx: Tx, tenant_id: int, waiting: Sequence[QueueEntry]) -> None:
    """Notify those who are among the next ones, once, that few are before them. The schedule must be locked.

    Args:
        waiting: all who wait, in their order.
    """
    for before, entry in enumerate(waiting[: ANNOUNCED_BEFORE + 1]):
        if entry.announced_at is None:
            queue_store.update(tx, tenant_id, entry.book_id, announced_at=clock.now())
            details = {"waiting": str(before), "call": str(entry.calls)}
            notifications.enqueue(tx, tenant_id, entry.user_id, entry.book_id, EventType.QUEUE_SOON, details=details)


def announce_moved_up(tenant_id: int, payload: dict[str, Any]) -> None:
    """Announce those who have moved up because a registered visit was cancelled. Handler of ANNOUNCE_QUEUE.

    Before the first call of the day no patient is notified.

    Args:
        payload: book_id of the cancelled visit.
    """
    schedule_id = queue_store.find_schedule_id(mysql.autocommit, tenant_id, payload["book_id"])
    if schedule_id is None:
        return
    mysql.run_transaction(lambda tx: _announce_moved_up(tx, tenant_id, schedule_id))
    outbox.wake_worker()


def is_outdated(tx: Tx, tenant_id: int, book_id: int, event_type: EventType) -> bool:
    """Return whether an event of a queue is over; False for an event of another kind."""
    return event_type in _STATES and queue_store.find_state(tx, tenant_id, book_id) != _STATES[event_type]


def _announce_moved_up(tx: Tx, tenant_id: int, schedule_id: int) -> None:
    schedule = queue_store.lock_schedule(tx, tenant_id, schedule_id, None)
    if schedule is None or schedule.stopped_at or schedule.day != clock.today():
        return
    entries = queue_store.list_entries(tx, tenant_id, schedule_id)
    if any(one.calls or one.announced_at for one in entries):
        announce(tx, tenant_id, [one for one in entries if one.state == QueueState.WAITING])
