"""SQL that withdraws a message, and its file."""

import json

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.files import withdrawals
from chalicelib.messaging import ids
from chalicelib.messaging.feed import EventKind
from chalicelib.messaging.models import StoredMessage, Withdrawal
from chalicelib.messaging.store import MAX_INLINE_RECIPIENTS, SELECT_RECIPIENTS, list_inline_recipients, parse_message
from chalicelib.outbox import store as outbox_store
from chalicelib.outbox.jobs import Job


def withdraw(
    tx: Tx, tenant_id: int, public_id: str, message_id: str, withdrawal: Withdrawal, since: int, now: int
) -> StoredMessage | None:
    """Withdraw a message and count the change. Withdrawing twice changes nothing and returns the same.

    Returns:
        None if there is no such message of the sender whom the withdrawal requires, or it was not sent after `since`.
    """
    tick, tag = ids.decode(message_id)
    row = tx.fetch_one(
        """
        SELECT m.conversation_id, m.seq, m.tick, m.tag, m.sender, m.type, m.content, m.object_key, m.sent_at,
               m.withdrawn_at, m.status, m.extra
        FROM conversations c JOIN messages m ON m.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s AND c.tenant_id = %(tenant_id)s
          AND m.tick = %(tick)s AND m.tag = %(tag)s FOR UPDATE
        """,
        tenant_id=tenant_id,
        public_id=public_id.encode(),
        tick=tick,
        tag=tag,
    )
    if row is None:
        return None
    if withdrawal.sender and (row["sender"].decode() != withdrawal.sender or row["sent_at"] <= since):
        return None
    conversation_id, first_time = row["conversation_id"], row["withdrawn_at"] is None
    withdraws_file = False
    if first_time:
        _set_withdrawn(tx, tenant_id, row, withdrawal, now)
        withdraws_file = _withdraw_file(tx, tenant_id, conversation_id, row["object_key"].decode(), now)
    changes = tx.fetch_value(
        "SELECT changes FROM conversations WHERE conversation_id = %(conversation_id)s", conversation_id=conversation_id
    )
    rows = tx.fetch_all(SELECT_RECIPIENTS, conversation_id=conversation_id)
    is_large = len(rows) > MAX_INLINE_RECIPIENTS
    if is_large and first_time:
        payload = json.dumps({"kind": EventKind.WITHDRAWN, "conversation": public_id, "seq": row["seq"]})
        outbox_store.insert(tx, tenant_id, Job.NOTIFY_CONVERSATION, None, payload, now)
    return StoredMessage(
        parse_message({**row, "withdrawn_at": now}),
        "",
        changes,
        list_inline_recipients(rows),
        counts_as_change=first_time,
        is_large_conversation=is_large,
        withdraws_file=withdraws_file,
    )


def _set_withdrawn(tx: Tx, tenant_id: int, message: Row, withdrawal: Withdrawal, now: int) -> None:
    """Mark a message as withdrawn, by whom and why; those who have not read it have one unread message less."""
    tx.execute(
        "UPDATE conversations SET changes = changes + 1 WHERE conversation_id = %(conversation_id)s",
        conversation_id=message["conversation_id"],
    )
    tx.execute(
        """
        UPDATE participants SET withdrawn_after_read = withdrawn_after_read + 1
        WHERE conversation_id = %(conversation_id)s AND read_seq < %(seq)s AND principal <> %(sender)s
        """,
        conversation_id=message["conversation_id"],
        seq=message["seq"],
        sender=message["sender"],
    )
    tx.execute_packet(
        """
        UPDATE messages SET withdrawn_at = %(now)s WHERE conversation_id = %(conversation_id)s AND seq = %(seq)s;
        INSERT INTO withdrawals (tenant_id, conversation_id, seq, withdrawn_by, reason, at)
        VALUES (%(tenant_id)s, %(conversation_id)s, %(seq)s, %(withdrawn_by)s, %(reason)s, %(now)s)
        """,
        tenant_id=tenant_id,
        conversation_id=message["conversation_id"],
        seq=message["seq"],
        withdrawn_by=withdrawal.by.encode(),
        reason=withdrawal.reason,
        now=now,
    )


def _withdraw_file(tx: Tx, tenant_id: int, conversation_id: int, object_key: str, now: int) -> bool:
    """Withdraw the file of a message that this transaction has withdrawn, unless another message still shows it.

    The transaction holds the lock of the conversation, under which messages are written too.

    Returns:
        Whether a job was enqueued that makes the links to the file invalid.
    """
    if not object_key:
        return False
    still_shown = tx.fetch_value(
        """
        SELECT 1 FROM messages
        WHERE conversation_id = %(conversation_id)s AND object_key = %(object_key)s AND withdrawn_at IS NULL LIMIT 1
        """,
        conversation_id=conversation_id,
        object_key=object_key.encode(),
    )
    return not still_shown and withdrawals.withdraw(tx, tenant_id, object_key, now)
