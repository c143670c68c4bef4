"""SQL of the messagecenter's lists and counters: through the caller's own participant rows, in the order of one index.

A page is the first entries of each state (participants.list_state) in the order of by_activity, merged: its cost does
not depend on the number of conversations. Only a search that few of them match (a name, visitors) reads the others too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.helpdesk.codes import QueryType
from chalicelib.helpdesk.queue_store import ChatState
from chalicelib.messaging import ids
from chalicelib.messaging.listings import UNREAD_STATES, ListState
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import names
from chalicelib.people.persons import DISPLAY_NAME_SQL, NAME_KEY_SQL
from chalicelib.people.roles import PersonKind

MAX_COUNTED = 1_000  # entries that are counted for each request: see list_totals.py


class ListKey(Enum):
    """What a list has one entry for."""

    CONVERSATION = 1
    PERSON = 2


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: an entry's active_tick and conversation_id, by both of which it is sorted."""

    tick: int
    conversation_id: int


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

    position: Position
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


STATES_BY_TYPE: dict[QueryType, Sequence[ListState]] = {
    QueryType.ALL: list(ListState),
    QueryType.UNREAD: UNREAD_STATES,
    QueryType.OPEN: (ListState.OPEN, ListState.OPEN_UNREAD),
    QueryType.CLOSED: (ListState.CLOSED, ListState.CLOSED_UNREAD),
}
OWN_SQL = "{p}.tenant_id = %(tenant_id)s AND {p}.principal = %(principal)s"
BEFORE_SQL = """
    AND p.active_tick <= %(tick)s AND (p.active_tick < %(tick)s OR p.conversation_id < %(conversation_id)s)
"""
NAME_SQL = f"""
    AND EXISTS (
        SELECT 1 FROM people x LEFT JOIN accounts a ON a.user_id = x.user_id LEFT JOIN staff s ON s.user_id = x.user_id
        WHERE x.user_id = {{p}}.peer_id AND (
            LOCATE(%(name)s, {DISPLAY_NAME_SQL}) > 0
            OR (%(name_key)s <> '' AND LOCATE(%(name_key)s, {NAME_KEY_SQL}) > 0)
        )
    )
"""
EXCLUDED_SQL = """
    AND ({p}.peer_id IS NULL OR {p}.peer_id <> %(excluded_user)s)
    AND {p}.conversation_id <> COALESCE((SELECT e.conversation_id FROM conversations e
                                         WHERE e.public_id = %(excluded_id)s AND e.tenant_id = %(tenant_id)s), 0)
"""
SERVED_SQL = """
    AND EXISTS (SELECT 1 FROM chats t
                WHERE t.conversation_id = {p}.conversation_id AND t.kind = %(desk)s AND t.agent_id IS NOT NULL)
"""
VISITOR_SQL = """
    AND EXISTS (SELECT 1 FROM participants v
                WHERE v.conversation_id = {p}.conversation_id AND v.left_at IS NULL
                  AND v.principal >= 'session:' AND v.principal < 'session;')
"""
PHONE_SQL = """
    AND {p}.peer_id IN (SELECT a.user_id FROM accounts a
                        WHERE a.tenant_id = %(tenant_id)s AND a.phone_blind = %(phone_blind)s)
"""


def fetch_page(
    tx: Tx,
    tenant_id: int,
    principal: str,
    key: ListKey,
    filters: ListFilters,
    before: Position | None,
    limit: int,
    offset: int,
) -> tuple[list[ListedConversation], int]:
    """Return a page of a principal's conversations, or of the persons in them, last active first, in one round trip.

    Args:
        before: the entry after which the page begins; None for the beginning of the list.
        offset: number of entries to skip from there.

    Returns:
        The page, and the number of all entries, at most MAX_COUNTED + 1. An entry of a person has the conversation that
        was active last and the unread messages of all conversations with them.
    """
    rows, [counted] = tx.execute_packet(
        f"{build_page_sql(key, filters, before)}; {build_count_sql(key, filters, 'LIMIT %(max_counted)s')}",
        limit=limit,
        offset=offset,
        end=offset + limit,
        max_counted=MAX_COUNTED + 1,
        **build_params(tenant_id, principal, filters, before),
    )
    return [_build_listed(row) for row in rows], counted["total"]


def count(tx: Tx, tenant_id: int, principal: str, key: ListKey, filters: ListFilters) -> int:
    """Return the number of all entries of a list, however many they are."""
    return int(tx.fetch_value(build_count_sql(key, filters, ""), **build_params(tenant_id, principal, filters, None)))


def sum_unread(tx: Tx, tenant_id: int, principal: str, limited: bool) -> tuple[int, int]:
    """Return how many messages the principal has not read, in how many conversations that are listed.

    Args:
        limited: whether at most MAX_COUNTED + 1 conversations are read.
    """
    row = tx.fetch_one(
        f"""
        SELECT COUNT(*) AS conversations, COALESCE(SUM(unread), 0) AS unread FROM (
            SELECT p.unread FROM participants p FORCE INDEX (by_activity)
            WHERE {OWN_SQL.format(p="p")} AND p.list_state IN %(states)s {"LIMIT %(max_counted)s" if limited else ""}
        ) AS counted
        """,
        tenant_id=tenant_id,
        principal=principal.encode(),
        states=[int(state) for state in UNREAD_STATES],
        max_counted=MAX_COUNTED + 1,
    )
    assert row is not None
    return int(row["unread"]), row["conversations"]


def build_page_sql(key: ListKey, filters: ListFilters, before: Position | None) -> str:
    """Return the query of a page: the first entries of each state, merged, with what is shown of them."""
    states, index = STATES_BY_TYPE[filters.query_type], "by_peer" if filters.phone_blind else "by_activity"
    conditions = build_conditions("p", filters) + (BEFORE_SQL if before else "") + _build_person_sql(key, filters)
    first_entries = " UNION ALL ".join(
        f"""
        (SELECT p.active_tick, p.conversation_id, p.peer_id FROM participants p FORCE INDEX ({index})
         WHERE {OWN_SQL.format(p="p")} AND p.list_state = {int(state)} {conditions}
         ORDER BY p.active_tick DESC, p.conversation_id DESC LIMIT %(end)s)
        """
        for state in states
    )
    unread = "GREATEST(c.last_seq - o.read_seq - o.own_after_read - o.withdrawn_after_read, 0)"
    if key is ListKey.PERSON:
        unread = f"""(
            SELECT SUM(n.unread) FROM participants n FORCE INDEX (by_peer)
            WHERE {OWN_SQL.format(p="n")} AND n.peer_id = found.peer_id
              AND n.list_state IN %(states)s {build_conditions("n", filters)}
        )"""
    return f"""
        SELECT found.active_tick, c.conversation_id, COALESCE(m.sent_at, c.created_at) AS active, {unread} AS unread,
               c.public_id, c.kind, c.archived_at, t.state, x.user_id AS peer, x.kind AS peer_kind,
               {DISPLAY_NAME_SQL} AS name, a.phone_sealed, COALESCE(a.photo_key, d.photo_key, '') AS photo_key,
               m.tick, m.tag, m.type, m.withdrawn_at, m.object_key, m.content, m.extra
        FROM (
            SELECT merged.* FROM ({first_entries}) AS merged
            ORDER BY active_tick DESC, conversation_id DESC LIMIT %(limit)s OFFSET %(offset)s
        ) AS found
        JOIN conversations c ON c.conversation_id = found.conversation_id
        JOIN participants o ON o.conversation_id = c.conversation_id AND o.principal = %(principal)s
        LEFT JOIN chats t ON t.conversation_id = c.conversation_id
        LEFT JOIN messages m ON m.conversation_id = c.conversation_id AND m.seq = c.last_seq
        LEFT JOIN people x ON x.user_id = found.peer_id
        LEFT JOIN accounts a ON a.user_id = x.user_id
        LEFT JOIN staff s ON s.user_id = x.user_id
        LEFT JOIN doctors d ON d.user_id = x.user_id
        ORDER BY found.active_tick DESC, found.conversation_id DESC
    """


def build_count_sql(key: ListKey, filters: ListFilters, limit_sql: str) -> str:
    """Return the query that counts the entries of a list.

    Persons are counted in the order of by_peer if all states are listed, otherwise among the entries of these states.
    """
    by_peer = filters.phone_blind or (key is ListKey.PERSON and filters.query_type == QueryType.ALL)
    return f"""
        SELECT COUNT(*) AS total FROM (
            SELECT {"DISTINCT p.peer_id" if key is ListKey.PERSON else "p.conversation_id"}
            FROM participants p FORCE INDEX ({"by_peer" if by_peer else "by_activity"})
            WHERE {OWN_SQL.format(p="p")} {"AND p.peer_id IS NOT NULL" if key is ListKey.PERSON else ""}
              AND p.list_state IN %(states)s {build_conditions("p", filters)} {limit_sql}
        ) AS counted
    """


def build_conditions(p: str, filters: ListFilters) -> str:
    """Return the conditions on a participant's row, except on its state.

    Args:
        p: name of the row in the query.
    """
    conditions = f" AND {p}.active_tick >= %(since)s" if filters.since else ""
    conditions += f" AND {p}.active_tick < %(until)s"
    for value, condition in (
        (filters.phone_blind, PHONE_SQL),
        (filters.name, NAME_SQL),
        (filters.excluded_id, EXCLUDED_SQL),
        (filters.served_only, SERVED_SQL),
        (filters.visitors_only, VISITOR_SQL),
    ):
        conditions += condition.format(p=p) if value else ""
    return conditions


def _build_person_sql(key: ListKey, filters: ListFilters) -> str:
    """Return the condition that an entry is the one of its person that was active last."""
    if key is ListKey.CONVERSATION:
        return ""
    return f"""
        AND p.peer_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM participants n FORCE INDEX (by_peer)
            WHERE {OWN_SQL.format(p="n")} AND n.peer_id = p.peer_id AND n.list_state IN %(states)s
              AND (n.active_tick > p.active_tick
                   OR (n.active_tick = p.active_tick AND n.conversation_id > p.conversation_id))
              {build_conditions("n", filters)}
        )
    """


def build_params(tenant_id: int, principal: str, filters: ListFilters, before: Position | None) -> dict[str, Any]:
    """Return the parameters of these queries, except the size of the page."""
    excluded = filters.excluded_id
    return {
        "tenant_id": tenant_id,
        "principal": principal.encode(),
        "since": ids.compute_first_tick(filters.since),
        "until": ids.compute_first_tick(filters.until),
        "phone_blind": filters.phone_blind,
        "name": filters.name,
        "name_key": names.build_key(filters.name),
        "excluded_id": excluded.encode(),
        "excluded_user": int(excluded) if excluded.isascii() and excluded.isdigit() and len(excluded) < 17 else 0,
        "states": [int(state) for state in STATES_BY_TYPE[filters.query_type]],
        "desk": ConversationKind.DESK,
        **({"tick": before.tick, "conversation_id": before.conversation_id} if before else {}),
    }


def _build_listed(row: Row) -> ListedConversation:
    return ListedConversation(
        position=Position(row["active_tick"], row["conversation_id"]),
        public_id=row["public_id"].decode(),
        kind=ConversationKind(row["kind"]),
        archived=row["archived_at"] is not None,
        chat_state=ChatState(row["state"]) if row["state"] else None,
        active_at=row["active"],
        unread=int(row["unread"] or 0),
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
