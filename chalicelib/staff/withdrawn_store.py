"""SQL of withdrawn messages, for admins."""

from dataclasses import dataclass

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.messaging import ids

WITHDRAWAL_COLUMNS = """
    w.withdrawal_id, w.withdrawn_by, w.reason, w.at, c.public_id, m.tick, m.tag, m.sender, m.sent_at
"""


@dataclass(frozen=True, slots=True)
class WithdrawalRecord:
    """That a message was withdrawn: which, by whom, when and why. Times are in microseconds."""

    withdrawal_id: int
    public_id: str  # of the conversation
    message_id: str
    sender: str  # principal
    sent_at: int
    withdrawn_by: str  # principal
    withdrawn_at: int
    reason: str


@dataclass(frozen=True, slots=True)
class OriginalContent:
    """The content that a withdrawn message had."""

    type: int
    content: str
    extra: str
    object_key: str  # "" for none
    is_file_withdrawn: bool  # the file has moved to its withdrawn key, or is about to


def list_withdrawals(tx: Tx, tenant_id: int, withdrawn_by: str, before: int, limit: int) -> list[WithdrawalRecord]:
    """Return withdrawals with an id below `before`, newest first.

    Args:
        withdrawn_by: the principal who withdrew; "" for any.
    """
    rows = tx.fetch_all(
        f"""
        SELECT {WITHDRAWAL_COLUMNS}
        FROM withdrawals w FORCE INDEX ({"by_person" if withdrawn_by else "by_tenant"})
        STRAIGHT_JOIN messages m ON m.conversation_id = w.conversation_id AND m.seq = w.seq
        STRAIGHT_JOIN conversations c ON c.conversation_id = w.conversation_id
        WHERE w.tenant_id = %(tenant_id)s AND w.withdrawal_id < %(before)s
          {"AND w.withdrawn_by = %(withdrawn_by)s" if withdrawn_by else ""}
        ORDER BY w.withdrawal_id DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        withdrawn_by=withdrawn_by.encode(),
        before=before,
        limit=limit,
    )
    return [_build_record(row) for row in rows]


def find_original(tx: Tx, tenant_id: int, message_id: str) -> tuple[WithdrawalRecord, OriginalContent] | None:
    """Return a withdrawn message with its content; None if the tenant has no such message or it is not withdrawn."""
    tick, tag = ids.decode(message_id)
    row = tx.fetch_one(
        f"""
        SELECT {WITHDRAWAL_COLUMNS}, m.type, m.content, m.extra, m.object_key, f.withdrawn_at AS file_withdrawn_at
        FROM messages m
        JOIN withdrawals w ON w.conversation_id = m.conversation_id AND w.seq = m.seq
        JOIN conversations c ON c.conversation_id = m.conversation_id
        LEFT JOIN files f ON f.object_key = m.object_key
        WHERE m.tick = %(tick)s AND m.tag = %(tag)s AND m.tenant_id = %(tenant_id)s
        """,
        tenant_id=tenant_id,
        tick=tick,
        tag=tag,
    )
    if row is None:
        return None
    content = OriginalContent(
        type=row["type"],
        content=row["content"],
        extra=row["extra"],
        object_key=row["object_key"].decode(),
        is_file_withdrawn=row["file_withdrawn_at"] is not None,
    )
    return _build_record(row), content


def _build_record(row: Row) -> WithdrawalRecord:
    return WithdrawalRecord(
        withdrawal_id=row["withdrawal_id"],
        public_id=row["public_id"].decode(),
        message_id=ids.encode(row["tick"], row["tag"]),
        sender=row["sender"].decode(),
        sent_at=row["sent_at"],
        withdrawn_by=row["withdrawn_by"].decode(),
        withdrawn_at=row["at"],
        reason=row["reason"],
    )
