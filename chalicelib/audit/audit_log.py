"""The audit log: what staff, owners of files and a hospital's own systems did. Rows are only added.

Reading and changing a patient file is in patient_access instead (staff/store.py). Entries contain ids, and no names,
phones or document numbers.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.audit import origin


class AuditAction(StrEnum):
    """audit_log.action."""

    VERIFY_PATIENT = "verify_patient"
    RELEASE_IDENTITIES = "release_identities"
    DOCUMENT_CONFLICT = "document_conflict"
    CREATE_TEMPORARY_PATIENT = "create_temporary_patient"
    MERGE_PATIENTS = "merge_patients"
    SPLIT_PATIENTS = "split_patients"
    UNBIND_MEMBER = "unbind_member"
    REPLACE_CARD = "replace_card"
    CLEAR_MISSED = "clear_missed"
    CANCEL_BOOKING = "cancel_booking"
    REGISTER_UNVERIFIED = "register_unverified"
    RECORD_RECEIPT = "record_receipt"
    REFUND_VISIT = "refund_visit"
    CHANGE_FILE_PHONE = "change_file_phone"
    SAVE_PATIENT = "save_patient"
    CHANGE_PHONE = "change_phone"
    CREATE_SCREEN = "create_screen"
    REVOKE_SCREEN = "revoke_screen"
    CHANGE_ACCOUNT_PHONE = "change_account_phone"
    LIMIT_ACCOUNT = "limit_account"
    CONFIRM_ACCOUNT = "confirm_account"
    CLOSE_ACCOUNT = "close_account"
    START_OVER = "start_over"
    EXPORT_ACCOUNT = "export_account"
    CHANGE_STAFF = "change_staff"
    RESET_STAFF_PASSWORD = "reset_staff_password"
    RESET_SECOND_FACTOR = "reset_second_factor"
    ISSUE_TOKEN = "issue_token"
    CALL_WITH_KEY = "call_with_key"
    REVOKE_KEY = "revoke_key"
    CHANGE_KEY_SETTINGS = "change_key_settings"
    READ_WITHDRAWN_MESSAGE = "read_withdrawn_message"
    READ_STORED_MESSAGES = "read_stored_messages"
    RETRY_JOB = "retry_job"
    DROP_JOB = "drop_job"
    REQUEST_REFUND = "request_refund"
    APPROVE_REFUND = "approve_refund"
    REJECT_REFUND = "reject_refund"
    SETTLE_REFUND = "settle_refund"
    CHANGE_REFUND_RULES = "change_refund_rules"
    EXPORT_LIST = "export_list"
    UNLOCK_SIGN_IN = "unlock_sign_in"
    PUBLISH_PRIVACY_NOTICE = "publish_privacy_notice"
    RESOLVE_DIFFERENCE = "resolve_difference"
    FETCH_BILL = "fetch_bill"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry of the audit log."""

    entry_id: int
    at: int
    actor: str  # principal, "" for a job, an operator and a hospital's own system
    actor_name: str  # of a member of staff, else ""
    key_id: int | None
    action: str
    subject: str
    reason: str
    detail: dict[str, Any]
    address: str  # of the request, "" for a job


def insert_entry(
    tx: Tx,
    tenant_id: int,
    actor: str,
    action: AuditAction,
    subject: str,
    *,
    reason: str = "",
    key_id: int | None = None,
    **detail: Any,
) -> None:
    """Add an entry, in the transaction of what it records.

    Args:
        actor: principal of who did it; "" for a job.
        subject: what it was done to, as kind and id: patient:7, user:12, merge:3.
        key_id: the internal key that acted for the actor.
        detail: ids and states, stored as JSON.
    """
    tx.execute(
        """
        INSERT INTO audit_log (tenant_id, actor, key_id, action, subject, reason, detail, address, at)
        VALUES (%(tenant_id)s, %(actor)s, %(key_id)s, %(action)s, %(subject)s, %(reason)s, %(detail)s, %(address)s,
                %(now)s)
        """,
        tenant_id=tenant_id,
        actor=actor.encode(),
        key_id=key_id,
        action=action,
        subject=subject.encode(),
        reason=reason,
        detail=json.dumps(detail) if detail else "",
        address=origin.get_address().encode(),
        now=clock.now(),
    )


def list_entries(
    tx: Tx,
    tenant_id: int,
    *,
    before: int | None,
    limit: int,
    actor: str = "",
    key_id: int | None = None,
    action: str = "",
    subject: str = "",
    since: int | None = None,
    until: int | None = None,
) -> list[AuditEntry]:
    """Return entries, the newest first. A filter that is None or "" matches everything.

    Args:
        before: entry_id after which the page begins.
        since: earliest instant.
        until: instant before which the entries are.
    """
    rows = tx.fetch_all(
        f"""
        SELECT a.entry_id, a.at, a.actor, COALESCE(s.name, '') AS actor_name, a.key_id, a.action, a.subject, a.reason,
          a.detail, a.address
        FROM audit_log a
        LEFT JOIN staff s ON a.actor LIKE 'user:%%' AND s.user_id = CAST(SUBSTRING(a.actor, 6) AS UNSIGNED)
          AND s.tenant_id = a.tenant_id
        WHERE a.tenant_id = %(tenant_id)s
          {"AND a.entry_id < %(before)s" if before else ""}
          {"AND a.actor = %(actor)s" if actor else ""}
          {"AND a.key_id = %(key_id)s" if key_id else ""}
          {"AND a.action = %(action)s" if action else ""}
          {"AND a.subject = %(subject)s" if subject else ""}
          {"AND a.at >= %(since)s" if since else ""}
          {"AND a.at < %(until)s" if until else ""}
        ORDER BY a.entry_id DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        before=before,
        actor=actor.encode(),
        key_id=key_id,
        action=action,
        subject=subject.encode(),
        since=since,
        until=until,
        limit=limit,
    )
    return [_build_entry(row) for row in rows]


def _build_entry(row: Row) -> AuditEntry:
    detail = json.loads(row["detail"]) if row["detail"] else {}
    decoded = {name: row[name].decode() for name in ("actor", "subject", "address")}
    return AuditEntry(**{**row, **decoded, "detail": detail})
