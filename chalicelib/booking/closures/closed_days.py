"""Closures: a doctor's leave, or days on which the whole hospital is closed.

Saving one stops the schedules of these days, each as stop_schedule does, and patterns create none there. The hospital's
row is locked meanwhile, so that no pattern creates a schedule that the closure misses. Schedules that staff save for
such a day afterwards are allowed: a clinic on a holiday.
"""

from datetime import date

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.money import to_yuan
from chalicelib.booking.closures import affected_store
from chalicelib.booking.closures.models import (
    ClosureDays,
    ClosureId,
    ClosurePreview,
    ListedClosure,
    SaveClosureRequest,
    SaveClosureResult,
)
from chalicelib.booking.schedules import closure_store, schedule_store
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller, Role
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people import doctors

MAX_DAYS_AHEAD = 366
MAX_DAYS = 184


def preview(caller: Caller, query: ClosureDays) -> ClosurePreview:
    """Return what a closure would stop. Nothing is changed.

    Raises:
        ApiError: 400 for days out of range.
    """
    counts = affected_store.count(mysql.autocommit, caller.tenant_id, query.doctor_id, _require_days(query))
    return ClosurePreview(
        schedules=counts.schedules,
        bookings=counts.bookings,
        paid=counts.paid,
        paid_fee=to_yuan(counts.paid_fee),
        no_account=counts.no_account,
    )


def save(caller: Caller, request: SaveClosureRequest) -> SaveClosureResult:
    """Close days and stop their schedules. Saving the same days again stops what was added meanwhile.

    Raises:
        ApiError: 400 for days out of range, 403 unless an admin closes the whole hospital, 404 if the tenant has no
            such doctor.
    """
    days = _require_days(request)
    _require_allowed(caller, request.doctor_id)
    result = mysql.run_transaction(lambda tx: close(tx, caller, request.doctor_id, days, request.reason))
    outbox.wake_worker()
    return result


def list_coming(caller: Caller) -> list[ListedClosure]:
    """Return the closures that are not over."""
    return [
        ListedClosure(
            closure_id=str(one.closure_id),
            doctor_id=str(one.doctor_id or ""),
            doctor_name=one.doctor_name,
            from_date=one.from_day.isoformat(),
            to_date=one.to_day.isoformat(),
            reason=one.reason,
        )
        for one in closure_store.list_coming(mysql.autocommit, caller.tenant_id)
    ]


def end(caller: Caller, request: ClosureId) -> None:
    """Withdraw a closure. What it has stopped stays stopped; ending it again has no effect.

    Raises:
        ApiError: 404 if the tenant has no such closure, 403 unless an admin ends one of the whole hospital.
    """
    found = closure_store.find_doctor(mysql.autocommit, caller.tenant_id, request.closure_id)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "停诊安排不存在")
    _require_allowed(caller, found[0])
    closure_store.end(mysql.autocommit, caller.tenant_id, request.closure_id)


def _require_allowed(caller: Caller, doctor_id: int | None) -> None:
    if doctor_id is None and caller.role != Role.ADMIN:
        raise ApiError(errors.NOT_ALLOWED, "全院停诊须由管理员确认")


def _require_days(request: ClosureDays) -> tuple[date, date]:
    if not 0 <= (request.from_date - clock.today()).days <= MAX_DAYS_AHEAD:
        raise ApiError(errors.BAD_PARAMETER, "from_date：必须在今天起一年之内")
    if not 0 <= (request.to_date - request.from_date).days < MAX_DAYS:
        raise ApiError(errors.BAD_PARAMETER, f"to_date：不能早于 from_date，最多 {MAX_DAYS} 天")
    return request.from_date, request.to_date


def close(tx: Tx, caller: Caller, doctor_id: int | None, days: tuple[date, date], reason: str) -> SaveClosureResult:
    """Insert a closure unless there is an equal one, and stop the schedules of its days from today on.

    Call outbox.wake_worker() after the commit.

    Args:
        doctor_id: None for the whole hospital.
    """
    tenant_id = caller.tenant_id
    closure_store.lock_tenant(tx, tenant_id, is_shared=False)
    if doctor_id and not doctors.find_for_update(tx, tenant_id, doctor_id):
        raise ApiError(errors.NOT_FOUND, "医生不存在")
    closure_id = closure_store.find_equal(tx, tenant_id, doctor_id, days) or closure_store.insert(
        tx, tenant_id, doctor_id, days, reason, caller.user_id
    )
    schedule_ids = affected_store.lock_schedules(tx, tenant_id, doctor_id, (max(days[0], clock.today()), days[1]))
    for schedule_id in schedule_ids:
        schedule_store.stop(tx, tenant_id, schedule_id, caller.user_id, reason)
        payload = {"schedule_id": schedule_id, "by": caller.user_id}
        outbox.enqueue(tx, tenant_id, Job.CANCEL_STOPPED_SCHEDULE, payload)
    return SaveClosureResult(closure_id=str(closure_id), stopped=len(schedule_ids))
