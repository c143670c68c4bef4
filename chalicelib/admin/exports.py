"""Exports of lists for admins: a job writes a CSV file to S3, and the admin gets a link to it for a day."""

import json
import secrets
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.adapters.mysql import Tx
from chalicelib.admin import export_content, export_store
from chalicelib.admin.export_models import ExportListRequest, ListExport, ListName
from chalicelib.admin.export_store import StoredExport
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.files import links
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people import double_submission

RETENTION = clock.DAY  # of a written object
MAX_WAIT = 2 * clock.DAY  # for the job, after which an object that it may have left behind is deleted
LISTED = 20  # the newest exports of a person


def request(caller: Caller, body: ExportListRequest) -> ListExport:
    """Request an export. A double click, and an equal request while one is pending, get the same one.

    Raises:
        ApiError: 400 for filters that the list does not have.
    """
    filters = export_content.normalize_filters(body.list_name, body.filters)
    export = mysql.run_transaction(lambda tx: _get_or_insert(tx, caller, body.list_name, filters))
    outbox.wake_worker()
    return _build(export)


def list_own(caller: Caller) -> list[ListExport]:
    """Return the caller's newest exports, with links to those that are ready."""
    return [_build(one) for one in export_store.list_own(mysql.autocommit, caller.tenant_id, caller.user_id, LISTED)]


def write_export(tenant_id: int, payload: dict[str, Any]) -> None:
    """Outbox job EXPORT_LIST: write the object. A repeated run overwrites it.

    Args:
        payload: export_id.

    Raises:
        ApiError: S3, KMS or MySQL cannot be reached; the job is retried.
    """
    export = export_store.find(mysql.autocommit, tenant_id, payload["export_id"])
    if export is None or export.finished_at or export.delete_at is None or export.delete_at <= clock.now():
        return
    rows, truncated = export_content.write_object(
        tenant_id, ListName(export.list_name), json.loads(export.filters), export.object_key
    )
    now = clock.now()
    if not export_store.mark_finished(
        mysql.autocommit, tenant_id, export.export_id, now, now + RETENTION, rows, truncated
    ):
        current = export_store.find(mysql.autocommit, tenant_id, export.export_id)
        if current and current.finished_at is None:
            s3.delete([export.object_key])  # it has expired while this run wrote it


def _get_or_insert(tx: Tx, caller: Caller, list_name: ListName, filters: str) -> StoredExport:
    double_submission.lock_sender(tx, caller.tenant_id, caller.principal)  # a double click waits for the first request
    now = clock.now()
    for one in export_store.list_own(tx, caller.tenant_id, caller.user_id, LISTED):
        is_new = one.finished_at is None or one.requested_at > now - double_submission.WINDOW
        if (one.list_name, one.filters) == (list_name, filters) and is_new and (one.delete_at or 0) > now:
            return one
    object_key = f"{caller.tenant_id}/exports/{secrets.token_urlsafe(24)}.csv"
    export = StoredExport(0, list_name, filters, object_key, now, None, now + MAX_WAIT, 0, False)
    export_id = export_store.insert(tx, caller.tenant_id, caller.user_id, export)
    outbox.enqueue(tx, caller.tenant_id, Job.EXPORT_LIST, {"export_id": export_id})
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, AuditAction.EXPORT_LIST, f"list:{list_name}"),
        export_id=export_id,
        filters=json.loads(filters),
    )
    return StoredExport(export_id, list_name, filters, object_key, now, None, now + MAX_WAIT, 0, False)


def _build(export: StoredExport) -> ListExport:
    is_live = export.delete_at is not None and export.delete_at > clock.now()
    is_ready = is_live and export.finished_at is not None
    return ListExport(
        export_id=str(export.export_id),
        list_name=ListName(export.list_name),
        request_time=clock.format_wire_time(export.requested_at),
        status="ready" if is_ready else "pending" if is_live else "expired",
        rows=export.row_count,
        truncated=export.truncated,
        url=links.sign(export.object_key) if is_ready else "",
        expire_time=clock.format_wire_time(export.delete_at or 0) if is_ready else "",
    )
