"""The audit log: what staff, owners of files and a hospital's own systems did. Rows are only added.

Reading and changing a patient file is in patient_access instead (staff/store.py). Entries contain ids, and no names,
phones or document numbers.
"""

import json
from enum import StrEnum
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Tx


class AuditAction(StrEnum):
    """audit_log.action."""

    VERIFY_PATIENT = "verify_patient"
    CREATE_TEMPORARY_PATIENT = "create_temporary_patient"
    MERGE_PATIENTS = "merge_patients"
    SPLIT_PATIENTS = "split_patients"
    UNBIND_MEMBER = "unbind_member"
    REPLACE_CARD = "replace_card"
    CLEAR_MISSED = "clear_missed"
    CHANGE_ACCOUNT_PHONE = "change_account_phone"
    CONFIRM_ACCOUNT = "confirm_account"
    CLOSE_ACCOUNT = "close_account"
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
    PUBLISH_PRIVACY_NOTICE = "publish_privacy_notice"


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
        INSERT INTO audit_log (tenant_id, actor, key_id, action, subject, reason, detail, at)
        VALUES (%(tenant_id)s, %(actor)s, %(key_id)s, %(action)s, %(subject)s, %(reason)s, %(detail)s, %(now)s)
        """,
        tenant_id=tenant_id,
        actor=actor.encode(),
        key_id=key_id,
        action=action,
        subject=subject.encode(),
        reason=reason,
        detail=json.dumps(detail) if detail else "",
        now=clock.now(),
    )
