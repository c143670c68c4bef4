"""Substitute a doctor (替诊): another doctor sees the patients of a schedule, at the same times and for the same fee.

The schedule is stopped and one of the substitute replaces it. All bookings change over in that transaction, so nobody
else can book their slots in between, and the queue with them. Those that cannot, because the patient has another
booking with the substitute on that day, are handled as of a stopped schedule.
"""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.closures import substitution_store
from chalicelib.booking.closures.models import SubstituteRequest, SubstituteResult
from chalicelib.booking.queues import queue_store
from chalicelib.booking.reservations import notifications
from chalicelib.booking.schedules import schedule_store, slots
from chalicelib.booking.schedules.slots import Schedule, ScheduleTerms
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people import doctors


def substitute(caller: Caller, request: SubstituteRequest) -> SubstituteResult:
    """Let another doctor see the patients of a schedule, who are notified once. Repeating it has no effect.

    Raises:
        ApiError: 404 if the tenant has no such schedule or doctor; 409 if the schedule is over, stopped or that of a
            general clinic, or the substitute has a schedule at that time.
    """
    try:
        result = mysql.run_transaction(lambda tx: _substitute(tx, caller, request))
    except mysql.DuplicateKeyError as error:
        if error.key == "doctor_half_day":
            raise ApiError(errors.CONFLICT, "替诊医生该半天已有排班") from None
        raise ApiError(errors.UNAVAILABLE, retry_after=1) from None  # a patient was just booking the substitute
    outbox.wake_worker()
    return result


def _substitute(tx: Tx, caller: Caller, request: SubstituteRequest) -> SubstituteResult:
    tenant_id, schedule_id, doctor_id = caller.tenant_id, request.schedule_id, request.doctor_id
    doctor = doctors.find_for_update(tx, tenant_id, doctor_id)  # before the schedule, as when saving schedules
    schedule = schedule_store.find(tx, tenant_id, schedule_id, "FOR UPDATE")
    if schedule is None:
        raise ApiError(errors.NOT_FOUND, "排班不存在")
    earlier = substitution_store.find_substitute(tx, tenant_id, schedule_id)
    if earlier and earlier[1] == doctor_id:
        moved = substitution_store.count_moved(tx, tenant_id, schedule_id)
        return SubstituteResult(schedule_id=str(earlier[0]), moved=moved)
    if doctor is None:
        raise ApiError(errors.NOT_FOUND, "医生不存在")
    _require_substitutable(schedule, doctor_id)
    names = [name for name in ScheduleTerms.__dataclass_fields__ if name != "doctor_id"]
    terms = ScheduleTerms(**{name: getattr(schedule, name) for name in names}, doctor_id=doctor_id)
    if overlap := schedule_store.find_overlap(tx, tenant_id, schedule.day, terms, None):
        raise ApiError(errors.CONFLICT, f"替诊医生当天已有时间重叠的排班：{overlap}")
    substitute_id = schedule_store.insert(tx, tenant_id, schedule.day, terms, caller.user_id)
    replacing = schedule_store.find(tx, tenant_id, substitute_id)
    if replacing is None or not replacing.doctor_active:
        raise ApiError(errors.CONFLICT, "替诊医生已停用")
    schedule_store.stop(tx, tenant_id, schedule_id, caller.user_id, request.reason or "", substitute_id)
    queue_store.move_queue(tx, tenant_id, schedule_id, substitute_id)
    movable = substitution_store.lock_movable(tx, tenant_id, schedule_id, doctor_id)
    substitution_store.move_all(tx, tenant_id, movable, (schedule_id, substitute_id), doctor_id, caller.user_id)
    for one in movable:
        before, details = f"{one.day} {slots.format_time(one.slot_time)}", {"reason": request.reason or ""}
        event, change = EventType.DOCTOR_SUBSTITUTED, one.changes + 1
        notifications.enqueue(tx, tenant_id, one.user_id, one.book_id, event, change, before, details)
    outbox.enqueue(tx, tenant_id, Job.CANCEL_STOPPED_SCHEDULE, {"schedule_id": schedule_id, "by": caller.user_id})
    return SubstituteResult(schedule_id=str(substitute_id), moved=len(movable))


def _require_substitutable(schedule: Schedule, doctor_id: int) -> None:
    if schedule.stopped_at:
        raise ApiError(errors.CONFLICT, "该排班已停诊")
    if schedule.day < clock.today():
        raise ApiError(errors.CONFLICT, "该排班已结束")
    if schedule.doctor_id is None:
        raise ApiError(errors.CONFLICT, "普通门诊没有指定医生，无需替诊")
    if schedule.doctor_id == doctor_id:
        raise ApiError(errors.CONFLICT, "替诊医生与原医生相同")
