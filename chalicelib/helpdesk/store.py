"""SQL of chats, their participants and their messages.

A conversation is found through the caller's participant row, so that access needs no check of its own.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.messaging import ids
from chalicelib.messaging.models import TWO_PERSON_KINDS, ConversationKind

CONVERSATION_COLUMNS = "c.conversation_id, c.public_id, c.kind, c.last_seq, c.archived_at IS NOT NULL AS archived"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation of a participant."""

    conversation_id: int
    public_id: str
    kind: ConversationKind
    last_seq: int
    archived: bool


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """What withdrawing and rating need of a message."""

    conversation_id: int
    seq: int
    public_id: str  # of the conversation
    sender: str
    extra: str
    withdrawn: bool


def list_conversations(tx: Tx, tenant_id: int, principal: str, names: Collection[str]) -> list[Conversation]:
    """Return the principal's conversations with these names: each a public id or a conversation_id as text."""
    numbers = [int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 16]
    rows = tx.fetch_all(
        f"""
        SELECT {CONVERSATION_COLUMNS} FROM conversations c JOIN participants p
            ON p.conversation_id = c.conversation_id AND p.principal = %(principal)s AND p.left_at IS NULL
        WHERE c.tenant_id = %(tenant_id)s AND (c.public_id IN %(names)s OR c.conversation_id IN %(numbers)s)
        """,
        tenant_id=tenant_id,
        principal=principal.encode(),
        names=sorted(name.encode() for name in names),
        numbers=numbers or [0],
    )
    return [_build_conversation(row) for row in rows]


def find_chat(tx: Tx, tenant_id: int, principal: str, kind: str, user_id: int, peer_id: int) -> Conversation | None:
    """Return the chat of a pair if the principal takes part in it."""
    row = tx.fetch_one(
        f"""
        SELECT {CONVERSATION_COLUMNS}
        FROM chats t JOIN conversations c ON c.conversation_id = t.conversation_id JOIN participants p
            ON p.conversation_id = c.conversation_id AND p.principal = %(principal)s AND p.left_at IS NULL
        WHERE t.tenant_id = %(tenant_id)s AND t.kind = %(kind)s AND t.user_id = %(user_id)s AND t.peer_id = %(peer_id)s
        """,
        tenant_id=tenant_id,
        principal=principal.encode(),
        kind=kind,
        user_id=user_id,
        peer_id=peer_id,
    )
    return _build_conversation(row) if row else None


def get_session_ids(
    tx: Tx, tenant_id: int, kind: str, pairs: Collection[tuple[int, int]]
) -> dict[tuple[int, int], str]:
    """Return the session_ids of the existing chats among these, by (user_id, peer_id)."""
    rows = tx.fetch_all(
        """
        SELECT user_id, peer_id, session_id FROM chats
        WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND (user_id, peer_id) IN %(pairs)s
        """,
        tenant_id=tenant_id,
        kind=kind,
        pairs=sorted(pairs),
    )
    return {(row["user_id"], row["peer_id"]): row["session_id"].decode() for row in rows}


def insert_chat(
    tx: Tx, tenant_id: int, conversation_id: int, session_id: str, kind: str, pair: tuple[int, int], now: int
) -> None:
    """Insert the chat of a conversation.

    Raises:
        mysql.DuplicateKeyError: "user_and_peer" if the pair has one already.
    """
    tx.execute(
        """
        INSERT INTO chats (conversation_id, tenant_id, session_id, kind, user_id, peer_id, created_at)
        VALUES (%(conversation_id)s, %(tenant_id)s, %(session_id)s, %(kind)s, %(user_id)s, %(peer_id)s, %(now)s)
        """,
        conversation_id=conversation_id,
        tenant_id=tenant_id,
        session_id=session_id.encode(),
        kind=kind,
        user_id=pair[0],
        peer_id=pair[1],
        now=now,
    )


def get_desk_session_ids(tx: Tx, tenant_id: int, user_id: int, others: Collection[int]) -> dict[int, str]:
    """Return the session_ids of help desk chats between a user and each of the others, as patient and last agent.

    Returns:
        The session_ids by the other's user id.
    """
    rows = tx.fetch_all(
        """
        SELECT agent_id AS other, session_id FROM chats
        WHERE tenant_id = %(tenant_id)s AND kind = %(desk)s AND user_id = %(user_id)s AND peer_id = 0
          AND agent_id IN %(others)s
        UNION ALL
        SELECT user_id, session_id FROM chats
        WHERE tenant_id = %(tenant_id)s AND kind = %(desk)s AND user_id IN %(others)s AND peer_id = 0
          AND agent_id = %(user_id)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        others=sorted(others),
        desk=ConversationKind.DESK,
    )
    return {row["other"]: row["session_id"].decode() for row in rows}


def list_shared_conversations(tx: Tx, tenant_id: int, principal: str, other: str) -> list[Conversation]:
    """Return the principal's conversations of two persons in which the other takes or took part."""
    rows = tx.fetch_all(
        f"""
        SELECT {CONVERSATION_COLUMNS}
        FROM participants q
        JOIN conversations c ON c.conversation_id = q.conversation_id AND c.kind IN %(kinds)s
        JOIN participants p
            ON p.conversation_id = c.conversation_id AND p.principal = %(principal)s AND p.left_at IS NULL
           AND p.tenant_id = q.tenant_id
        WHERE q.tenant_id = %(tenant_id)s AND q.principal = %(other)s
        """,
        tenant_id=tenant_id,
        principal=principal.encode(),
        other=other.encode(),
        kinds=TWO_PERSON_KINDS,
    )
    return [_build_conversation(row) for row in rows]


def find_sender(tx: Tx, tenant_id: int, senders: Collection[str], endpoint: str, idempotency_key: str) -> str:
    """Return which of the senders has used an idempotency key, "" for none."""
    sender: bytes | None = tx.fetch_value(
        """
        SELECT sender FROM messages
        WHERE tenant_id = %(tenant_id)s AND sender IN %(senders)s AND endpoint = %(endpoint)s
          AND idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        senders=[sender.encode() for sender in senders],
        endpoint=endpoint,
        idempotency_key=idempotency_key.encode(),
    )
    return sender.decode() if sender else ""


def find_message(tx: Tx, tenant_id: int, message_id: str, principal: str) -> MessageRecord | None:
    """Return a message if the principal takes part in its conversation; a principal of "" finds any."""
    tick, tag = ids.decode(message_id)
    row = tx.fetch_one(
        """
        SELECT m.conversation_id, m.seq, c.public_id, m.sender, m.extra,
               m.withdrawn_at IS NOT NULL AS withdrawn
        FROM messages m
        JOIN conversations c ON c.conversation_id = m.conversation_id
        LEFT JOIN participants p
            ON p.conversation_id = c.conversation_id AND p.principal = %(principal)s AND p.left_at IS NULL
        WHERE m.tick = %(tick)s AND m.tag = %(tag)s AND m.tenant_id = %(tenant_id)s
          AND (%(principal)s = '' OR p.principal IS NOT NULL)
        """,
        tick=tick,
        tag=tag,
        tenant_id=tenant_id,
        principal=principal.encode(),
    )
    if row is None:
        return None
    return MessageRecord(
        row["conversation_id"],
        row["seq"],
        row["public_id"].decode(),
        row["sender"].decode(),
        row["extra"],
        bool(row["withdrawn"]),
    )


def upsert_rating(tx: Tx, tenant_id: int, user_id: int, message: MessageRecord, rating: int, now: int) -> None:
    """Set a reader's rating of a message: -1 or 1."""
    tx.execute(
        """
        INSERT INTO ratings (conversation_id, seq, user_id, tenant_id, rating, at)
        VALUES (%(conversation_id)s, %(seq)s, %(user_id)s, %(tenant_id)s, %(rating)s, %(now)s)
        ON DUPLICATE KEY UPDATE rating = %(rating)s, at = %(now)s
        """,
        conversation_id=message.conversation_id,
        seq=message.seq,
        user_id=user_id,
        tenant_id=tenant_id,
        rating=rating,
        now=now,
    )


def get_ratings(tx: Tx, conversation_id: int, user_id: int, seqs: Iterable[int]) -> dict[int, int]:
    """Return a reader's ratings of these messages, by seq."""
    rows = tx.fetch_all(
        """
        SELECT seq, rating FROM ratings
        WHERE conversation_id = %(conversation_id)s AND seq IN %(seqs)s AND user_id = %(user_id)s
        """,
        conversation_id=conversation_id,
        user_id=user_id,
        seqs=sorted(seqs),
    )
    return {row["seq"]: row["rating"] for row in rows}


def _build_conversation(row: Row) -> Conversation:
    return Conversation(
        row["conversation_id"],
        row["public_id"].decode(),
        ConversationKind(row["kind"]),
        row["last_seq"],
        bool(row["archived"]),
    )
