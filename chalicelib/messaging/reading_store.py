"""SQL of the conversation log: statements that read, and those that change a participant's own state."""

from dataclasses import dataclass

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.messaging import ids
from chalicelib.messaging.models import Message, ParticipantState, Snapshot, StoredMessage
from chalicelib.messaging.store import MAX_INLINE_RECIPIENTS, list_inline_recipients, parse_message

# The messages after a participant's read position that are not unread.
UNCOUNTED_SQL = "p.own_after_read + p.withdrawn_after_read AS uncounted_after_read"
MAX_SNAPSHOT_PARTICIPANTS = 20  # whose states a snapshot includes, the reader's own first


@dataclass(frozen=True, slots=True)
class RangeBounds:
    """A range of a conversation's messages by seq, both ends included; 0 for a message that does not exist."""

    conversation_id: int
    low: int
    high: int


def fetch_snapshot(tx: Tx, public_id: str, principal: str, limit: int) -> Snapshot:
    """Return a conversation's newest messages in one round trip, an empty snapshot if it does not exist."""
    # In one read view: a message that only the participants' states include would be counted again when it is
    # published.
    *_, heads, messages, states, _ = tx.execute_packet(
        f"""
        SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
        START TRANSACTION READ ONLY;
        SELECT tenant_id, last_seq, changes FROM conversations WHERE public_id = %(public_id)s;
        SELECT m.seq, m.tick, m.tag, m.sender, m.type, m.content, m.object_key, m.sent_at, m.withdrawn_at, m.status,
               m.extra
        FROM conversations c JOIN messages m ON m.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s
        ORDER BY m.seq DESC LIMIT %(limit)s;
        SELECT p.principal, p.read_seq, {UNCOUNTED_SQL}, p.hidden_seq
        FROM conversations c JOIN participants p ON p.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s AND p.left_at IS NULL
        ORDER BY p.principal = %(principal)s DESC LIMIT %(max_participants)s;
        COMMIT
        """,
        public_id=public_id.encode(),
        principal=principal.encode(),
        limit=limit,
        max_participants=MAX_SNAPSHOT_PARTICIPANTS,
    )
    head: Row = heads[0] if heads else {"tenant_id": 0, "last_seq": 0, "changes": 0}
    return Snapshot(
        **head,
        messages=[parse_message(row) for row in messages],
        participants=[_parse_participant(row) for row in states],
    )


def fetch_head(tx: Tx, public_id: str, principal: str) -> tuple[int, int, ParticipantState | None]:
    """Return last_seq, changes and the principal's state; zeros if the conversation does not exist."""
    row = tx.fetch_one(
        f"""
        SELECT c.last_seq, c.changes, p.principal, p.read_seq, {UNCOUNTED_SQL}, p.hidden_seq
        FROM conversations c
        LEFT JOIN participants p
            ON p.conversation_id = c.conversation_id AND p.principal = %(principal)s AND p.left_at IS NULL
        WHERE c.public_id = %(public_id)s
        """,
        public_id=public_id.encode(),
        principal=principal.encode(),
    )
    if row is None:
        return 0, 0, None
    return row["last_seq"], row["changes"], _parse_participant(row) if row["principal"] else None


def fetch_snapshots(tx: Tx, public_ids: list[str], principal: str) -> dict[str, Snapshot]:
    """Return the newest message of many conversations and the principal's state in each, in one round trip.

    Conversations in which the principal does not take part are left out.
    """
    rows = tx.fetch_all(
        f"""
        SELECT c.public_id, c.tenant_id, c.last_seq, c.changes, p.principal, p.read_seq, {UNCOUNTED_SQL}, p.hidden_seq,
               m.seq, m.tick, m.tag, m.sender, m.type, m.content, m.object_key, m.sent_at, m.withdrawn_at, m.status,
               m.extra
        FROM conversations c
        JOIN participants p ON p.conversation_id = c.conversation_id AND p.principal = %(principal)s
        LEFT JOIN messages m ON m.conversation_id = c.conversation_id AND m.seq = c.last_seq
        WHERE c.public_id IN %(public_ids)s AND p.left_at IS NULL
        """,
        principal=principal.encode(),
        public_ids=[public_id.encode() for public_id in public_ids],
    )
    return {
        row["public_id"].decode(): Snapshot(
            row["tenant_id"],
            row["last_seq"],
            row["changes"],
            [parse_message(row)] if row["seq"] else [],
            [_parse_participant(row)],
        )
        for row in rows
    }


def list_older(tx: Tx, public_id: str, message_id: str, limit: int) -> list[Message] | None:
    """Return messages older than the given one, newest first; None if that is not of this conversation."""
    tick, tag = ids.decode(message_id)
    start = tx.fetch_one(
        """
        SELECT m.conversation_id, m.seq
        FROM messages m JOIN conversations c ON c.conversation_id = m.conversation_id
        WHERE m.tick = %(tick)s AND m.tag = %(tag)s AND c.public_id = %(public_id)s
        """,
        tick=tick,
        tag=tag,
        public_id=public_id.encode(),
    )
    if start is None:
        return None
    rows = tx.fetch_all(
        """
        SELECT seq, tick, tag, sender, type, content, object_key, sent_at, withdrawn_at, status, extra
        FROM messages
        WHERE conversation_id = %(conversation_id)s AND seq < %(seq)s
        ORDER BY seq DESC LIMIT %(limit)s
        """,
        **start,
        limit=limit,
    )
    return [parse_message(row) for row in rows]


def find_range_bounds(
    tx: Tx, tenant_id: int, public_id: str, principal: str, low: str, high: str
) -> RangeBounds | None:
    """Return the bounds of a range of messages; None if the principal does not take part in the conversation.

    Args:
        low, high: message ids, "" for the first and the last message.
    """
    low_tick, low_tag = ids.decode(low) if low else (0, 0)
    high_tick, high_tag = ids.decode(high) if high else (0, 0)
    row = tx.fetch_one(
        """
        SELECT c.conversation_id,
               IF(%(low_tick)s = 0, 1, COALESCE(low.seq, 0)) AS low,
               IF(%(high_tick)s = 0, c.last_seq, COALESCE(high.seq, 0)) AS high
        FROM conversations c
        JOIN participants p ON p.conversation_id = c.conversation_id
        LEFT JOIN messages low
            ON low.tick = %(low_tick)s AND low.tag = %(low_tag)s AND low.conversation_id = c.conversation_id
        LEFT JOIN messages high
            ON high.tick = %(high_tick)s AND high.tag = %(high_tag)s AND high.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s AND c.tenant_id = %(tenant_id)s
          AND p.principal = %(principal)s AND p.left_at IS NULL
        """,
        tenant_id=tenant_id,
        public_id=public_id.encode(),
        principal=principal.encode(),
        low_tick=low_tick,
        low_tag=low_tag,
        high_tick=high_tick,
        high_tag=high_tag,
    )
    return RangeBounds(**row) if row else None


def list_range(tx: Tx, bounds: RangeBounds, limit: int, newest_first: bool) -> list[Message]:
    """Return at most `limit` messages of a range, from one of its ends."""
    rows = tx.fetch_all(
        f"""
        SELECT seq, tick, tag, sender, type, content, object_key, sent_at, withdrawn_at, status, extra
        FROM messages
        WHERE conversation_id = %(conversation_id)s AND seq BETWEEN %(low)s AND %(high)s
        ORDER BY seq {"DESC" if newest_first else "ASC"} LIMIT %(limit)s
        """,
        conversation_id=bounds.conversation_id,
        low=bounds.low,
        high=bounds.high,
        limit=limit,
    )
    return [parse_message(row) for row in rows]


def find_message(tx: Tx, tenant_id: int, public_id: str, seq: int) -> StoredMessage | None:
    """Return a message with all participants as its recipients; None if it does not exist."""
    rows = tx.fetch_all(
        """
        SELECT m.seq, m.tick, m.tag, m.sender, m.type, m.content, m.object_key, m.sent_at, m.withdrawn_at, m.status,
               m.extra
        FROM conversations c JOIN messages m ON m.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s AND c.tenant_id = %(tenant_id)s AND m.seq IN (%(seq)s - 1, %(seq)s)
        ORDER BY m.seq DESC
        """,
        tenant_id=tenant_id,
        public_id=public_id.encode(),
        seq=seq,
    )
    if not rows or rows[0]["seq"] != seq:
        return None
    participants = tx.fetch_all(
        """
        SELECT p.principal FROM conversations c JOIN participants p ON p.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s AND p.left_at IS NULL
        """,
        public_id=public_id.encode(),
    )
    prev_id = parse_message(rows[1]).id if len(rows) > 1 else ""
    recipients = [row["principal"].decode() for row in participants]
    return StoredMessage(parse_message(rows[0]), prev_id, 0, recipients)


def advance_read_position(
    tx: Tx, public_id: str, principal: str, seq: int
) -> tuple[ParticipantState, list[str]] | None:
    """Move a read position forward and count the own and the withdrawn messages after it.

    The counts read committed rows under the lock of the participant's row, so none of these is missed. ROW_COUNT() is
    -1 when the client has disconnected, and the packet is completed without it (see store.append); here it decides only
    what is returned, which then no client receives.

    Returns:
        The participant's new state, and the principals to notify: the participants, none if the position did not move
        or there are more than MAX_INLINE_RECIPIENTS. None if the principal does not take part.
    """
    *_, rows, recipients, _ = tx.execute_packet(
        f"""
        SET @conversation = NULL;
        SELECT conversation_id INTO @conversation FROM conversations WHERE public_id = %(public_id)s;
        START TRANSACTION;
        UPDATE participants
        SET read_seq = %(seq)s,
            own_after_read = (
                SELECT COUNT(*) FROM messages
                WHERE conversation_id = @conversation AND seq > %(seq)s AND sender = %(principal)s
            ),
            withdrawn_after_read = (
                SELECT COUNT(*) FROM messages
                WHERE conversation_id = @conversation AND seq > %(seq)s AND sender <> %(principal)s
                  AND withdrawn_at IS NOT NULL
            )
        WHERE conversation_id = @conversation AND principal = %(principal)s AND left_at IS NULL
          AND read_seq < %(seq)s;
        SET @moved = ROW_COUNT();
        SELECT p.principal, p.read_seq, {UNCOUNTED_SQL}, p.hidden_seq FROM participants p
        WHERE conversation_id = @conversation AND principal = %(principal)s AND left_at IS NULL;
        SELECT principal FROM participants
        WHERE conversation_id = @conversation AND left_at IS NULL AND @moved = 1 LIMIT %(max_recipients)s;
        COMMIT
        """,
        public_id=public_id.encode(),
        principal=principal.encode(),
        seq=seq,
        max_recipients=MAX_INLINE_RECIPIENTS + 1,
    )
    return (_parse_participant(rows[0]), list_inline_recipients(recipients)) if rows else None


def hide(tx: Tx, public_id: str, principal: str) -> ParticipantState | None:
    """Hide the conversation from the principal's list until its next message.

    Returns:
        The new state; None if the principal does not take part.
    """
    *_, rows, _ = tx.execute_packet(
        f"""
        SET @conversation = NULL;
        SELECT conversation_id, last_seq INTO @conversation, @last_seq
        FROM conversations WHERE public_id = %(public_id)s;
        START TRANSACTION;
        UPDATE participants SET hidden_seq = @last_seq
        WHERE conversation_id = @conversation AND principal = %(principal)s AND left_at IS NULL;
        SELECT p.principal, p.read_seq, {UNCOUNTED_SQL}, p.hidden_seq FROM participants p
        WHERE conversation_id = @conversation AND principal = %(principal)s AND left_at IS NULL;
        COMMIT
        """,
        public_id=public_id.encode(),
        principal=principal.encode(),
    )
    return _parse_participant(rows[0]) if rows else None


def _parse_participant(row: Row) -> ParticipantState:
    return ParticipantState(row["principal"].decode(), row["read_seq"], row["uncounted_after_read"], row["hidden_seq"])
