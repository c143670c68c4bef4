"""The doctor's side of a queue: see it, call the next patient (叫号), call again, skip, finish, send for tests.

Each operation is one transaction under the lock of the schedule, so two devices never call two patients. A request
names the patient whom the page shows as current; where that is out of date nothing changes, and the response is the
queue as it is: a double click has the result of the first request.
"""

from collections.abc import Callable

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing import bookings
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.queues import announcements, line, queue_store
from chalicelib.booking.queues.models import CallNextRequest, CurrentPatientRequest, Queue, QueuedPatient, QueueQuery
from chalicelib.booking.queues.queue_store import QueueEntry, QueueState
from chalicelib.booking.reservations import notifications
from chalicelib.booking.schedules import slots
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller, Role
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.people import double_submission, formatting

Operation = Callable[[Tx, Caller, QueueEntry, list[QueueEntry]], None]


def get(caller: Caller, query: QueueQuery) -> Queue:
    """Return the queue of a schedule; doctors see their own schedules.

    Raises:
        ApiError: 404 if there is no such schedule, or it is another doctor's.
    """
    return mysql.run_autocommit(lambda tx: _load(tx, caller, query.schedule_id))


def call_next(caller: Caller, request: CallNextRequest) -> Queue:
    """Call the first one who waits; the current patient was seen. Does nothing if another one is current than is named.

    Raises:
        ApiError: 404 as `get`, 409 on another day and if the schedule is stopped.
    """
    mysql.run_transaction(lambda tx: _call_next(tx, caller, request))
    outbox.wake_worker()
    return get(caller, request)


def call_again(caller: Caller, request: CurrentPatientRequest) -> Queue:
    """Call the current patient once more. Raises as `call_next`, and 404 for a patient who is not in the queue."""
    return _operate(caller, request, [QueueState.CALLED], _call_again)


def skip(caller: Caller, request: CurrentPatientRequest) -> Queue:
    """Put the current patient, who has not come, behind the next three. Raises as `call_again`."""
    return _operate(caller, request, [QueueState.CALLED], _skip)


def finish(caller: Caller, request: CurrentPatientRequest) -> Queue:
    """End the visit of the current patient, or of one who was sent for tests. Raises as `call_again`."""
    return _operate(caller, request, [QueueState.CALLED, QueueState.AWAY], _finish)


def await_results(caller: Caller, request: CurrentPatientRequest) -> Queue:
    """Send the current patient for tests: with the results they check in again. Raises as `call_again`."""
    return _operate(caller, request, [QueueState.CALLED], _send_away)


def _operate(caller: Caller, request: CurrentPatientRequest, states: list[QueueState], operation: Operation) -> Queue:
    """Run an operation on a patient who is in one of these states; for others it does nothing."""

    def work(tx: Tx) -> None:
        _lock_open(tx, caller, request.schedule_id)
        entries = queue_store.list_entries(tx, caller.tenant_id, request.schedule_id)
        entry = next((one for one in entries if one.book_id == request.book_id), None)
        if entry is None:
            raise ApiError(errors.NOT_FOUND, "该患者不在此队列中，或已退号")
        if entry.state in states:
            operation(tx, caller, entry, _list_waiting(entries))

    mysql.run_transaction(work)
    outbox.wake_worker()
    return get(caller, request)


def _call_next(tx: Tx, caller: Caller, request: CallNextRequest) -> None:
    _lock_open(tx, caller, request.schedule_id)
    entries = queue_store.list_entries(tx, caller.tenant_id, request.schedule_id)
    current = next((one for one in entries if one.state == QueueState.CALLED), None)
    if (current.book_id if current else None) != request.current:
        return
    waiting = _list_waiting(entries)
    if current:
        _finish(tx, caller, current, waiting)
    while waiting:
        following = waiting.pop(0)
        booking = bookings.find_for_update(tx, caller.tenant_id, following.book_id)
        if booking and booking.status == BookingStatus.REGISTERED:  # not refunded since the queue was read
            _call(tx, caller, following)
            break
    announcements.announce(tx, caller.tenant_id, waiting)


def _call(tx: Tx, caller: Caller, entry: QueueEntry) -> None:
    calls = entry.calls + 1
    changes = {"state": QueueState.CALLED, "calls": calls, "called_at": clock.now(), "called_by": caller.user_id}
    queue_store.update(tx, caller.tenant_id, entry.book_id, **changes)
    details = {"call": str(calls)}
    notifications.enqueue(tx, caller.tenant_id, entry.user_id, entry.book_id, EventType.QUEUE_CALLED, details=details)


def _call_again(tx: Tx, caller: Caller, entry: QueueEntry, _: list[QueueEntry]) -> None:
    if entry.called_at and clock.now() - entry.called_at < double_submission.WINDOW:
        return
    _call(tx, caller, entry)


def _skip(tx: Tx, caller: Caller, entry: QueueEntry, waiting: list[QueueEntry]) -> None:
    index = line.find_index_of_skipped(waiting)
    place = queue_store.make_room(tx, caller.tenant_id, entry.schedule_id, waiting, index)
    queue_store.update(
        tx, caller.tenant_id, entry.book_id, state=QueueState.WAITING, place=place, skips=entry.skips + 1
    )


def _finish(tx: Tx, caller: Caller, entry: QueueEntry, _: list[QueueEntry]) -> None:
    queue_store.mark_seen(tx, caller.tenant_id, entry.book_id)
    queue_store.update(tx, caller.tenant_id, entry.book_id, state=QueueState.SEEN)


def _send_away(tx: Tx, caller: Caller, entry: QueueEntry, _: list[QueueEntry]) -> None:
    queue_store.mark_seen(tx, caller.tenant_id, entry.book_id)
    queue_store.update(tx, caller.tenant_id, entry.book_id, state=QueueState.AWAY)


def _lock_open(tx: Tx, caller: Caller, schedule_id: int) -> None:
    """Lock a queue until the commit.

    Raises:
        ApiError: 404 if there is no such schedule, or it is another doctor's; 409 if its queue cannot be operated.
    """
    schedule = queue_store.lock_schedule(tx, caller.tenant_id, schedule_id, _get_doctor_id(caller))
    if schedule is None:
        raise _build_not_found_error()
    if schedule.day != clock.today():
        raise ApiError(errors.CONFLICT, f"只能在就诊当天（{schedule.day}）叫号")
    if schedule.stopped_at:
        raise ApiError(errors.CONFLICT, "该排班已停诊")


def _get_doctor_id(caller: Caller) -> int | None:
    """Return the doctor whose schedules the caller may operate; None: of all doctors, and of general clinics."""
    return caller.user_id if caller.role == Role.DOCTOR else None


def _build_not_found_error() -> ApiError:
    return ApiError(errors.NOT_FOUND, "排班不存在，或不是您的排班")


def _list_waiting(entries: list[QueueEntry]) -> list[QueueEntry]:
    return [one for one in entries if one.state == QueueState.WAITING]


def _load(tx: Tx, caller: Caller, schedule_id: int) -> Queue:
    if not queue_store.is_visible(tx, caller.tenant_id, schedule_id, _get_doctor_id(caller)):
        raise _build_not_found_error()
    entries = queue_store.list_entries(tx, caller.tenant_id, schedule_id)
    shown = {state: [_build_patient(one) for one in entries if one.state == state] for state in QueueState}
    return Queue(
        schedule_id=str(schedule_id),
        current=next(iter(shown[QueueState.CALLED]), None),
        waiting=shown[QueueState.WAITING],
        away=shown[QueueState.AWAY],
        seen=len(shown[QueueState.SEEN]),
        expected=queue_store.count_expected(tx, caller.tenant_id, schedule_id),
    )


def _build_patient(entry: QueueEntry) -> QueuedPatient:
    birthday = entry.birthday.isoformat() if entry.birthday else ""
    return QueuedPatient(
        book_id=str(entry.book_id),
        serial_no=entry.serial_no,
        pati_id=str(entry.pati_id),
        pati_name=entry.name,
        pati_gender=entry.gender,
        pati_age=formatting.format_age(birthday, clock.today()),
        time=slots.format_time(entry.slot_time),
        checkin_time=clock.format_wire_time(entry.checked_in_at),
        returning=entry.is_returning,
        calls=entry.calls,
        skips=entry.skips,
    )
