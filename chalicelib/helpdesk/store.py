"""Chats and their messages in MySQL. Nothing is decided here."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.messaging import ids

CONVERSATION_COLUMNS = "c.conversation_id, c.public_id, c.kind, c.last_seq, c.archived_at IS NOT NULL AS archived"
DISPLAY_NAME_SQL = """
    COALESCE(s.name, NULLIF(a.name, ''),
             (SELECT m.name FROM members m WHERE m.user_id = a.user_id ORDER BY m.is_default DESC, m.member_id LIMIT 1))
"""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation in which somebody has a seat."""

    conversation_id: int
    public_id: str
    kind: str
    last_seq: int
    archived: bool


def list_conversations(tx: Tx, tenant_id: int, principal: str, named: Collection[str]) -> list[Conversation]:
    """Find conversations through the principal's seat, each by its public id or, as text, its number."""
    numbers = [int(one) for one in named if one.isascii() and one.isdigit() and len(one) < 16]
    rows = tx.fetch_all(
        f"""
        SELECT {CONVERSATION_COLUMNS} FROM conversations c JOIN participants p
            ON p.conversation_id = c.conversation_id AND p.principal = %(principal)s AND p.left_at IS NULL
        WHERE c.tenant_id = %(tenant_id)s AND (c.public_id IN %(names)s OR c.conversation_id IN %(numbers)s)
        """,
        tenant_id=tenant_id,
        principal=principal.encode(),
        names=sorted(one.encode() for one in named),
        numbers=numbers or [0],
    )
    return [_build_conversation(row) for row in rows]


def find_chat(tx: Tx, tenant_id: int, principal: str, kind: str, user_id: int, peer_id: int) -> Conversation | None:
    """Find a chat through the principal's seat."""
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
    """Return the public ids of those of the chats that there are, by (user_id, peer_id)."""
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
    """Raises mysql.DuplicateKeyError("pair") where there is one already."""
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
    """Return the public ids of the desk's chats in which one of the others serves somebody, or is served by them, by
    the other's user id."""
    rows = tx.fetch_all(
        """
        SELECT agent_id AS other, session_id FROM chats
        WHERE tenant_id = %(tenant_id)s AND kind = 'desk' AND user_id = %(user_id)s AND peer_id = 0
          AND agent_id IN %(others)s
        UNION ALL
        SELECT user_id, session_id FROM chats
        WHERE tenant_id = %(tenant_id)s AND kind = 'desk' AND user_id IN %(others)s AND peer_id = 0
          AND agent_id = %(user_id)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        others=sorted(others),
    )
    return {row["other"]: row["session_id"].decode() for row in rows}


def list_shared_conversations(tx: Tx, tenant_id: int, principal: str, other: str) -> list[Conversation]:
    """Return the chats in which both sit, or the other one has sat; groups are none."""
    rows = tx.fetch_all(
        f"""
        SELECT {CONVERSATION_COLUMNS}
        FROM participants q
        JOIN conversations c ON c.conversation_id = q.conversation_id AND c.kind IN ('direct', 'desk', 'consult')
        JOIN participants p
            ON p.conversation_id = c.conversation_id AND p.principal = %(principal)s AND p.left_at IS NULL
           AND p.tenant_id = q.tenant_id
        WHERE q.tenant_id = %(tenant_id)s AND q.principal = %(other)s
        """,
        tenant_id=tenant_id,
        principal=principal.encode(),
        other=other.encode(),
    )
    return [_build_conversation(row) for row in rows]


def get_people(tx: Tx, tenant_id: int, user_ids: Collection[int]) -> dict[int, Row]:
    """Return kind (patient or staff), name and disabled of those of the ids that are people of the tenant."""
    rows = tx.fetch_all(
        f"""
        SELECT p.user_id, p.kind, {DISPLAY_NAME_SQL} AS name, s.disabled_at IS NOT NULL AS disabled
        FROM people p
        LEFT JOIN accounts a ON a.user_id = p.user_id
        LEFT JOIN staff s ON s.user_id = p.user_id
        WHERE p.tenant_id = %(tenant_id)s AND p.user_id IN %(user_ids)s
        """,
        tenant_id=tenant_id,
        user_ids=sorted(user_ids),
    )
    return {row["user_id"]: row for row in rows}


def count_unread(tx: Tx, tenant_id: int, principal: str) -> int:
    """Return how many messages, in all conversations, somebody has not read. What they took off their list is not
    counted until it comes back."""
    found = tx.fetch_value(
        """
        SELECT SUM(GREATEST(c.last_seq - p.read_seq - p.own_after_read, 0))
        FROM participants p JOIN conversations c ON c.conversation_id = p.conversation_id
        WHERE p.tenant_id = %(tenant_id)s AND p.principal = %(principal)s AND p.left_at IS NULL
          AND c.last_seq > p.hidden_seq
        """,
        tenant_id=tenant_id,
        principal=principal.encode(),
    )
    return int(found or 0)


def find_sender(tx: Tx, tenant_id: int, senders: Collection[str], endpoint: str, idempotency_key: str) -> str:
    """Return which of these has sent something under a key, "" where none has."""
    found: bytes | None = tx.fetch_value(
        """
        SELECT sender FROM messages
        WHERE tenant_id = %(tenant_id)s AND sender IN %(senders)s AND endpoint = %(endpoint)s
          AND idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        senders=[one.encode() for one in senders],
        endpoint=endpoint,
        idempotency_key=idempotency_key.encode(),
    )
    return found.decode() if found else ""


def find_message(tx: Tx, tenant_id: int, message_id: str, principal: str) -> Row | None:
    """Find a message through the principal's seat ("" needs none): conversation_id, seq, public_id, sender,
    extra and withdrawn."""
    tick, tag = ids.decode(message_id)
    return tx.fetch_one(
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


def upsert_appraisal(tx: Tx, tenant_id: int, user_id: int, message: Row, appraise: int, now: int) -> None:
    tx.execute(
        """
        INSERT INTO appraisals (conversation_id, seq, user_id, tenant_id, appraise, at)
        VALUES (%(conversation_id)s, %(seq)s, %(user_id)s, %(tenant_id)s, %(appraise)s, %(now)s)
        ON DUPLICATE KEY UPDATE appraise = %(appraise)s, at = %(now)s
        """,
        conversation_id=message["conversation_id"],
        seq=message["seq"],
        user_id=user_id,
        tenant_id=tenant_id,
        appraise=appraise,
        now=now,
    )


def get_appraisals(tx: Tx, conversation_id: int, user_id: int, seqs: Iterable[int]) -> dict[int, int]:
    """Return what somebody thinks of these messages, by seq."""
    rows = tx.fetch_all(
        """
        SELECT seq, appraise FROM appraisals
        WHERE conversation_id = %(conversation_id)s AND seq IN %(seqs)s AND user_id = %(user_id)s
        """,
        conversation_id=conversation_id,
        user_id=user_id,
        seqs=sorted(seqs),
    )
    return {row["seq"]: row["appraise"] for row in rows}


def _build_conversation(row: Row) -> Conversation:
    return Conversation(
        row["conversation_id"], row["public_id"].decode(), row["kind"], row["last_seq"], bool(row["archived"])
    )
