"""The conversation log in MySQL: reading, and each participant's own state. Nothing is decided here."""

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.messaging import ids
from chalicelib.messaging.message_jobs import MAX_INLINE_RECIPIENTS
from chalicelib.messaging.models import Message, ParticipantState, Snapshot
from chalicelib.messaging.store import list_inline_recipients, parse_message

MAX_SNAPSHOT_PARTICIPANTS = 20  # participants whose seats a snapshot brings along, the reader's own first


def fetch_snapshot(tx: Tx, public_id: str, principal: str, limit: int) -> Snapshot:
    """Read a conversation's end in one round trip. One that does not exist is empty."""
    # All three as of one moment: a message that only the seats know of would be counted twice when it arrives.
    *_, heads, messages, seats, _ = tx.execute_packet(
        """
        SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
        START TRANSACTION READ ONLY;
        SELECT tenant_id, last_seq, changes FROM conversations WHERE public_id = %(public_id)s;
        SELECT m.seq, m.tick, m.tag, m.sender, m.type, m.content, m.object_key, m.sent_at, m.withdrawn_at, m.status,
               m.extra
        FROM conversations c JOIN messages m ON m.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s
        ORDER BY m.seq DESC LIMIT %(limit)s;
        SELECT p.principal, p.read_seq, p.own_after_read, p.hidden_seq
        FROM conversations c JOIN participants p ON p.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s AND p.left_at IS NULL
        ORDER BY p.principal = %(principal)s DESC LIMIT %(seated)s;
        COMMIT
        """,
        public_id=public_id.encode(),
        principal=principal.encode(),
        limit=limit,
        seated=MAX_SNAPSHOT_PARTICIPANTS,
    )
    head: Row = heads[0] if heads else {"tenant_id": 0, "last_seq": 0, "changes": 0}
    return Snapshot(
        **head,
        messages=[parse_message(row) for row in messages],
        participants=[_parse_participant(row) for row in seats],
    )


def fetch_head(tx: Tx, public_id: str, principal: str) -> tuple[int, int, ParticipantState | None]:
    """Return last_seq, changes and the principal's seat; zeros for no such conversation."""
    row = tx.fetch_one(
        """
        SELECT c.last_seq, c.changes, p.principal, p.read_seq, p.own_after_read, p.hidden_seq
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
    """Read the newest message of many conversations, and the principal's seat in each, in one round trip."""
    rows = tx.fetch_all(
        """
        SELECT c.public_id, c.tenant_id, c.last_seq, c.changes, p.principal, p.read_seq, p.own_after_read, p.hidden_seq,
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
    """Return messages strictly older than the given one, newest first; None where it is not of this conversation."""
    tick, tag = ids.decode(message_id)
    at = tx.fetch_one(
        """
        SELECT m.conversation_id, m.seq
        FROM messages m JOIN conversations c ON c.conversation_id = m.conversation_id
        WHERE m.tick = %(tick)s AND m.tag = %(tag)s AND c.public_id = %(public_id)s
        """,
        tick=tick,
        tag=tag,
        public_id=public_id.encode(),
    )
    if at is None:
        return None
    rows = tx.fetch_all(
        """
        SELECT seq, tick, tag, sender, type, content, object_key, sent_at, withdrawn_at, status, extra
        FROM messages
        WHERE conversation_id = %(conversation_id)s AND seq < %(seq)s
        ORDER BY seq DESC LIMIT %(limit)s
        """,
        **at,
        limit=limit,
    )
    return [parse_message(row) for row in rows]


def find_range_bounds(tx: Tx, tenant_id: int, public_id: str, principal: str, low: str, high: str) -> Row | None:
    """Find where a participant's span lies: conversation_id, low and high as seqs, 0 for a message that is not there.

    None for somebody who does not sit there; an empty id is an open end.
    """
    ends = {"low": ids.decode(low) if low else (0, 0), "high": ids.decode(high) if high else (0, 0)}
    return tx.fetch_one(
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
        **{f"{end}_{part}": value for end, id in ends.items() for part, value in zip(("tick", "tag"), id, strict=True)},
    )


def list_range(tx: Tx, conversation_id: int, low: int, high: int, limit: int, newest_first: bool) -> list[Message]:
    """Return the messages from seq low to seq high, both included, as many as the limit lets pass."""
    rows = tx.fetch_all(
        f"""
        SELECT seq, tick, tag, sender, type, content, object_key, sent_at, withdrawn_at, status, extra
        FROM messages
        WHERE conversation_id = %(conversation_id)s AND seq BETWEEN %(low)s AND %(high)s
        ORDER BY seq {"DESC" if newest_first else "ASC"} LIMIT %(limit)s
        """,
        conversation_id=conversation_id,
        low=low,
        high=high,
        limit=limit,
    )
    return [parse_message(row) for row in rows]


def find_message(tx: Tx, tenant_id: int, public_id: str, seq: int) -> tuple[Message, str, list[str]] | None:
    """Return a message, the id of the one before it ("" for the first), and who takes part."""
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
    return parse_message(rows[0]), prev_id, [row["principal"].decode() for row in participants]


def advance_read_position(
    tx: Tx, public_id: str, principal: str, seq: int
) -> tuple[ParticipantState, list[str]] | None:
    """Move a read position forward, count the own messages after it, and return the seat as it is then, and who is to
    be told: the participants, nobody where it did not move or they are many.

    None for no participant. The count reads committed rows under the seat's lock: no own message slips between.
    ROW_COUNT() is -1 where the client has gone, and the packet goes on without it (see store.append). Here it decides
    no more than what is answered, and then nobody reads the answer.
    """
    *_, rows, others, _ = tx.execute_packet(
        """
        SET @conversation = NULL;
        SELECT conversation_id INTO @conversation FROM conversations WHERE public_id = %(public_id)s;
        START TRANSACTION;
        UPDATE participants
        SET read_seq = %(seq)s,
            own_after_read = (
                SELECT COUNT(*) FROM messages
                WHERE conversation_id = @conversation AND seq > %(seq)s AND sender = %(principal)s
            )
        WHERE conversation_id = @conversation AND principal = %(principal)s AND left_at IS NULL
          AND read_seq < %(seq)s;
        SET @moved = ROW_COUNT();
        SELECT principal, read_seq, own_after_read, hidden_seq FROM participants
        WHERE conversation_id = @conversation AND principal = %(principal)s AND left_at IS NULL;
        SELECT principal FROM participants
        WHERE conversation_id = @conversation AND left_at IS NULL AND @moved = 1 LIMIT %(most)s;
        COMMIT
        """,
        public_id=public_id.encode(),
        principal=principal.encode(),
        seq=seq,
        most=MAX_INLINE_RECIPIENTS + 1,
    )
    return (_parse_participant(rows[0]), list_inline_recipients(others)) if rows else None


def hide(tx: Tx, public_id: str, principal: str) -> ParticipantState | None:
    """Take the entry off the principal's list up to the newest message; None for no participant."""
    *_, rows, _ = tx.execute_packet(
        """
        SET @conversation = NULL;
        SELECT conversation_id, last_seq INTO @conversation, @last_seq
        FROM conversations WHERE public_id = %(public_id)s;
        START TRANSACTION;
        UPDATE participants SET hidden_seq = @last_seq
        WHERE conversation_id = @conversation AND principal = %(principal)s AND left_at IS NULL;
        SELECT principal, read_seq, own_after_read, hidden_seq FROM participants
        WHERE conversation_id = @conversation AND principal = %(principal)s AND left_at IS NULL;
        COMMIT
        """,
        public_id=public_id.encode(),
        principal=principal.encode(),
    )
    return _parse_participant(rows[0]) if rows else None


def _parse_participant(row: Row) -> ParticipantState:
    return ParticipantState(row["principal"].decode(), row["read_seq"], row["own_after_read"], row["hidden_seq"])
