"""Withdrawn messages for admins: who withdrew what, and the original content, each reading of which is logged."""

import json
from collections.abc import Collection
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.errors import ApiError
from chalicelib.files import links, withdrawals
from chalicelib.http.fields import ID_LIMIT
from chalicelib.identity import session_names
from chalicelib.identity.callers import Caller
from chalicelib.people import persons
from chalicelib.staff import withdrawn_store
from chalicelib.staff.withdrawn_models import (
    OriginalMessage,
    WithdrawnMessage,
    WithdrawnMessageListQuery,
    WithdrawnMessageQuery,
)
from chalicelib.staff.withdrawn_store import OriginalContent, WithdrawalRecord

HOSPITAL_NAME = "医院"  # the sender of announcements, principal user:0


def list_all(caller: Caller, query: WithdrawnMessageListQuery) -> list[WithdrawnMessage]:
    """Return a page of the hospital's withdrawn messages, the last withdrawn first, without their content."""
    found = withdrawn_store.list_withdrawals(
        mysql.autocommit,
        caller.tenant_id,
        f"user:{query.withdrawn_by}" if query.withdrawn_by else "",
        query.withdrawal_id or ID_LIMIT,
        query.page_size,
    )
    names = _get_names(caller, [principal for one in found for principal in (one.sender, one.withdrawn_by)])
    return [WithdrawnMessage(**_describe(one, names)) for one in found]


def get_original(caller: Caller, query: WithdrawnMessageQuery) -> OriginalMessage:
    """Return a withdrawn message with its content, after entering the access into the audit log.

    Raises:
        ApiError: 404 if the tenant has no such message or it is not withdrawn.
    """
    record, content = mysql.run_transaction(lambda tx: _get_and_log_access(tx, caller, query))
    extra: dict[str, Any] = json.loads(content.extra) if content.extra else {}
    author = f"user:{extra['by']}" if "by" in extra else record.sender
    names = _get_names(caller, [record.sender, record.withdrawn_by, author])
    return OriginalMessage(
        **_describe(record, names),
        msg_type=content.type,
        title=extra.get("title", ""),
        message=extra.get("caption", content.content),
        link=_sign_file(content) if content.object_key else extra.get("link", ""),
        author_id=session_names.format_principal(author),
        author_name=names[author],
    )


def _get_and_log_access(
    tx: Tx, caller: Caller, query: WithdrawnMessageQuery
) -> tuple[WithdrawalRecord, OriginalContent]:
    found = withdrawn_store.find_original(tx, caller.tenant_id, query.msg_id)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "没有这条已撤回的消息")
    audit_log.insert_entry(
        tx,
        caller.tenant_id,
        caller.principal,
        AuditAction.READ_WITHDRAWN_MESSAGE,
        f"message:{query.msg_id}",
        reason=query.reason,
        key_id=caller.key_id or None,
        session_id=found[0].public_id,
    )
    return found


def _sign_file(content: OriginalContent) -> str:
    """Return a link to the file, which moves when the last message that shows it is withdrawn."""
    key = content.object_key
    return links.sign(withdrawals.build_withdrawn_key(key) if content.is_file_withdrawn else key)


def _get_names(caller: Caller, principals: Collection[str]) -> dict[str, str]:
    """Return the name of each principal, "" for users of the hospital's own system."""
    user_ids = {one: user_id for one in principals if (user_id := session_names.parse_user_id(one)) is not None}
    people = persons.get_people(mysql.autocommit, caller.tenant_id, {*user_ids.values()}) if user_ids else {}
    names = {one: people[user_id].name for one, user_id in user_ids.items() if user_id in people}
    return {**dict.fromkeys(principals, ""), "user:0": HOSPITAL_NAME, **names}


def _describe(record: WithdrawalRecord, names: dict[str, str]) -> dict[str, str]:
    """Return the fields of WithdrawnMessage."""
    return {
        "withdrawal_id": str(record.withdrawal_id),
        "msg_id": record.message_id,
        "session_id": record.public_id,
        "sender_id": session_names.format_principal(record.sender),
        "sender_name": names[record.sender],
        "msg_date": clock.format_wire_time(record.sent_at),
        "withdrawn_by": session_names.format_principal(record.withdrawn_by),
        "withdrawn_by_name": names[record.withdrawn_by],
        "withdrawn_date": clock.format_wire_time(record.withdrawn_at),
        "withdrawn_reason": record.reason,
    }
