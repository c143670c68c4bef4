"""Who sits in which conversation, in MySQL. Nothing is decided here."""

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.messaging import ids
from chalicelib.messaging.models import ConversationSummary


def find_conversation_id(tx: Tx, tenant_id: int, public_id: str, kinds: tuple[str, ...]) -> int | None:
    """Return the conversation_id of a tenant's conversation of these kinds."""
    found: int | None = tx.fetch_value(
        """
        SELECT conversation_id FROM conversations
        WHERE public_id = %(public_id)s AND tenant_id = %(tenant_id)s AND kind IN %(kinds)s
        """,
        public_id=public_id.encode(),
        tenant_id=tenant_id,
        kinds=kinds,
    )
    return found


def set_creator(tx: Tx, conversation_id: int, creator: str, idempotency_key: str | None, request_digest: bytes) -> None:
    """Set a conversation's creator and idempotency key.

    Raises:
        mysql.DuplicateKeyError: "idempotency_key" if the creator has used the key before.
    """
    tx.execute(
        """
        UPDATE conversations
        SET creator = %(creator)s, idempotency_key = %(idempotency_key)s, request_digest = %(request_digest)s
        WHERE conversation_id = %(conversation_id)s
        """,
        conversation_id=conversation_id,
        creator=creator.encode(),
        idempotency_key=idempotency_key.encode() if idempotency_key else None,
        request_digest=request_digest,
    )


def find_by_idempotency_key(tx: Tx, tenant_id: int, creator: str, idempotency_key: str) -> tuple[str, bytes] | None:
    """Return the public id of what was made under a key, and what it was made of."""
    row = tx.fetch_one(
        """
        SELECT public_id, request_digest FROM conversations
        WHERE tenant_id = %(tenant_id)s AND creator = %(creator)s AND idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        creator=creator.encode(),
        idempotency_key=idempotency_key.encode(),
    )
    return (row["public_id"].decode(), row["request_digest"]) if row else None


def insert_and_lock_participants(
    tx: Tx, tenant_id: int, conversation_id: int, principals: list[str], now: int
) -> dict[str, Row]:
    """Lock these principals' seats, and return them; who has none gets one that nobody sits in."""
    seat = {"conversation_id": conversation_id, "tenant_id": tenant_id, "now": now}
    tx.execute_many(
        """
        INSERT INTO participants (conversation_id, principal, tenant_id, joined_at, left_at)
        VALUES (%(conversation_id)s, %(principal)s, %(tenant_id)s, %(now)s, %(now)s)
        ON DUPLICATE KEY UPDATE participants.tenant_id = participants.tenant_id
        """,
        [{**seat, "principal": principal.encode()} for principal in sorted(principals)],
    )
    return lock_participants(tx, conversation_id, principals)


def lock_participants(tx: Tx, conversation_id: int, principals: list[str]) -> dict[str, Row]:
    """Lock the seats that these principals have or had, and return them."""
    rows = tx.fetch_all(
        """
        SELECT principal, left_at, removed_at FROM participants
        WHERE conversation_id = %(conversation_id)s AND principal IN %(principals)s
        ORDER BY principal FOR UPDATE
        """,
        conversation_id=conversation_id,
        principals=[principal.encode() for principal in principals],
    )
    return {row["principal"].decode(): row for row in rows}


def lock_conversation(tx: Tx, conversation_id: int) -> Row:
    """Lock the conversation, which is done before any of its seats."""
    row = tx.fetch_one(
        "SELECT last_seq, archived_at FROM conversations WHERE conversation_id = %(conversation_id)s FOR UPDATE",
        conversation_id=conversation_id,
    )
    assert row is not None, "conversations are never deleted"
    return row


def set_joined(tx: Tx, conversation_id: int, principals: list[str], last_seq: int, now: int) -> None:
    """Seat those who do not sit; what was said before is not unread for them."""
    tx.execute(
        """
        UPDATE participants
        SET left_at = NULL, removed_at = NULL, joined_at = %(now)s, read_seq = %(last_seq)s, own_after_read = 0,
            hidden_seq = 0
        WHERE conversation_id = %(conversation_id)s AND principal IN %(principals)s AND left_at IS NOT NULL
        """,
        conversation_id=conversation_id,
        principals=[principal.encode() for principal in principals],
        last_seq=last_seq,
        now=now,
    )


def set_left(tx: Tx, conversation_id: int, principals: list[str], now: int, kicked: bool) -> None:
    tx.execute(
        """
        UPDATE participants
        SET left_at = COALESCE(left_at, %(now)s), removed_at = IF(%(kicked)s, %(now)s, removed_at)
        WHERE conversation_id = %(conversation_id)s AND principal IN %(principals)s
        """,
        conversation_id=conversation_id,
        principals=[principal.encode() for principal in principals],
        now=now,
        kicked=kicked,
    )


def count_participants(tx: Tx, conversation_id: int) -> int:
    """Return how many sit there; exact under the conversation's lock."""
    return int(
        tx.fetch_value(
            "SELECT COUNT(*) FROM participants WHERE conversation_id = %(conversation_id)s AND left_at IS NULL",
            conversation_id=conversation_id,
        )
    )


def set_archived(tx: Tx, tenant_id: int, public_ids: list[str], kinds: tuple[str, ...], archived_at: int | None) -> int:
    """Archive conversations, or with None open them again; return how many of them there are."""
    return tx.execute(
        """
        UPDATE conversations
        SET archived_at = IF(%(archived_at)s IS NULL, NULL, COALESCE(archived_at, %(archived_at)s))
        WHERE public_id IN %(public_ids)s AND tenant_id = %(tenant_id)s AND kind IN %(kinds)s
        """,
        public_ids=sorted(public_id.encode() for public_id in public_ids),
        tenant_id=tenant_id,
        kinds=kinds,
        archived_at=archived_at,
    )


def list_joined(tx: Tx, tenant_id: int, principal: str) -> list[str]:
    """Return the public ids of all conversations that a principal sits in, the youngest conversation first."""
    rows = tx.fetch_all(
        """
        SELECT c.public_id
        FROM participants p JOIN conversations c ON c.conversation_id = p.conversation_id
        WHERE p.tenant_id = %(tenant_id)s AND p.principal = %(principal)s AND p.left_at IS NULL
        ORDER BY p.conversation_id DESC
        """,
        tenant_id=tenant_id,
        principal=principal.encode(),
    )
    return [row["public_id"].decode() for row in rows]


def find_summary(tx: Tx, tenant_id: int, public_id: str, principal: str) -> ConversationSummary | None:
    """Return what a participant may know of a conversation; None for somebody who does not sit there."""
    row = tx.fetch_one(
        """
        SELECT c.type, c.archived_at IS NOT NULL AS archived,
               p.hidden_seq > 0 AND c.last_seq <= p.hidden_seq AS hidden, m.tick, m.tag, m.sender, m.sent_at
        FROM conversations c
        JOIN participants p ON p.conversation_id = c.conversation_id
        LEFT JOIN messages m ON m.conversation_id = c.conversation_id AND m.seq = c.last_seq
        WHERE c.public_id = %(public_id)s AND c.tenant_id = %(tenant_id)s
          AND p.principal = %(principal)s AND p.left_at IS NULL
        """,
        public_id=public_id.encode(),
        tenant_id=tenant_id,
        principal=principal.encode(),
    )
    if row is None:
        return None
    last = (ids.encode(row["tick"], row["tag"]), row["sender"].decode(), row["sent_at"]) if row["tick"] else None
    return ConversationSummary(row["type"], bool(row["archived"]), bool(row["hidden"]), last)
