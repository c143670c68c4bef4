"""SQL of the messagecenter's lists: one query for a page, through the caller's own participant rows."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.helpdesk.codes import QueryType
from chalicelib.helpdesk.queue_store import ChatState
from chalicelib.helpdesk.store import TWO_PERSON_KINDS
from chalicelib.messaging import ids
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import names
from chalicelib.people.persons import DISPLAY_NAME_SQL, NAME_KEY_SQL
from chalicelib.people.roles import PersonKind


class ListKey(StrEnum):
    """What a list has one entry for: the column of CANDIDATES_SQL."""

    CONVERSATION = "conversation_id"
    PERSON = "peer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilters:
    """Conditions of a list. Empty text, 0 and False do not filter."""

    since: int  # last active at this instant or later, microseconds
    until: int  # last active before this instant
    phone_blind: bytes  # blind index of the peer's phone
    name: str  # a part of the peer's
    excluded_id: str  # user id or public id that is left out
    query_type: QueryType
    served_only: bool  # help desk chats with an agent
    visitors_only: bool  # conversations with a user of the hospital's own system


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedConversation:
    """A conversation with its newest message and, if it is of two persons, the peer."""

    conversation_id: int
    public_id: str
    kind: ConversationKind
    archived: bool
    chat_state: ChatState | None  # of a chat
    active_at: int  # microseconds
    unread: int
    peer_id: int | None  # user id
    peer_kind: PersonKind | None
    name: str
    phone_sealed: bytes | None  # of a patient's account
    photo_key: str  # S3 key, "" for none
    message_id: str  # of the newest message, "" if there is none
    message_type: int
    withdrawn: bool
    has_file: bool
    content: str
    extra: str


UNREAD_SQL = "GREATEST(c.last_seq - p.read_seq - p.own_after_read - p.withdrawn_after_read, 0)"
# A conversation of two persons has a peer, the user id of the other one; a participant who has left is not shown as the
# peer. No texts are selected: all of the caller's conversations are sorted, and a page of them is shown.
CANDIDATES_SQL = f"""
    SELECT c.conversation_id, x.user_id AS peer, COALESCE(m.sent_at, c.created_at) AS active, {UNREAD_SQL} AS own_unread
    FROM participants p
    JOIN conversations c ON c.conversation_id = p.conversation_id
    LEFT JOIN chats t ON t.conversation_id = c.conversation_id
    LEFT JOIN messages m ON m.conversation_id = c.conversation_id AND m.seq = c.last_seq
    LEFT JOIN participants q
        ON q.conversation_id = c.conversation_id AND q.principal <> p.principal AND q.left_at IS NULL
       AND c.kind IN %(two_person_kinds)s
    LEFT JOIN people x ON x.user_id = CAST(IF(LEFT(q.principal, 5) = 'user:', SUBSTRING(q.principal, 6), '0') AS SIGNED)
    LEFT JOIN accounts a ON a.user_id = x.user_id
    LEFT JOIN staff s ON s.user_id = x.user_id
    WHERE p.tenant_id = %(tenant_id)s AND p.principal = %(principal)s AND p.left_at IS NULL
      AND (p.hidden_seq = 0 OR c.last_seq > p.hidden_seq)
      AND COALESCE(m.sent_at, c.created_at) >= %(since)s AND COALESCE(m.sent_at, c.created_at) < %(until)s
      AND (%(phone_blind)s = '' OR a.phone_blind = %(phone_blind)s)
      AND (%(name)s = '' OR LOCATE(%(name)s, {DISPLAY_NAME_SQL}) > 0
           OR (%(name_key)s <> '' AND LOCATE(%(name_key)s, {NAME_KEY_SQL}) > 0))
      AND (%(excluded_id)s = ''
           OR (c.public_id <> %(excluded_id)s AND COALESCE(q.principal, '') <> CONCAT('user:', %(excluded_id)s)))
      AND (%(query_type)s <> %(unread)s OR {UNREAD_SQL} > 0)
      AND (%(query_type)s <> %(open)s OR c.archived_at IS NULL)
      AND (%(query_type)s <> %(closed)s OR c.archived_at IS NOT NULL)
      AND (NOT %(served_only)s OR (c.kind = %(desk)s AND t.agent_id IS NOT NULL))
      AND (NOT %(visitors_only)s OR EXISTS (
          SELECT 1 FROM participants v
          WHERE v.conversation_id = c.conversation_id AND v.left_at IS NULL
            AND v.principal >= 'session:' AND v.principal < 'session;'
      ))
"""
RANKED_SQL = """
    SELECT listed.*, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY active DESC, conversation_id DESC) AS number,
           SUM(own_unread) OVER (PARTITION BY {key}) AS unread
    FROM ({candidates}) AS listed
    WHERE {key} IS NOT NULL
"""
RANKED_SQL_BY_KEY = {key: RANKED_SQL.format(key=key, candidates=CANDIDATES_SQL) for key in ListKey}


def list_page(
    tx: Tx, tenant_id: int, principal: str, key: ListKey, filters: ListFilters, limit: int, offset: int
) -> tuple[list[ListedConversation], int]:
    """Return a page of a principal's conversations, or of the persons in them, last active first.

    Returns:
        The page and the number of all entries. An entry of a person has the conversation that was active last and the
        unread messages of all conversations with them.
    """
    ranked = RANKED_SQL_BY_KEY[key]
    params = _build_params(tenant_id, principal, filters)
    rows = tx.fetch_all(
        f"""
        SELECT found.active, found.unread, found.total, c.conversation_id, c.public_id, c.kind, c.archived_at, t.state,
               x.user_id AS peer, x.kind AS peer_kind, {DISPLAY_NAME_SQL} AS name, a.phone_sealed,
               COALESCE(a.photo_key, d.photo_key, '') AS photo_key,
               m.tick, m.tag, m.type, m.withdrawn_at, m.object_key, m.content, m.extra
        FROM (
            SELECT ranked.*, COUNT(*) OVER () AS total FROM ({ranked}) AS ranked WHERE number = 1
            ORDER BY active DESC, conversation_id DESC LIMIT %(limit)s OFFSET %(offset)s
        ) AS found
        JOIN conversations c ON c.conversation_id = found.conversation_id
        LEFT JOIN chats t ON t.conversation_id = c.conversation_id
        LEFT JOIN messages m ON m.conversation_id = c.conversation_id AND m.seq = c.last_seq
        LEFT JOIN people x ON x.user_id = found.peer
        LEFT JOIN accounts a ON a.user_id = x.user_id
        LEFT JOIN staff s ON s.user_id = x.user_id
        LEFT JOIN doctors d ON d.user_id = x.user_id
        ORDER BY found.active DESC, found.conversation_id DESC
        """,
        limit=limit,
        offset=offset,
        **params,
    )
    if rows or not offset:
        return [_build_listed(row) for row in rows], rows[0]["total"] if rows else 0
    return [], int(tx.fetch_value(f"SELECT COUNT(*) FROM ({ranked}) AS found WHERE number = 1", **params))


def _build_params(tenant_id: int, principal: str, filters: ListFilters) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "principal": principal.encode(),
        "since": filters.since,
        "until": filters.until,
        "phone_blind": filters.phone_blind,
        "name": filters.name,
        "name_key": names.build_key(filters.name),
        "excluded_id": filters.excluded_id,
        "query_type": filters.query_type,
        "served_only": filters.served_only,
        "visitors_only": filters.visitors_only,
        "unread": QueryType.UNREAD,
        "open": QueryType.OPEN,
        "closed": QueryType.CLOSED,
        "desk": ConversationKind.DESK,
        "two_person_kinds": TWO_PERSON_KINDS,
    }


def _build_listed(row: Row) -> ListedConversation:
    return ListedConversation(
        conversation_id=row["conversation_id"],
        public_id=row["public_id"].decode(),
        kind=ConversationKind(row["kind"]),
        archived=row["archived_at"] is not None,
        chat_state=ChatState(row["state"]) if row["state"] else None,
        active_at=row["active"],
        unread=int(row["unread"]),
        peer_id=row["peer"],
        peer_kind=PersonKind(row["peer_kind"]) if row["peer_kind"] else None,
        name=row["name"] or "",
        phone_sealed=row["phone_sealed"],
        photo_key=row["photo_key"].decode() if row["photo_key"] else "",
        message_id=ids.encode(row["tick"], row["tag"]) if row["tick"] else "",
        message_type=row["type"] or 0,
        withdrawn=row["withdrawn_at"] is not None,
        has_file=bool(row["object_key"]),
        content=row["content"] or "",
        extra=row["extra"] or "",
    )
