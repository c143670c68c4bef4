"""SQL of the help desk's queue and assignments."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.messaging.models import ConversationKind

MAX_WAITING_CHATS = 200  # considered by one run of the assignment


class ChatState(StrEnum):
    """chats.state: of a patient's chat with the help desk."""

    WAITING = "waiting"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """What the assignment needs of a patient's chat with the help desk."""

    conversation_id: int
    session_id: str
    user_id: int  # the patient
    skill: str  # skill or department that the patient wants, "" for any
    ticket: int  # position in the order of arrival
    agent_id: int | None  # who serves the patient, or served last
    started_seq: int  # seq of the last message before the current session


@dataclass(frozen=True, slots=True)
class DeskChat(QueueEntry):
    """A patient's chat with the help desk."""

    state: ChatState
    last_seq: int
    archived: bool  # the conversation is closed to new messages
    agent_disabled: bool


@dataclass(frozen=True, slots=True)
class Agent:
    """The holder of a post."""

    post_id: int
    user_id: int
    skill: str
    dept_id: int | None
    department: str  # name, "" for none
    cap: int  # maximum number of open sessions
    last_activity_at: int  # when they last came on duty, or a session with them started or ended; microseconds
    on_duty: bool  # False also while disabled
    disabled: bool
    serving: int  # open sessions; exact under the desk's lock


def lock_desk(tx: Tx, tenant_id: int) -> int:
    """Lock the tenant's help desk until the commit, and return a ticket above all earlier ones."""
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
           c.last_seq, c.archived_at IS NOT NULL AS archived, s.disabled_at IS NOT NULL AS agent_disabled
    FROM chats t
    JOIN conversations c ON c.conversation_id = t.conversation_id
    LEFT JOIN staff s ON s.user_id = t.agent_id
"""


def find_chat(tx: Tx, tenant_id: int, user_id: int) -> DeskChat | None:
    """Return a patient's chat with the help desk."""
    row = tx.fetch_one(
        f"""
        {CHAT_SQL}
        WHERE t.tenant_id = %(tenant_id)s AND t.kind = %(desk)s AND t.user_id = %(user_id)s AND t.peer_id = 0
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        desk=ConversationKind.DESK,
    )
    return _build_chat(row) if row else None


def find_chat_by_session(tx: Tx, tenant_id: int, session_id: str) -> DeskChat | None:
    """Return the chat with the help desk that has this session_id."""
    row = tx.fetch_one(
        f"{CHAT_SQL} WHERE t.session_id = %(session_id)s AND t.tenant_id = %(tenant_id)s AND t.kind = %(desk)s",
        tenant_id=tenant_id,
        session_id=session_id.encode(),
        desk=ConversationKind.DESK,
    )
    return _build_chat(row) if row else None


def enqueue(tx: Tx, conversation_id: int, ticket: int, skill: str, started_seq: int, app_id: str) -> None:
    """Put a chat into the queue."""
    tx.execute(
        """
        UPDATE chats
        SET state = %(waiting)s, ticket = %(ticket)s, skill = %(skill)s, started_seq = %(started_seq)s,
            app_id = %(app_id)s
        WHERE conversation_id = %(conversation_id)s
        """,
        conversation_id=conversation_id,
        ticket=ticket,
        skill=skill,
        started_seq=started_seq,
        app_id=app_id.encode(),
        waiting=ChatState.WAITING,
    )


def assign_agent(tx: Tx, conversation_id: int, agent_id: int) -> None:
    """Open a chat with an agent."""
    tx.execute(
        "UPDATE chats SET state = %(open)s, agent_id = %(agent_id)s WHERE conversation_id = %(conversation_id)s",
        conversation_id=conversation_id,
        agent_id=agent_id,
        open=ChatState.OPEN,
    )


def close(tx: Tx, conversation_id: int) -> bool:
    """Close a chat; return False if it is closed already."""
    changed = tx.execute(
        "UPDATE chats SET state = %(closed)s WHERE conversation_id = %(conversation_id)s AND state <> %(closed)s",
        conversation_id=conversation_id,
        closed=ChatState.CLOSED,
    )
    return bool(changed)


def list_agents(tx: Tx, tenant_id: int) -> list[Agent]:
    """Return the holders of all posts. The number of open sessions is exact under the desk's lock."""
    rows = tx.fetch_all(
        """
        SELECT p.post_id, p.user_id, p.skill, p.dept_id, COALESCE(e.name, '') AS department, p.cap, p.last_activity_at,
               p.on_duty AND s.disabled_at IS NULL AS on_duty, s.disabled_at IS NOT NULL AS disabled,
               (
                   SELECT COUNT(*) FROM chats t JOIN conversations c ON c.conversation_id = t.conversation_id
                   WHERE t.tenant_id = p.tenant_id AND t.agent_id = p.user_id AND t.state = %(open)s
                     AND c.archived_at IS NULL
               ) AS serving
        FROM posts p
        JOIN staff s ON s.user_id = p.user_id
        LEFT JOIN departments e ON e.dept_id = p.dept_id
        WHERE p.tenant_id = %(tenant_id)s
        """,
        tenant_id=tenant_id,
        open=ChatState.OPEN,
    )
    return [Agent(**{**row, "on_duty": bool(row["on_duty"]), "disabled": bool(row["disabled"])}) for row in rows]


def list_waiting(tx: Tx, tenant_id: int, excluded_skills: Collection[str]) -> list[QueueEntry]:
    """Return up to MAX_WAITING_CHATS waiting chats in the order of arrival, except those for one of these skills."""
    rows = tx.fetch_all(
        """
        SELECT t.conversation_id, t.session_id, t.user_id, t.skill, t.ticket, t.agent_id, t.started_seq
        FROM chats t JOIN conversations c ON c.conversation_id = t.conversation_id AND c.archived_at IS NULL
        WHERE t.tenant_id = %(tenant_id)s AND t.kind = %(desk)s AND t.state = %(waiting)s
          AND t.skill NOT IN %(excluded_skills)s
        ORDER BY t.ticket LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        excluded_skills=sorted(excluded_skills) or ["\n"],  # IN needs a value; no skill contains a line break
        limit=MAX_WAITING_CHATS,
        desk=ConversationKind.DESK,
        waiting=ChatState.WAITING,
    )
    return [QueueEntry(**{**row, "session_id": row["session_id"].decode()}) for row in rows]


def get_queue_position(tx: Tx, tenant_id: int, ticket: int, skill: str) -> int:
    """Return the position of a waiting chat, from 1, among those that want the same skill or any."""
    return int(
        tx.fetch_value(
            """
            SELECT COUNT(*)
            FROM chats t JOIN conversations c ON c.conversation_id = t.conversation_id AND c.archived_at IS NULL
            WHERE t.tenant_id = %(tenant_id)s AND t.kind = %(desk)s AND t.state = %(waiting)s
              AND t.ticket <= %(ticket)s AND (%(skill)s = '' OR t.skill IN ('', %(skill)s))
            """,
            tenant_id=tenant_id,
            ticket=ticket,
            skill=skill,
            desk=ConversationKind.DESK,
            waiting=ChatState.WAITING,
        )
    )


def _build_chat(row: Row) -> DeskChat:
    return DeskChat(
        conversation_id=row["conversation_id"],
        session_id=row["session_id"].decode(),
        user_id=row["user_id"],
        skill=row["skill"],
        ticket=row["ticket"],
        agent_id=row["agent_id"],
        started_seq=row["started_seq"],
        state=ChatState(row["state"]),
        last_seq=row["last_seq"],
        archived=bool(row["archived"]),
        agent_disabled=bool(row["agent_disabled"]),
    )
