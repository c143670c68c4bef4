"""The desk's queue and who serves whom, in MySQL. Nothing is decided here."""

from enum import StrEnum

from chalicelib.adapters.mysql import Row, Tx


class ChatState(StrEnum):
    """chats.state: of a patient's session with the help desk."""

    WAITING = "waiting"
    OPEN = "open"
    CLOSED = "closed"


MAX_WAITING_ROWS = 200  # of those who wait, by who lets them in


def lock_desk(tx: Tx, tenant_id: int) -> int:
    """Lock the hospital's desk until the commit, and return a ticket above all before it."""
    tx.execute(
        """
        INSERT INTO desks (tenant_id, tickets) VALUES (%(tenant_id)s, 1)
        ON DUPLICATE KEY UPDATE tickets = tickets + 1
        """,
        tenant_id=tenant_id,
    )
    return int(tx.fetch_value("SELECT tickets FROM desks WHERE tenant_id = %(tenant_id)s", tenant_id=tenant_id))


CHAT_SQL = """
    SELECT t.conversation_id, t.session_id, t.user_id, t.state, t.ticket, t.skill, t.agent_id, t.started_seq,
           c.last_seq, c.archived_at IS NOT NULL AS archived, s.disabled_at IS NOT NULL AS agent_gone
    FROM chats t
    JOIN conversations c ON c.conversation_id = t.conversation_id
    LEFT JOIN staff s ON s.user_id = t.agent_id
"""


def find_chat(tx: Tx, tenant_id: int, user_id: int) -> Row | None:
    """Return a patient's chat with the desk: conversation_id, session_id, user_id, state, ticket, skill, agent_id,
    started_seq, last_seq, archived, and agent_gone, whether who served was locked out."""
    return tx.fetch_one(
        f"""
        {CHAT_SQL}
        WHERE t.tenant_id = %(tenant_id)s AND t.kind = 'desk' AND t.user_id = %(user_id)s AND t.peer_id = 0
        """,
        tenant_id=tenant_id,
        user_id=user_id,
    )


def find_chat_by_session(tx: Tx, tenant_id: int, session_id: str) -> Row | None:
    """Return the same of the desk's chat with this id."""
    return tx.fetch_one(
        f"{CHAT_SQL} WHERE t.session_id = %(session_id)s AND t.tenant_id = %(tenant_id)s AND t.kind = 'desk'",
        tenant_id=tenant_id,
        session_id=session_id.encode(),
    )


def enqueue(tx: Tx, conversation_id: int, ticket: int, skill: str, started_seq: int, app_id: str) -> None:
    tx.execute(
        """
        UPDATE chats
        SET state = 'waiting', ticket = %(ticket)s, skill = %(skill)s, started_seq = %(started_seq)s,
            app_id = %(app_id)s
        WHERE conversation_id = %(conversation_id)s
        """,
        conversation_id=conversation_id,
        ticket=ticket,
        skill=skill,
        started_seq=started_seq,
        app_id=app_id.encode(),
    )


def assign_agent(tx: Tx, conversation_id: int, agent_id: int) -> None:
    tx.execute(
        "UPDATE chats SET state = 'open', agent_id = %(agent_id)s WHERE conversation_id = %(conversation_id)s",
        conversation_id=conversation_id,
        agent_id=agent_id,
    )


def close(tx: Tx, conversation_id: int) -> bool:
    """False where it was closed already."""
    return bool(
        tx.execute(
            "UPDATE chats SET state = 'closed' WHERE conversation_id = %(conversation_id)s AND state <> 'closed'",
            conversation_id=conversation_id,
        )
    )


AGENTS_SQL = """
    SELECT p.post_id, p.user_id, p.skill, p.dept_id, COALESCE(e.name, '') AS department, p.cap, p.idle_since,
           p.on_duty AND s.disabled_at IS NULL AS on_duty, s.disabled_at IS NOT NULL AS gone,
           (
               SELECT COUNT(*) FROM chats t JOIN conversations c ON c.conversation_id = t.conversation_id
               WHERE t.tenant_id = p.tenant_id AND t.agent_id = p.user_id AND t.state = 'open'
                 AND c.archived_at IS NULL
           ) AS serving
    FROM posts p
    JOIN staff s ON s.user_id = p.user_id
    LEFT JOIN departments e ON e.dept_id = p.dept_id
    WHERE p.tenant_id = %(tenant_id)s
"""


def list_agents(tx: Tx, tenant_id: int) -> list[Row]:
    """Return all posts: post_id, user_id, skill, dept_id, department, cap, idle_since, on_duty, gone (locked out), and
    how many they are serving; exact under the desk's lock."""
    return tx.fetch_all(AGENTS_SQL, tenant_id=tenant_id)


def list_waiting(tx: Tx, tenant_id: int, left_out: list[str]) -> list[Row]:
    """Return those who wait, but not for one of these skills, who came first before the others."""
    return tx.fetch_all(
        """
        SELECT t.conversation_id, t.session_id, t.user_id, t.skill, t.ticket, t.agent_id, t.started_seq
        FROM chats t JOIN conversations c ON c.conversation_id = t.conversation_id AND c.archived_at IS NULL
        WHERE t.tenant_id = %(tenant_id)s AND t.kind = 'desk' AND t.state = 'waiting' AND t.skill NOT IN %(left_out)s
        ORDER BY t.ticket LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        left_out=left_out or ["\n"],  # which no skill is
        limit=MAX_WAITING_ROWS,
    )


def get_queue_position(tx: Tx, tenant_id: int, ticket: int, skill: str) -> int:
    """Return how many wait up to this ticket, itself among them, for the same or for nobody in particular."""
    return int(
        tx.fetch_value(
            """
            SELECT COUNT(*)
            FROM chats t JOIN conversations c ON c.conversation_id = t.conversation_id AND c.archived_at IS NULL
            WHERE t.tenant_id = %(tenant_id)s AND t.kind = 'desk' AND t.state = 'waiting' AND t.ticket <= %(ticket)s
              AND (%(skill)s = '' OR t.skill IN ('', %(skill)s))
            """,
            tenant_id=tenant_id,
            ticket=ticket,
            skill=skill,
        )
    )
