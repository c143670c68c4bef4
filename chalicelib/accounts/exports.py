"""Export an account's own data as a JSON file: a job writes it to S3, and the account gets a link to it for a day."""

import secrets
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from chalicelib import clock
from chalicelib.accounts import export_store
from chalicelib.accounts.export_models import AccountExport, RequestedExport
from chalicelib.accounts.export_store import Export
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.files import links
from chalicelib.identity.callers import Caller
from chalicelib.notifications import event_jobs, site_messages
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people import accounts

INTERVAL = clock.DAY  # an account gets one export in
RETENTION = clock.DAY  # of a written object
MAX_WAIT = 2 * clock.DAY  # for the job, after which an object that it may have left behind is deleted
MEMORY_BYTES = 1024 * 1024  # above this, an export is written to the disk until it is complete
READY_TEXT = "您申请的个人数据已导出，请在 24 小时内下载。"


def request(caller: Caller) -> RequestedExport:
    """Request an export. Within a day, the same one is returned."""
    export = mysql.run_transaction(lambda tx: _get_or_insert(tx, caller))
    outbox.wake_worker()
    return RequestedExport(export_id=str(export.export_id), requested_at=clock.format_wire_time(export.requested_at))


def get_latest(caller: Caller) -> AccountExport:
    """Return the state of the latest export, with a link if it is ready."""
    export = export_store.find_latest(mysql.autocommit, caller.tenant_id, caller.user_id)
    if export is None:
        return AccountExport(status="none", url="", expires_at="")
    if export.finished_at is None and export.delete_at is not None and clock.now() < export.delete_at:
        return AccountExport(status="pending", url="", expires_at="")
    if export.delete_at is None or clock.now() >= export.delete_at:
        return AccountExport(status="expired", url="", expires_at="")
    url = links.sign(export.object_key)
    return AccountExport(status="ready", url=url, expires_at=clock.format_wire_time(export.delete_at))


def write_export(tenant_id: int, payload: dict[str, Any]) -> None:
    """Outbox job EXPORT_ACCOUNT: write the object, then notify the account once. A repeated run overwrites the object.

    An export that has expired, as all do when the account is closed, is neither written nor kept.

    Args:
        payload: user_id, export_id.

    Raises:
        ApiError: S3, KMS or MySQL cannot be reached; the job is retried.
    """
    user_id, export_id = payload["user_id"], payload["export_id"]
    export = export_store.find_latest(mysql.autocommit, tenant_id, user_id)
    if export is None or export.export_id != export_id or export.finished_at:
        return
    if export.delete_at is None or export.delete_at <= clock.now():
        return
    _write_object(tenant_id, user_id, export.object_key)
    if mysql.run_transaction(lambda tx: _finish(tx, tenant_id, user_id, export)):
        outbox.wake_worker()
    elif export_store.is_deleted(mysql.autocommit, tenant_id, export_id):
        s3.delete([export.object_key])  # it was deleted while this run wrote it


def _get_or_insert(tx: Tx, caller: Caller) -> Export:
    tenant_id, user_id, now = caller.tenant_id, caller.user_id, clock.now()
    accounts.get(tx, tenant_id, user_id, for_update=True)  # a double click waits for the first request
    latest = export_store.find_latest(tx, tenant_id, user_id)
    if latest and latest.requested_at > now - INTERVAL:
        return latest
    object_key = f"{tenant_id}/exports/{secrets.token_urlsafe(24)}.json"
    export_id = export_store.insert(tx, tenant_id, user_id, object_key, now, now + MAX_WAIT)
    outbox.enqueue(tx, tenant_id, Job.EXPORT_ACCOUNT, {"user_id": user_id, "export_id": export_id})
    audit_log.insert_entry(
        *(tx, tenant_id, caller.principal, AuditAction.EXPORT_ACCOUNT, caller.principal),
        key_id=caller.key_id or None,
        export_id=export_id,
    )
    return Export(export_id, object_key, now, None, now + MAX_WAIT)


def _write_object(tenant_id: int, user_id: int, object_key: str) -> None:
    from io import TextIOWrapper  # these two are used by the job, not by requests

    from chalicelib.accounts import export_content, json_stream

    with SpooledTemporaryFile(MEMORY_BYTES) as spooled:
        file = cast(BinaryIO, spooled)
        text = TextIOWrapper(file, "utf-8", write_through=True)
        json_stream.write(text, export_content.build(tenant_id, user_id))
        text.write("\n")
        text.flush()
        s3.put(object_key, file, file.tell(), "application/json; charset=utf-8", "export.json")
        text.detach()


def _finish(tx: Tx, tenant_id: int, user_id: int, export: Export) -> bool:
    now, event = clock.now(), EventType.ACCOUNT_EXPORTED
    if not export_store.mark_finished(tx, tenant_id, export, now, now + RETENTION):
        return False
    key = f"export:{export.export_id}"
    site_messages.insert(tx, tenant_id, site_messages.SYSTEM_SENDER, key, READY_TEXT, [user_id], now)
    content = {"exportId": str(export.export_id)}
    event_jobs.enqueue_event(tx, tenant_id, [f"user:{user_id}"], event, content, now)
    return True
