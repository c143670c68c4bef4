"""SQL of conversations and their participants."""

from dataclasses import dataclass

from chalicelib.adapters.mysql import Tx
from chalicelib.messaging import ids, listings
from chalicelib.messaging.models import ConversationSummary
from chalicelib.messaging.store import MAX_INLINE_RECIPIENTS


@dataclass(frozen=True, slots=True)
class LockedConversation:
    """A conversation whose row is locked."""

    last_seq: int
    archived: bool


@dataclass(frozen=True, slots=True)
class LockedParticipant:
    """A current or former participant whose row is locked."""

    has_left: bool
    was_removed: bool  # by someone else, as opposed to having left


@dataclass(frozen=True, slots=True)
class IdempotentConversation:
    """The conversation that an idempotency key names, and the digest of the request that created it."""

    public_id: str
    request_digest: bytes


def find_conversation_id(tx: Tx, tenant_id: int, public_id: str, kinds: tuple[str, ...]) -> int | None:
    """Return the conversation_id of a tenant's conversation of these kinds, None if there is none."""
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


def find_by_key_range(tx: Tx, tenant_id: int, creator: str, after: str, key: str) -> str | None:
    """Return the public id of a conversation that the creator has made under a key in (after, key]."""
    found: bytes | None = tx.fetch_value(
        """
        SELECT public_id FROM conversations
        WHERE tenant_id = %(tenant_id)s AND creator = %(creator)s
          AND idempotency_key > %(after)s AND idempotency_key <= %(key)s
        ORDER BY idempotency_key DESC LIMIT 1
        """,
        tenant_id=tenant_id,
        creator=creator.encode(),
        after=after.encode(),
        key=key.encode(),
    )
    return found.decode() if found else None


def set_creator(tx: Tx, conversation_id: int, creator: str, idempotency_key: str, request_digest: bytes) -> None:
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
        idempotency_key=idempotency_key.encode(),
        request_digest=request_digest,
    )


def find_by_idempotency_key(
    tx: Tx, tenant_id: int, creator: str, idempotency_key: str
) -> IdempotentConversation | None:
    """Return the conversation that the creator has made under this key."""
    row = tx.fetch_one(
        """
        SELECT public_id, request_digest FROM conversations
        WHERE tenant_id = %(tenant_id)s AND creator = %(creator)s AND idempotency_key = %(idempotency_key)s
        """,
        tenant_id=tenant_id,
        creator=creator.encode(),
        idempotency_key=idempotency_key.encode(),
    )
    return IdempotentConversation(row["public_id"].decode(), row["request_digest"]) if row else None


def insert_and_lock_participants(
    tx: Tx, tenant_id: int, conversation_id: int, principals: list[str], now: int
) -> dict[str, LockedParticipant]:
    """Lock the participants' rows and return them by principal. A missing row is inserted as one that has left."""
    participant = {"conversation_id": conversation_id, "tenant_id": tenant_id, "now": now}
    tx.execute_many(
        """
        INSERT INTO participants (conversation_id, principal, tenant_id, joined_at, left_at)
        VALUES (%(conversation_id)s, %(principal)s, %(tenant_id)s, %(now)s, %(now)s)
        ON DUPLICATE KEY UPDATE participants.tenant_id = participants.tenant_id
        """,
        [{**participant, "principal": principal.encode()} for principal in sorted(principals)],
    )
    return lock_participants(tx, conversation_id, principals)


def lock_participants(tx: Tx, conversation_id: int, principals: list[str]) -> dict[str, LockedParticipant]:
    """Lock the rows of these current and former participants and return them by principal."""
    rows = tx.fetch_all(
        """
        SELECT principal, left_at, removed_at FROM participants
        WHERE conversation_id = %(conversation_id)s AND principal IN %(principals)s
        ORDER BY principal FOR UPDATE
        """,
        conversation_id=conversation_id,
        principals=[principal.encode() for principal in principals],
    )
    return {
        row["principal"].decode(): LockedParticipant(row["left_at"] is not None, row["removed_at"] is not None)
        for row in rows
    }


def lock_conversation(tx: Tx, conversation_id: int) -> LockedConversation:
    """Lock the conversation's row, which must be done before any of its participants' rows."""
    row = tx.fetch_one(
        "SELECT last_seq, archived_at FROM conversations WHERE conversation_id = %(conversation_id)s FOR UPDATE",
        conversation_id=conversation_id,
    )
    assert row is not None, "conversations are never deleted"
    return LockedConversation(row["last_seq"], row["archived_at"] is not None)


def set_joined(tx: Tx, conversation_id: int, principals: list[str], last_seq: int, now: int) -> None:
    """Let these principals take part. For those who did not, messages of others after last_seq are unread."""
    tx.execute(
        """
        UPDATE participants
        SET left_at = NULL, removed_at = NULL, joined_at = %(now)s, read_seq = %(last_seq)s, hidden_seq = 0,
            own_after_read = (
                SELECT COUNT(*) FROM messages m
                WHERE m.conversation_id = participants.conversation_id AND m.seq > %(last_seq)s
                  AND m.sender = participants.principal
            ),
            withdrawn_after_read = (
                SELECT COUNT(*) FROM messages m
                WHERE m.conversation_id = participants.conversation_id AND m.seq > %(last_seq)s
                  AND m.sender <> participants.principal AND m.withdrawn_at IS NOT NULL
            )
        WHERE conversation_id = %(conversation_id)s AND principal IN %(principals)s AND left_at IS NOT NULL
        """,
        conversation_id=conversation_id,
        principals=[principal.encode() for principal in principals],
        last_seq=last_seq,
        now=now,
    )


def set_left(tx: Tx, conversation_id: int, principals: list[str], now: int, removed: bool) -> None:
    """End the participation of these principals.

    Args:
        removed: by another, so that they cannot join again by themselves.
    """
    tx.execute(
        """
        UPDATE participants
        SET left_at = COALESCE(left_at, %(now)s), removed_at = IF(%(removed)s, %(now)s, removed_at)
        WHERE conversation_id = %(conversation_id)s AND principal IN %(principals)s
        """,
        conversation_id=conversation_id,
        principals=[principal.encode() for principal in principals],
        now=now,
        removed=removed,
    )


def count_participants(tx: Tx, conversation_id: int) -> int:
    """Return the number of current participants, and record whether they are many.

    To be called after each change of their number, under the conversation's lock.
    """
    count = int(
        tx.fetch_value(
            "SELECT COUNT(*) FROM participants WHERE conversation_id = %(conversation_id)s AND left_at IS NULL",
            conversation_id=conversation_id,
        )
    )
    tx.execute(
        "UPDATE conversations SET is_large = %(is_large)s WHERE conversation_id = %(conversation_id)s",
        conversation_id=conversation_id,
        is_large=count > MAX_INLINE_RECIPIENTS,
    )
    return count


def set_archived(tx: Tx, tenant_id: int, public_ids: list[str], kinds: tuple[str, ...], archived_at: int | None) -> int:
    """Archive conversations, or reopen them if archived_at is None; return how many of them exist."""
    found = tx.execute(
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
    rows = tx.fetch_all(
        "SELECT conversation_id FROM conversations WHERE public_id IN %(public_ids)s AND tenant_id = %(tenant_id)s",
        public_ids=sorted(public_id.encode() for public_id in public_ids),
        tenant_id=tenant_id,
    )
    listings.copy_to_participants(tx, tenant_id, [row["conversation_id"] for row in rows])
    return found


LIST_JOINED_SQL = """
    SELECT c.public_id
    FROM participants p FORCE INDEX (by_principal) JOIN conversations c ON c.conversation_id = p.conversation_id
    WHERE p.tenant_id = %(tenant_id)s AND p.principal = %(principal)s AND p.left_at IS NULL
      AND p.conversation_id < %(before)s
    ORDER BY p.conversation_id DESC LIMIT %(limit)s
"""


def list_joined(tx: Tx, tenant_id: int, principal: str, before: int, limit: int) -> list[str]:
    """Return the public ids of conversations in which a principal takes part, the newest first.

    Args:
        before: conversation_id; only conversations that were created earlier.
    """
    rows = tx.fetch_all(LIST_JOINED_SQL, tenant_id=tenant_id, principal=principal.encode(), before=before, limit=limit)
    return [row["public_id"].decode() for row in rows]


def find_joined_id(tx: Tx, tenant_id: int, public_id: str, principal: str) -> int | None:
    """Return the conversation_id of a conversation in which the principal takes or took part, or None."""
    found: int | None = tx.fetch_value(
        """
        SELECT c.conversation_id
        FROM conversations c JOIN participants p ON p.conversation_id = c.conversation_id
        WHERE c.public_id = %(public_id)s AND c.tenant_id = %(tenant_id)s AND p.principal = %(principal)s
        """,
        public_id=public_id.encode(),
        tenant_id=tenant_id,
        principal=principal.encode(),
    )
    return found


def find_summary(tx: Tx, tenant_id: int, public_id: str, principal: str) -> ConversationSummary | None:
    """Return what a participant may know of a conversation; None if the principal does not take part."""
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
