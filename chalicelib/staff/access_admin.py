"""What administrators see and decide about access: internal keys and the audit log."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction, AuditEntry
from chalicelib.identity import internal_keys, tokens
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.people import tenants
from chalicelib.staff.access_models import (
    AuditLogEntry,
    AuditLogPage,
    AuditLogQuery,
    InternalKey,
    InternalKeyReference,
    InternalKeys,
    InternalKeySettings,
)


def list_keys(caller: Caller) -> InternalKeys:
    """Return the tenant's internal keys, the newest first."""
    return InternalKeys(
        act_for_staff=tenants.do_keys_act_for_staff(mysql.autocommit, caller.tenant_id),
        list=[
            InternalKey(
                key_id=str(key.key_id),
                create_time=clock.format_wire_time(key.created_at),
                revoke_time=clock.format_wire_time(key.revoked_at) if key.revoked_at else "",
            )
            for key in internal_keys.list_all(mysql.autocommit, caller.tenant_id)
        ],
    )


def save_key_settings(caller: Caller, request: InternalKeySettings) -> None:
    """Allow or forbid that internal keys act for doctors and service staff. Forbidding ends such sessions at once."""

    def save(tx: Tx) -> None:
        if tenants.set_keys_act_for_staff(tx, caller.tenant_id, request.act_for_staff):
            audit_log.insert_entry(
                *(tx, caller.tenant_id, caller.principal, AuditAction.CHANGE_KEY_SETTINGS),
                f"tenant:{caller.tenant_id}",
                act_for_staff=request.act_for_staff,
            )

    mysql.run_transaction(save)
    for key in internal_keys.list_all(mysql.autocommit, caller.tenant_id):
        tokens.invalidate_cached_sessions_of_key(caller.tenant_id, key.key_id)
    outbox.wake_worker()


def revoke_key(caller: Caller, request: InternalKeyReference) -> None:
    """Revoke an internal key, and with it all tokens that it has issued. See `internal_keys.revoke`."""
    internal_keys.revoke(caller.tenant_id, request.key_id, caller.principal)
    outbox.wake_worker()


def list_audit_log(caller: Caller, query: AuditLogQuery) -> AuditLogPage:
    """Return a page of the tenant's audit log."""
    found = audit_log.list_entries(
        mysql.autocommit,
        caller.tenant_id,
        before=query.before,
        limit=query.page_size + 1,
        actor=f"user:{query.user_id}" if query.user_id else "",
        key_id=query.key_id,
        action=query.action or "",
        subject=query.subject,
        since=clock.to_instant(query.from_date) if query.from_date else None,
        until=clock.to_instant(query.to_date) + clock.DAY if query.to_date else None,
    )
    listed = [_describe_entry(entry) for entry in found[: query.page_size]]
    return AuditLogPage(list=listed, has_more=len(found) > query.page_size)


def _describe_entry(entry: AuditEntry) -> AuditLogEntry:
    return AuditLogEntry(
        entry_id=str(entry.entry_id),
        time=clock.format_wire_time(entry.at),
        actor=entry.actor,
        actor_name=entry.actor_name,
        key_id=str(entry.key_id or ""),
        action=entry.action,
        subject=entry.subject,
        reason=entry.reason,
        address=entry.address,
        detail=entry.detail,
    )
