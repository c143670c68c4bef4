"""SQL of the conversation log: creating conversations, and sending messages."""

from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.messaging import ids, listings
from chalicelib.messaging.feed import EventKind
from chalicelib.messaging.models import TWO_PERSON_KINDS, IdempotentMessage, Message, NewMessage, StoredMessage
from chalicelib.outbox.jobs import Job

MAX_INLINE_RECIPIENTS = 20  # more participants than these are notified by an outbox job, after the response

SELECT_RECIPIENTS = f"""
    SELECT principal FROM participants
    WHERE conversation_id = %(conversation_id)s AND left_at IS NULL LIMIT {MAX_INLINE_RECIPIENTS + 1}
"""
# Who may write, in every statement of the packet that writes a message: see `append`. p is the sender's participant.
FROM_SENDER = "conversations c STRAIGHT_JOIN participants p ON p.conversation_id = c.conversation_id"
ACCEPTS_MESSAGES = """
    c.public_id = %(public_id)s AND c.tenant_id = %(tenant_id)s AND (%(kind)s IS NULL OR c.kind = %(kind)s)
    AND c.archived_at IS NULL
"""
SENDER_MAY_WRITE = f"{ACCEPTS_MESSAGES} AND p.principal = %(sender)s AND p.left_at IS NULL"
# For statements of that packet that follow the INSERT: m is the message, if this packet has written it.
JOIN_WRITTEN_MESSAGE = """
    JOIN messages m ON m.conversation_id = c.conversation_id AND m.seq = c.last_seq
        AND m.sender = %(sender)s AND m.sent_at = %(now)s
"""
# d is a recent message of the same sender that equals the new one. Bytes are compared, because the columns' collation
# takes different texts for equal, such as OK and ok. The clock of another process may be behind or ahead.
EQUAL_RECENT_MESSAGE = """
    d.conversation_id = c.conversation_id AND d.sender = %(sender)s AND d.type = %(type)s
    AND CAST(d.content AS BINARY) = %(content)s AND d.object_key = %(object_key)s
    AND d.status = %(status)s AND CAST(d.extra AS BINARY) = %(extra)s
    AND ABS(d.sent_at - %(now)s) < %(double_submission_window)s
"""
# A further condition on writing. In an UPDATE of two tables, the subquery reads what is committed when the lock of the
# conversation is acquired, not when the statement began: of two equal texts at the same moment, one finds the other.
NOT_SUBMITTED_ALREADY = f"""
    AND NOT EXISTS (
        SELECT 1 FROM messages d WHERE d.seq = c.last_seq AND d.withdrawn_at IS NULL AND {EQUAL_RECENT_MESSAGE}
    )
"""
ENQUEUE_LARGE_CONVERSATION = f"""
    INSERT INTO outbox (tenant_id, job, payload, due_at, created_at)
    SELECT c.tenant_id, %(notify_job)s,
           CONCAT('{{"kind":"', %(event_kind)s, '","conversation":"', c.public_id, '","seq":', m.seq, '}}'),
           %(now)s, %(now)s
    FROM conversations c {JOIN_WRITTEN_MESSAGE}
    WHERE c.public_id = %(public_id)s AND c.is_large;
"""
CLOSE_CONVERSATION = f"""
    UPDATE conversations c {JOIN_WRITTEN_MESSAGE} JOIN participants o ON o.conversation_id = c.conversation_id
    SET c.archived_at = %(now)s, o.archived = 1 WHERE c.public_id = %(public_id)s;
"""
SET_HEAD = """
    SET c.prev_tick = c.last_tick, c.last_tick = GREATEST(c.last_tick + 1, %(tick)s + MOD(c.last_seq, 4096)),
        c.last_seq = c.last_seq + 1
"""
# The first statement of that packet. The rows of participants copy the conversation's new state (listings.py).
# o are the other participants; none in a large conversation.
UPDATE_HEAD = f"""
    UPDATE {FROM_SENDER}
    LEFT JOIN participants o ON o.conversation_id = c.conversation_id AND o.principal <> %(sender)s
        AND o.left_at IS NULL AND NOT c.is_large
    {SET_HEAD}, p.own_after_read = p.own_after_read + 1, p.newest_seq = c.last_seq, p.active_tick = c.last_tick,
        o.newest_seq = c.last_seq, o.active_tick = c.last_tick
    WHERE {SENDER_MAY_WRITE}
"""
# The same for a conversation that is never large, in half the time: p are all participants, whoever the sender is. IF
# keeps the optimizer from estimating how many they are.
UPDATE_SMALL_HEAD = f"""
    UPDATE {FROM_SENDER}
    {SET_HEAD}, p.own_after_read = p.own_after_read + (p.principal = %(sender)s),
        p.newest_seq = c.last_seq, p.active_tick = c.last_tick
    WHERE {ACCEPTS_MESSAGES} AND IF(p.left_at IS NULL, 1, 0)
"""
_OTHER_COLUMNS = """
    %(tenant_id)s, c.last_tick, c.tag, %(sender)s, %(endpoint)s, %(idempotency_key)s, %(type)s, %(content)s,
    %(object_key)s, %(now)s, %(status)s, %(extra)s
"""
# The row of the message, after each of these.
SELECT_ROW = f"SELECT c.conversation_id, c.last_seq, {_OTHER_COLUMNS} FROM {FROM_SENDER} WHERE {SENDER_MAY_WRITE}"
SELECT_ROW_OF_SMALL = f"""
    SELECT c.conversation_id, IF(p.principal IS NULL, NULL, c.last_seq), {_OTHER_COLUMNS}
    FROM conversations c LEFT JOIN participants p
        ON p.conversation_id = c.conversation_id AND p.principal = %(sender)s AND p.left_at IS NULL
    WHERE {ACCEPTS_MESSAGES}
"""
DOUBLE_SUBMISSION_WINDOW = 2 * clock.SECOND
INSERT_AT = 2  # position of the INSERT of the message in that packet


def create_conversation(
    tx: Tx,
    tenant_id: int,
    public_id: str,
    kind: str,
    principals: list[str],
    now: int,
    conversation_type: int = 0,
    hidden_seq: int = 0,
) -> int:
    """Insert a conversation and its participants; return its conversation_id.

    Args:
        hidden_seq: of the participants; -1 for a kind whose lists show conversations without messages.
    """
    conversation_id = tx.insert(
        """
        INSERT INTO conversations (tenant_id, public_id, kind, type, tag, is_large, created_at)
        VALUES (%(tenant_id)s, %(public_id)s, %(kind)s, %(type)s, %(tag)s, %(is_large)s, %(now)s)
        """,
        tenant_id=tenant_id,
        public_id=public_id.encode(),
        kind=kind,
        type=conversation_type,
        tag=ids.compute_tag(public_id, conversation_type),
        is_large=len(principals) > MAX_INLINE_RECIPIENTS,
        now=now,
    )
    participant = {"conversation_id": conversation_id, "tenant_id": tenant_id, "hidden_seq": hidden_seq, "now": now}
    tx.execute_many(
        """
        INSERT INTO participants (conversation_id, principal, tenant_id, hidden_seq, active_tick, joined_at)
        VALUES (%(conversation_id)s, %(principal)s, %(tenant_id)s, %(hidden_seq)s, %(active_tick)s, %(now)s)
        """,
        [
            {**participant, "principal": principal.encode(), "active_tick": ids.compute_first_tick(now)}
            for principal in principals
        ],
    )
    if kind in TWO_PERSON_KINDS and len(principals) == 2:
        user_id, other_id = (int(principal.removeprefix("user:")) for principal in principals)
        listings.set_peers(tx, tenant_id, conversation_id, user_id, other_id)
    return conversation_id


def append(
    tx: Tx, tenant_id: int, kind: str | None, public_id: str, sender: str, new_message: NewMessage, now: int
) -> StoredMessage | None:
    """Number and store a message in one round trip, and enqueue its jobs.

    The row lock under which the message is numbered is acquired and released inside the packet, so no network round
    trip lies between two senders. Locks are acquired in one order everywhere: the conversation, its participants, its
    messages. STRAIGHT_JOIN reads, and so locks, in that order. The first UPDATE reads no row of the first two tables
    without writing it: it would be locked in shared mode first, and a sender who also reads would deadlock.

    A statement that matches no row does not end the packet: if the UPDATE found no sender who may write, the INSERT
    must not write either. So it repeats the whole condition; and if that has become true between the two statements,
    it takes a seq that exists (a duplicate in PRIMARY) or 0 (the CHECK), and the packet ends without COMMIT. Neither
    user variables nor ROW_COUNT() could decide it: the first pin connections of a proxy, and the second is -1 once the
    client has disconnected, when the server still completes the packet.

    In a small conversation (NewMessage.few_recipients) the UPDATE does not look for the sender, and the INSERT fails
    without one, as seq cannot be NULL: the packet ends without COMMIT.

    The assignments of an UPDATE of several tables are evaluated from left to right, so that the participants' rows get
    the new values of the conversation's. MySQL does not guarantee it; tests/messaging/test_append_packet.py checks it.
    A further UPDATE for the participants would take a fifth of the server's time for a send. MOD is used because & is
    unsigned, and GREATEST of both kinds is a DECIMAL.

    Args:
        kind: the conversation's; None for any.

    Returns:
        None if the sender may not write there, or has just submitted the same message.

    Raises:
        mysql.DuplicateKeyError: "idempotency_key" for a key that is stored already, "message_id" for a clash of ids,
            "PRIMARY" if the conversation was created meanwhile.
        mysql.CheckViolationError: as for "PRIMARY".
        mysql.NullViolationError: the sender does not take part in the small conversation.
    """
    condition = new_message.condition_sql
    if is_merged_with_equal(new_message):
        condition += NOT_SUBMITTED_ALREADY
    is_small = new_message.few_recipients
    counts, rows = tx.execute_lean_packet(
        f"""
        START TRANSACTION;
        {UPDATE_SMALL_HEAD if is_small else UPDATE_HEAD} {condition};
        INSERT INTO messages
            (conversation_id, seq, tenant_id, tick, tag,
             sender, endpoint, idempotency_key, type, content, object_key, sent_at, status, extra)
        {SELECT_ROW_OF_SMALL if is_small else SELECT_ROW} {condition};
        {CLOSE_CONVERSATION if new_message.closes_conversation else ""}
        {"" if new_message.few_recipients else ENQUEUE_LARGE_CONVERSATION}
        {new_message.enqueue_sql}
        SELECT CONCAT_WS(' ', c.last_seq, c.last_tick, c.prev_tick, c.tag, c.changes, p.principal)
        FROM {FROM_SENDER}
        WHERE c.public_id = %(public_id)s AND c.tenant_id = %(tenant_id)s AND p.left_at IS NULL
        LIMIT {MAX_INLINE_RECIPIENTS + 1};
        COMMIT
        """,
        **_build_params(tenant_id, kind, public_id, sender, new_message, now),
        endpoint=new_message.endpoint,
        idempotency_key=new_message.idempotency_key.encode() if new_message.idempotency_key else None,
        tick=ids.compute_first_tick(now),
        notify_job=Job.NOTIFY_CONVERSATION,
        event_kind=EventKind.MESSAGE,
    )
    return _build_stored(rows, sender, new_message, now) if counts[INSERT_AT] else None


def _build_params(
    tenant_id: int, kind: str | None, public_id: str, sender: str, new_message: NewMessage, now: int
) -> dict[str, Any]:
    """Return the parameters of the conditions on writing."""
    return {
        **new_message.condition_params,
        "tenant_id": tenant_id,
        "kind": kind,
        "public_id": public_id.encode(),
        "sender": sender.encode(),
        "type": new_message.type,
        "content": new_message.content,
        "object_key": new_message.object_key.encode(),
        "status": new_message.status,
        "extra": new_message.extra,
        "now": now,
        "double_submission_window": DOUBLE_SUBMISSION_WINDOW,
    }


def _build_stored(rows: list[bytes], sender: str, new_message: NewMessage, now: int) -> StoredMessage:
    """Build the record of a written message; rows: its numbers, the same in each, and one participant."""
    seq, tick, prev_tick, tag, changes = map(int, rows[0].split(b" ", 5)[:5])  # one column is cheaper than six
    message = Message(
        seq=seq,
        id=ids.encode(tick, tag),
        sender=sender,
        type=new_message.type,
        content=new_message.content,
        object_key=new_message.object_key,
        sent_at=now,
        status=new_message.status,
        extra=new_message.extra,
    )
    is_large = len(rows) > MAX_INLINE_RECIPIENTS
    recipients = [] if is_large else [row.split(b" ", 5)[5].decode() for row in rows]
    prev_id = ids.encode(prev_tick, tag) if seq > 1 else ""
    return StoredMessage(message, prev_id, changes, recipients, is_large_conversation=is_large)


def is_merged_with_equal(new_message: NewMessage) -> bool:
    """Return whether an equal message, submitted just before, is the same one."""
    return new_message.merge_double_submission and not new_message.idempotency_key


def find_double_submission(
    tx: Tx, tenant_id: int, kind: str | None, public_id: str, sender: str, new_message: NewMessage, now: int
) -> StoredMessage | None:
    """Return the message because of which `append` with the same arguments has written none; None if there is none.

    Others may have been sent since.
    """
    row = tx.fetch_one(
        f"""
        SELECT c.conversation_id, c.changes, d.seq, d.tick, d.tag, d.sender, d.type, d.content, d.object_key, d.sent_at,
               d.withdrawn_at, d.status, d.extra,
               (SELECT b.tick FROM messages b
                WHERE b.conversation_id = d.conversation_id AND b.seq = d.seq - 1) AS prev_tick
        FROM {FROM_SENDER} JOIN messages d ON {EQUAL_RECENT_MESSAGE}
        WHERE {SENDER_MAY_WRITE} {new_message.condition_sql}
        ORDER BY d.seq DESC LIMIT 1
        """,
        **_build_params(tenant_id, kind, public_id, sender, new_message, now),
    )
    if row is None:
        return None
    recipients = list_inline_recipients(tx.fetch_all(SELECT_RECIPIENTS, conversation_id=row["conversation_id"]))
    prev_id = ids.encode(row["prev_tick"], row["tag"]) if row["prev_tick"] else ""
    return StoredMessage(parse_message(row), prev_id, row["changes"], recipients)


def find_by_idempotency_key(tx: Tx, tenant_id: int, sender: str, new_message: NewMessage) -> IdempotentMessage | None:
    """Return the message that the sender has stored under this idempotency key."""
    row = tx.fetch_one(
        """
        SELECT c.public_id, c.changes, m.conversation_id, m.seq, m.tick, m.tag, m.sender, m.type, m.content,
               m.object_key, m.sent_at, m.withdrawn_at, m.status, m.extra, previous.tick AS prev_tick
        FROM messages m
        JOIN conversations c ON c.conversation_id = m.conversation_id
        LEFT JOIN messages previous
            ON previous.conversation_id = m.conversation_id AND previous.seq = m.seq - 1
        WHERE m.tenant_id = %(tenant_id)s AND m.sender = %(sender)s
          AND m.endpoint = %(endpoint)s AND m.idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        sender=sender.encode(),
        endpoint=new_message.endpoint,
        idempotency_key=(new_message.idempotency_key or "").encode(),
    )
    if row is None:
        return None
    prev_id = ids.encode(row["prev_tick"], row["tag"]) if row["prev_tick"] else ""
    principals = list_inline_recipients(tx.fetch_all(SELECT_RECIPIENTS, conversation_id=row["conversation_id"]))
    stored = StoredMessage(parse_message(row), prev_id, row["changes"], principals)
    return IdempotentMessage(
        row["public_id"].decode(), row["content"], row["object_key"].decode(), row["extra"], stored
    )


def is_archived(tx: Tx, tenant_id: int, kind: str | None, public_id: str, principal: str) -> bool:
    """Return whether this is an archived conversation (of that kind) in which the principal takes part."""
    found = tx.fetch_value(
        """
        SELECT 1
        FROM conversations c JOIN participants p ON p.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s AND c.tenant_id = %(tenant_id)s
          AND (%(kind)s IS NULL OR c.kind = %(kind)s)
          AND c.archived_at IS NOT NULL AND p.principal = %(principal)s AND p.left_at IS NULL
        """,
        public_id=public_id.encode(),
        tenant_id=tenant_id,
        kind=kind,
        principal=principal.encode(),
    )
    return found is not None


def list_inline_recipients(rows: list[Row]) -> list[str]:
    """Return the participants' principals, none if there are more than MAX_INLINE_RECIPIENTS."""
    return [row["principal"].decode() for row in rows] if len(rows) <= MAX_INLINE_RECIPIENTS else []


def parse_message(row: Row) -> Message:
    """Return a row of messages as participants may see it."""
    withdrawn = row["withdrawn_at"] is not None
    return Message(
        row["seq"],
        ids.encode(row["tick"], row["tag"]),
        row["sender"].decode(),
        row["type"],
        "" if withdrawn else row["content"],
        "" if withdrawn else row["object_key"].decode(),
        row["sent_at"],
        withdrawn,
        row["status"],
        "" if withdrawn else row["extra"],
    )
