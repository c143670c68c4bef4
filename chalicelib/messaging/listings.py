"""What a participant's row copies from its conversation, so that lists are read from one index (by_activity).

The packet that writes a message updates the copies of up to store.MAX_INLINE_RECIPIENTS participants, the job of a
large conversation those of all. Whatever else changes a conversation or who takes part in it calls
`copy_to_participants`, under the lock of the conversation's row.
"""

from collections.abc import Collection
from enum import IntEnum

from chalicelib.adapters.mysql import Tx


class ListState(IntEnum):
    """participants.list_state, which the server computes: the part of the participant's list, NULL for none."""

    OPEN = 0  # accepts messages; all are read
    OPEN_UNREAD = 1
    CLOSED = 2  # archived
    CLOSED_UNREAD = 3


UNREAD_STATES = (ListState.OPEN_UNREAD, ListState.CLOSED_UNREAD)

# The position of a conversation without messages is that of its creation: see ids.compute_first_tick.
_ACTIVE_TICK_SQL = "IF(c.last_seq = 0, (c.created_at DIV 1000) * 4096, c.last_tick)"


def copy_to_participants(tx: Tx, tenant_id: int, conversation_ids: Collection[int]) -> None:
    """Copy the state of conversations, whose rows are locked, to their present participants."""
    tx.execute(
        f"""
        UPDATE conversations c STRAIGHT_JOIN participants p ON p.conversation_id = c.conversation_id
        SET p.newest_seq = c.last_seq, p.active_tick = {_ACTIVE_TICK_SQL}, p.archived = (c.archived_at IS NOT NULL)
        WHERE c.conversation_id IN %(conversation_ids)s AND c.tenant_id = %(tenant_id)s AND p.left_at IS NULL
        """,
        conversation_ids=sorted(conversation_ids) or [0],
        tenant_id=tenant_id,
    )


def set_peers(tx: Tx, tenant_id: int, conversation_id: int, user_id: int, other_id: int) -> None:
    """Let each of two persons be the other one's peer in their conversation."""
    tx.execute(
        """
        UPDATE participants SET peer_id = IF(principal = %(principal)s, %(other_id)s, %(user_id)s)
        WHERE conversation_id = %(conversation_id)s AND tenant_id = %(tenant_id)s
          AND principal IN (%(principal)s, %(other)s)
        """,
        tenant_id=tenant_id,
        conversation_id=conversation_id,
        user_id=user_id,
        other_id=other_id,
        principal=f"user:{user_id}".encode(),
        other=f"user:{other_id}".encode(),
    )
