"""The conversation log in MySQL. Nothing is decided here."""

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.messaging import ids
from chalicelib.messaging.models import Draft, Message


def create(tx: Tx, tenant_id: int, public_id: str, kind: str, principals: list[str], now: int) -> int:
    """Open a conversation and seat its participants; return conversation_id."""
    conversation_id = tx.insert(
        """
        INSERT INTO conversations (tenant_id, public_id, kind, tag, created_at)
        VALUES (%(tenant_id)s, %(public_id)s, %(kind)s, %(tag)s, %(now)s)
        """,
        tenant_id=tenant_id,
        public_id=public_id.encode(),
        kind=kind,
        tag=ids.tag(public_id, 0),
        now=now,
    )
    for principal in principals:
        tx.run(
            """
            INSERT INTO participants (conversation_id, principal, tenant_id, joined_at)
            VALUES (%(conversation_id)s, %(principal)s, %(tenant_id)s, %(now)s)
            """,
            conversation_id=conversation_id,
            principal=principal.encode(),
            tenant_id=tenant_id,
            now=now,
        )
    return conversation_id


def append(tx: Tx, tenant_id: int, kind: str, public_id: str, sender: str, draft: Draft, now: int) -> Message | None:
    """Number and store a message in one round trip; None unless the sender may write there.

    The row lock that numbers is taken and freed inside the packet, so no network stands between two senders.
    Raises mysql.Duplicate("resend") for a retry key that is stored already, and ("message_id") for a clash of ids.
    """
    *_, rows, _ = tx.packet(
        """
        START TRANSACTION;
        UPDATE conversations
        SET last_seq = last_seq + 1, last_tick = GREATEST(last_tick + 1, %(tick)s + (last_seq & 4095))
        WHERE public_id = %(public_id)s AND tenant_id = %(tenant_id)s AND kind = %(kind)s AND archived_at IS NULL
          AND EXISTS (
            SELECT 1 FROM participants
            WHERE participants.conversation_id = conversations.conversation_id
              AND participants.principal = %(sender)s AND participants.left_at IS NULL
          );
        SET @numbered = ROW_COUNT();
        INSERT INTO messages
            (conversation_id, seq, tenant_id, tick, tag, sender, endpoint, retry_key, type, content, sent_at)
        SELECT conversation_id, last_seq, tenant_id, last_tick, tag,
               %(sender)s, %(endpoint)s, %(retry_key)s, %(type)s, %(content)s, %(now)s
        FROM conversations
        WHERE public_id = %(public_id)s AND @numbered = 1;
        SELECT last_seq, last_tick, tag FROM conversations WHERE public_id = %(public_id)s AND @numbered = 1;
        COMMIT
        """,
        tenant_id=tenant_id,
        kind=kind,
        public_id=public_id.encode(),
        sender=sender.encode(),
        endpoint=draft.endpoint,
        retry_key=draft.retry_key.encode() if draft.retry_key else None,
        type=draft.type,
        content=draft.content,
        tick=ids.first_tick(now),
        now=now,
    )
    if not rows:
        return None
    message_id = ids.encode(rows[0]["last_tick"], rows[0]["tag"])
    return Message(rows[0]["last_seq"], message_id, sender, draft.type, draft.content, now)


def find_sent(tx: Tx, tenant_id: int, sender: str, draft: Draft) -> tuple[str, Message]:
    """Return the public id and the message that a retry key names. It must be stored."""
    row = tx.one(
        """
        SELECT c.public_id, m.seq, m.tick, m.tag, m.sender, m.type, m.content, m.sent_at
        FROM messages m JOIN conversations c ON c.conversation_id = m.conversation_id
        WHERE m.tenant_id = %(tenant_id)s AND m.sender = %(sender)s
          AND m.endpoint = %(endpoint)s AND m.retry_key = %(retry_key)s
        """,
        tenant_id=tenant_id,
        sender=sender.encode(),
        endpoint=draft.endpoint,
        retry_key=(draft.retry_key or "").encode(),
    )
    assert row is not None
    return row["public_id"].decode(), _message(row)


def is_archived(tx: Tx, tenant_id: int, kind: str, public_id: str, principal: str) -> bool:
    """True for an archived conversation that the principal takes part in."""
    found = tx.value(
        """
        SELECT 1
        FROM conversations c JOIN participants p ON p.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s AND c.tenant_id = %(tenant_id)s AND c.kind = %(kind)s
          AND c.archived_at IS NOT NULL AND p.principal = %(principal)s AND p.left_at IS NULL
        """,
        public_id=public_id.encode(),
        tenant_id=tenant_id,
        kind=kind,
        principal=principal.encode(),
    )
    return found is not None


def last_seq(tx: Tx, public_id: str) -> int:
    """Return the newest message's seq; 0 where there is none."""
    found = tx.value("SELECT last_seq FROM conversations WHERE public_id = %(public_id)s", public_id=public_id.encode())
    return int(found or 0)


def newest(tx: Tx, public_id: str, limit: int) -> list[Message]:
    """Return the newest messages, newest first."""
    rows = tx.all(
        """
        SELECT m.seq, m.tick, m.tag, m.sender, m.type, m.content, m.sent_at
        FROM conversations c JOIN messages m ON m.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s
        ORDER BY m.seq DESC LIMIT %(limit)s
        """,
        public_id=public_id.encode(),
        limit=limit,
    )
    return [_message(row) for row in rows]


def older(tx: Tx, public_id: str, message_id: str, limit: int) -> list[Message] | None:
    """Return messages strictly older than the given one, newest first; None where it is not of this conversation."""
    tick, tag = ids.decode(message_id)
    at = tx.one(
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
    rows = tx.all(
        """
        SELECT seq, tick, tag, sender, type, content, sent_at FROM messages
        WHERE conversation_id = %(conversation_id)s AND seq < %(seq)s
        ORDER BY seq DESC LIMIT %(limit)s
        """,
        **at,
        limit=limit,
    )
    return [_message(row) for row in rows]


def _message(row: Row) -> Message:
    message_id = ids.encode(row["tick"], row["tag"])
    return Message(row["seq"], message_id, row["sender"].decode(), row["type"], row["content"], row["sent_at"])
