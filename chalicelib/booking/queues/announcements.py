"""Whether what a notification says about a queue still holds: one that is late would mislead the patient."""

from chalicelib.adapters.mysql import Tx
from chalicelib.booking.queues import queue_store
from chalicelib.booking.queues.queue_store import QueueState
from chalicelib.notifications.event_types import EventType

_STATES = {EventType.QUEUE_SOON: QueueState.WAITING, EventType.QUEUE_CALLED: QueueState.CALLED}


def is_outdated(tx: Tx, tenant_id: int, book_id: int, event_type: EventType) -> bool:
    """Return whether an event of a queue is over; False for an event of another kind."""
    return event_type in _STATES and queue_store.find_state(tx, tenant_id, book_id) != _STATES[event_type]
