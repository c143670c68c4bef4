"""The conversation log in MySQL: writing. Nothing is decided here."""

import json

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.messaging import ids
from chalicelib.messaging.message_jobs import ENQUEUE_LARGE_CONVERSATION, MAX_INLINE_RECIPIENTS
from chalicelib.messaging.models import Message, NewMessage, StoredMessage
from chalicelib.outbox import store as outbox_store
from chalicelib.outbox.jobs import Job

SELECT_RECIPIENTS = f"""
    SELECT principal FROM participants
    WHERE conversation_id = %(conversation_id)s AND left_at IS NULL LIMIT {MAX_INLINE_RECIPIENTS + 1}
"""


def create_conversation(
    tx: Tx, tenant_id: int, public_id: str, kind: str, principals: list[str], now: int, conversation_type: int = 0
) -> int:
    """Open a conversation and seat its participants; return conversation_id."""
    conversation_id = tx.insert(
        """
        INSERT INTO conversations (tenant_id, public_id, kind, type, tag, created_at)
        VALUES (%(tenant_id)s, %(public_id)s, %(kind)s, %(type)s, %(tag)s, %(now)s)
        """,
        tenant_id=tenant_id,
        public_id=public_id.encode(),
        kind=kind,
        type=conversation_type,
        tag=ids.compute_tag(public_id, conversation_type),
        now=now,
    )
    seat = {"conversation_id": conversation_id, "tenant_id": tenant_id, "now": now}
    tx.execute_many(
        """
        INSERT INTO participants (conversation_id, principal, tenant_id, joined_at)
        VALUES (%(conversation_id)s, %(principal)s, %(tenant_id)s, %(now)s)
        """,
        [{**seat, "principal": principal.encode()} for principal in principals],
    )
    return conversation_id


def append(
    tx: Tx, tenant_id: int, kind: str | None, public_id: str, sender: str, draft: NewMessage, now: int
) -> StoredMessage | None:
    """Number and store a message in one round trip, and promise to tell those who take part where they are many.

    None unless the sender may write there, in one of that kind.

    The row lock that numbers is taken and freed inside the packet, so no network stands between two senders. Locks
    are taken in one order everywhere: the conversation, its seats, its messages. (STRAIGHT_JOIN reads, and so locks, in
    that order; by SET … = (SELECT …) two senders would share the lock, and then deadlock. MOD: & is unsigned, and
    GREATEST of both kinds a DECIMAL.)
    No step asks ROW_COUNT() for what the one before did: where the client has gone, a server goes on with the packet,
    COMMIT and all, and ROW_COUNT() is -1 after the first answer that it could not send.
    Raises mysql.DuplicateKeyError("idempotency_key") for a key that is stored already, and
    ("message_id") for a clash of ids.
    """
    *_, rows, _ = tx.execute_packet(
        f"""
        SET @seq = NULL;
        START TRANSACTION;
        SELECT c.conversation_id, c.last_seq + 1, GREATEST(c.last_tick + 1, %(tick)s + MOD(c.last_seq, 4096)),
               c.last_tick, c.tag, c.changes
        INTO @conversation, @seq, @tick, @prev_tick, @tag, @changes
        FROM conversations c STRAIGHT_JOIN participants p
            ON p.conversation_id = c.conversation_id AND p.principal = %(sender)s AND p.left_at IS NULL
        WHERE c.public_id = %(public_id)s AND c.tenant_id = %(tenant_id)s AND (%(kind)s IS NULL OR c.kind = %(kind)s)
          AND c.archived_at IS NULL
        FOR UPDATE;
        INSERT INTO messages
            (conversation_id, seq, tenant_id, tick, tag,
             sender, endpoint, idempotency_key, type, content, object_key, sent_at, status, extra)
        SELECT @conversation, @seq, %(tenant_id)s, @tick, @tag,
               %(sender)s, %(endpoint)s, %(idempotency_key)s, %(type)s, %(content)s, %(object_key)s, %(now)s,
               %(status)s, %(extra)s
        FROM DUAL WHERE @seq IS NOT NULL;
        UPDATE conversations c JOIN participants p
            ON p.conversation_id = c.conversation_id AND p.principal = %(sender)s
        SET c.last_seq = @seq, c.prev_tick = @prev_tick, c.last_tick = @tick, p.own_after_read = p.own_after_read + 1,
            c.archived_at = IF(%(closes)s, %(now)s, NULL)
        WHERE c.conversation_id = @conversation AND @seq IS NOT NULL;
        {ENQUEUE_LARGE_CONVERSATION if kind != "consult" else ""}
        {draft.enqueue_sql}
        SELECT CONCAT_WS(' ', @seq, @tick, @prev_tick, @tag, @changes) AS head, principal FROM participants
        WHERE conversation_id = @conversation AND @seq IS NOT NULL AND left_at IS NULL
        LIMIT {MAX_INLINE_RECIPIENTS + 1};
        COMMIT
        """,
        tenant_id=tenant_id,
        kind=kind,
        public_id=public_id.encode(),
        sender=sender.encode(),
        endpoint=draft.endpoint,
        idempotency_key=draft.idempotency_key.encode() if draft.idempotency_key else None,
        type=draft.type,
        content=draft.content,
        object_key=draft.object_key.encode(),
        status=draft.status,
        extra=draft.extra,
        closes=draft.closes_conversation,
        tick=ids.compute_first_tick(now),
        now=now,
    )
    if not rows:
        return None
    seq, tick, prev_tick, tag, changes = map(int, rows[0]["head"].split())  # one column: each costs more than its value
    message_id = ids.encode(tick, tag)
    said = (draft.type, draft.content, draft.object_key, now)
    message = Message(seq, message_id, sender, *said, status=draft.status, extra=draft.extra)
    prev_id = ids.encode(prev_tick, tag) if seq > 1 else ""
    return StoredMessage(
        message, prev_id, changes, list_inline_recipients(rows), is_large_conversation=len(rows) > MAX_INLINE_RECIPIENTS
    )


def find_by_idempotency_key(
    tx: Tx, tenant_id: int, sender: str, draft: NewMessage
) -> tuple[str, str, str, str, StoredMessage] | None:
    """Return what an idempotency key names: public id, and text, object and extra as they were sent; the message as
    it is now."""
    row = tx.fetch_one(
        """
        SELECT c.public_id, c.changes, m.conversation_id, m.seq, m.tick, m.tag, m.sender, m.type, m.content,
               m.object_key, m.sent_at, m.withdrawn_at, m.status, m.extra, before_it.tick AS prev_tick
        FROM messages m
        JOIN conversations c ON c.conversation_id = m.conversation_id
        LEFT JOIN messages before_it
            ON before_it.conversation_id = m.conversation_id AND before_it.seq = m.seq - 1
        WHERE m.tenant_id = %(tenant_id)s AND m.sender = %(sender)s
          AND m.endpoint = %(endpoint)s AND m.idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        sender=sender.encode(),
        endpoint=draft.endpoint,
        idempotency_key=(draft.idempotency_key or "").encode(),
    )
    if row is None:
        return None
    prev_id = ids.encode(row["prev_tick"], row["tag"]) if row["prev_tick"] else ""
    principals = list_inline_recipients(tx.fetch_all(SELECT_RECIPIENTS, conversation_id=row["conversation_id"]))
    written = StoredMessage(parse_message(row), prev_id, row["changes"], principals)
    return row["public_id"].decode(), row["content"], row["object_key"].decode(), row["extra"], written


def is_archived(tx: Tx, tenant_id: int, kind: str | None, public_id: str, principal: str) -> bool:
    """True for an archived conversation (of that kind) that the principal takes part in."""
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


def withdraw(
    tx: Tx, tenant_id: int, public_id: str, message_id: str, principal: str, since: int, now: int
) -> StoredMessage | None:
    """Withdraw a message and count the change; None unless it is the principal's own, sent after `since`.

    principal "" withdraws anybody's. Withdrawing twice changes nothing and answers the same.
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
    mine = row is not None and (not principal or (row["sender"].decode() == principal and row["sent_at"] > since))
    if row is None or not mine:
        return None
    at = {"conversation_id": row["conversation_id"], "seq": row["seq"]}
    first_time = row["withdrawn_at"] is None
    if first_time:
        tx.execute("UPDATE conversations SET changes = changes + 1 WHERE conversation_id = %(conversation_id)s", **at)
        tx.execute(
            "UPDATE messages SET withdrawn_at = %(now)s WHERE conversation_id = %(conversation_id)s AND seq = %(seq)s",
            **at,
            now=now,
        )
    changes = tx.fetch_value("SELECT changes FROM conversations WHERE conversation_id = %(conversation_id)s", **at)
    rows = tx.fetch_all(SELECT_RECIPIENTS, **at)
    many = len(rows) > MAX_INLINE_RECIPIENTS
    if many and first_time:
        promised = json.dumps({"kind": "withdrawn", "conversation": public_id, "seq": row["seq"]})
        outbox_store.insert(tx, tenant_id, Job.NOTIFY_LARGE_CONVERSATION, None, promised, now)
    gone = parse_message({**row, "withdrawn_at": now})
    return StoredMessage(
        gone, "", changes, list_inline_recipients(rows), counts_as_change=first_time, is_large_conversation=many
    )


def list_inline_recipients(rows: list[Row]) -> list[str]:
    """The participants, or none of them where they are too many."""
    return [row["principal"].decode() for row in rows] if len(rows) <= MAX_INLINE_RECIPIENTS else []


def parse_message(row: Row) -> Message:
    """A row of messages as participants may see it."""
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
