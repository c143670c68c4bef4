"""The messagecenter's lists in MySQL: one query for a page, through the caller's own seats. Nothing is decided here."""

from typing import Any

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.helpdesk.store import DISPLAY_NAME_SQL

UNREAD_SQL = "GREATEST(c.last_seq - p.read_seq - p.own_after_read, 0)"
# A conversation of two has a peer; of a person, `peer` is the user id. Whoever does not sit there is not shown. No
# texts: all conversations of somebody are sorted, and a page of them is shown.
CANDIDATES_SQL = f"""
    SELECT c.conversation_id, x.user_id AS peer, COALESCE(m.sent_at, c.created_at) AS active, {UNREAD_SQL} AS own_unread
    FROM participants p
    JOIN conversations c ON c.conversation_id = p.conversation_id
    LEFT JOIN chats t ON t.conversation_id = c.conversation_id
    LEFT JOIN messages m ON m.conversation_id = c.conversation_id AND m.seq = c.last_seq
    LEFT JOIN participants q
        ON q.conversation_id = c.conversation_id AND q.principal <> p.principal AND q.left_at IS NULL
       AND c.kind IN ('consult', 'direct', 'desk')
    LEFT JOIN people x ON x.user_id = CAST(IF(LEFT(q.principal, 5) = 'user:', SUBSTRING(q.principal, 6), '0') AS SIGNED)
    LEFT JOIN accounts a ON a.user_id = x.user_id
    LEFT JOIN staff s ON s.user_id = x.user_id
    WHERE p.tenant_id = %(tenant_id)s AND p.principal = %(principal)s AND p.left_at IS NULL
      AND (p.hidden_seq = 0 OR c.last_seq > p.hidden_seq)
      AND COALESCE(m.sent_at, c.created_at) >= %(since)s AND COALESCE(m.sent_at, c.created_at) < %(until)s
      AND (%(phone)s = '' OR a.phone = %(phone)s)
      AND (%(name)s = '' OR LOCATE(%(name)s, {DISPLAY_NAME_SQL}) > 0)
      AND (%(left_out)s = ''
           OR (c.public_id <> %(left_out)s AND COALESCE(q.principal, '') <> CONCAT('user:', %(left_out)s)))
      AND (%(query)s <> 1 OR {UNREAD_SQL} > 0)
      AND (%(query)s <> 2 OR c.archived_at IS NULL)
      AND (%(query)s <> 3 OR c.archived_at IS NOT NULL)
      AND (%(served)s = 0 OR (c.kind = 'desk' AND t.agent_id IS NOT NULL))
      AND (%(visitors)s = 0 OR EXISTS (
          SELECT 1 FROM participants v
          WHERE v.conversation_id = c.conversation_id AND v.left_at IS NULL
            AND v.principal >= 'session:' AND v.principal < 'session;'
      ))
"""
RANKED_SQL = """
    SELECT listed.*, ROW_NUMBER() OVER (PARTITION BY {one} ORDER BY active DESC, conversation_id DESC) AS number,
           SUM(own_unread) OVER (PARTITION BY {one}) AS unread
    FROM ({listed}) AS listed
    WHERE {one} IS NOT NULL
"""
CONVERSATIONS_SQL = RANKED_SQL.format(one="conversation_id", listed=CANDIDATES_SQL)
PERSONS_SQL = RANKED_SQL.format(one="peer", listed=CANDIDATES_SQL)


def list_page(tx: Tx, wanted: str, limit: int, skipped: int, **filters: Any) -> tuple[list[Row], int]:
    """Return a page of CONVERSATIONS or PERSONS, the last active first, and how many there are in all."""
    rows = tx.fetch_all(
        f"""
        SELECT found.active, found.unread, found.total, c.conversation_id, c.public_id, c.kind, c.archived_at, t.state,
               x.user_id AS peer, x.kind AS peers, {DISPLAY_NAME_SQL} AS name, COALESCE(a.phone, '') AS phone,
               COALESCE(a.photo_key, d.photo_key, '') AS photo_key,
               m.tick, m.tag, m.type, m.withdrawn_at, m.object_key, m.content, m.extra
        FROM (
            SELECT wanted.*, COUNT(*) OVER () AS total FROM ({wanted}) AS wanted WHERE number = 1
            ORDER BY active DESC, conversation_id DESC LIMIT %(limit)s OFFSET %(skipped)s
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
        skipped=skipped,
        **filters,
    )
    if rows or not skipped:
        return rows, rows[0]["total"] if rows else 0
    return [], int(tx.fetch_value(f"SELECT COUNT(*) FROM ({wanted}) AS found WHERE number = 1", **filters))
