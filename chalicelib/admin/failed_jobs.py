"""Jobs of the hospital that were dead-lettered: an admin runs them again, once the cause is gone, or drops them."""

from collections.abc import Callable

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.admin.job_models import DropJobRequest, FailedJob, FailedJobListQuery, RetryJobRequest
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.errors import ApiError
from chalicelib.http import pagination
from chalicelib.http.pagination import ListPage, Position
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.outbox import store as outbox_store
from chalicelib.outbox.jobs import Queue
from chalicelib.outbox.store import DeadJob


def list_failed(tenant_id: int, query: FailedJobListQuery) -> ListPage[FailedJob]:
    """Return a page of the hospital's dead-lettered jobs, the last failed first. Payloads are not shown."""
    bounds = query.bounds
    rows = outbox_store.list_dead_lettered(
        mysql.autocommit,
        tenant_id,
        job=query.job,
        since=query.since,
        until=query.until,
        condition=pagination.build_condition("dead_lettered_at", "outbox_id", bounds),
        **pagination.build_params(bounds),
    )
    return pagination.build_page(
        rows,
        bounds,
        lambda row: Position(row["dead_lettered_at"], row["outbox_id"]),
        lambda row: FailedJob(
            outbox_id=str(row["outbox_id"]),
            job=row["job"],
            attempts=row["attempts"],
            error=row["error"],
            create_time=clock.format_wire_time(row["created_at"]),
            fail_time=clock.format_wire_time(row["dead_lettered_at"]),
        ),
    )


def retry(caller: Caller, request: RetryJobRequest) -> None:
    """Let a dead-lettered job run again. A job that was retried or dropped before is left as it is.

    Raises:
        ApiError: 404 if the tenant never had such a job, or it is long finished.
    """
    action = AuditAction.RETRY_JOB
    mysql.run_transaction(lambda tx: _decide(tx, caller, request.outbox_id, action, "", outbox_store.revive))
    for queue in Queue:
        outbox.wake_worker(queue)


def drop(caller: Caller, request: DropJobRequest) -> None:
    """Give up a dead-lettered job. A job that was retried or dropped before is left as it is.

    Raises:
        ApiError: 404 if the tenant never had such a job, or it is long finished.
    """
    action, reason = AuditAction.DROP_JOB, request.reason
    mysql.run_transaction(lambda tx: _decide(tx, caller, request.outbox_id, action, reason, outbox_store.drop))


def _decide(
    tx: Tx,
    caller: Caller,
    outbox_id: int,
    action: AuditAction,
    reason: str,
    change: Callable[[Tx, DeadJob, int], None],
) -> None:
    tenant_id, subject = caller.tenant_id, f"job:{outbox_id}"
    job = outbox_store.lock_dead_lettered(tx, tenant_id, outbox_id)
    if job is None:
        if audit_log.list_entries(tx, tenant_id, before=None, limit=1, action=action, subject=subject):
            return  # a double click: the job may have run, and be deleted, since
        raise ApiError(errors.NOT_FOUND, "没有这个失败的任务")
    change(tx, job, clock.now())
    audit_log.insert_entry(
        tx, tenant_id, caller.principal, action, subject, reason=reason, job=job.job, attempts=job.attempts
    )
