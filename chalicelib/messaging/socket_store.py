"""SQL of the sockets table: open WebSocket connections."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from chalicelib.adapters.mysql import Tx
from chalicelib.identity import tokens
from chalicelib.people.roles import Role


@dataclass(frozen=True, slots=True)
class Socket:
    """A registered connection: its owner, and whether it receives events that are no messages."""

    tenant_id: int
    principal: str
    token_hash: bytes
    wants_events: bool


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection of a principal."""

    connection_id: str
    principal: str
    wants_events: bool


@dataclass(frozen=True, slots=True)
class ExpiredConnection:
    """A connection that is to be closed. opened_at is in microseconds."""

    connection_id: str
    opened_at: int


def insert(tx: Tx, connection_id: str, socket: Socket, now: int) -> None:
    """Insert a connection."""
    tx.execute(
        """
        INSERT INTO sockets (connection_id, tenant_id, principal, token_hash, events, opened_at)
        VALUES (%(connection_id)s, %(tenant_id)s, %(principal)s, %(token_hash)s, %(events)s, %(now)s)
        """,
        connection_id=connection_id.encode(),
        tenant_id=socket.tenant_id,
        principal=socket.principal.encode(),
        token_hash=socket.token_hash,
        events=int(socket.wants_events),
        now=now,
    )


def find(tx: Tx, connection_id: str) -> Socket | None:
    """Return the connection, None if it is not registered."""
    row = tx.fetch_one(
        """
        SELECT tenant_id, principal, token_hash, events FROM sockets
        WHERE connection_id = %(connection_id)s
        """,
        connection_id=connection_id.encode(),
    )
    if row is None:
        return None
    return Socket(row["tenant_id"], row["principal"].decode(), row["token_hash"], bool(row["events"]))


def list_by_principals(tx: Tx, tenant_id: int, principals: list[str]) -> list[Connection]:
    """Return all connections of these principals."""
    rows = tx.fetch_all(
        """
        SELECT connection_id, principal, events FROM sockets
        WHERE tenant_id = %(tenant_id)s AND principal IN %(principals)s
        """,
        tenant_id=tenant_id,
        principals=[principal.encode() for principal in principals],
    )
    return [Connection(row["connection_id"].decode(), row["principal"].decode(), bool(row["events"])) for row in rows]


def list_excess(tx: Tx, tenant_id: int, principal: str, allowed: int, limit: int) -> list[str]:
    """Return the ids of a principal's connections but for the newest ones that are allowed, the newest first."""
    rows = tx.fetch_all(
        """
        SELECT connection_id FROM sockets
        WHERE tenant_id = %(tenant_id)s AND principal = %(principal)s
        ORDER BY opened_at DESC, connection_id DESC LIMIT %(limit)s OFFSET %(allowed)s
        """,
        tenant_id=tenant_id,
        principal=principal.encode(),
        limit=limit,
        allowed=allowed,
    )
    return [row["connection_id"].decode() for row in rows]


def delete(tx: Tx, connection_id: str, before: int) -> tuple[int, str] | None:
    """Delete a connection that was opened before an instant; return its tenant_id and principal."""
    row = tx.fetch_one(
        """
        SELECT tenant_id, principal FROM sockets
        WHERE connection_id = %(connection_id)s AND opened_at < %(before)s FOR UPDATE
        """,
        connection_id=connection_id.encode(),
        before=before,
    )
    if row is None:
        return None
    tx.execute("DELETE FROM sockets WHERE connection_id = %(connection_id)s", connection_id=connection_id.encode())
    return row["tenant_id"], row["principal"].decode()


def list_expired(tx: Tx, now: int, oldest: int, limit: int) -> list[ExpiredConnection]:
    """Return connections whose token is no longer valid or that were opened before `oldest`, the oldest first."""
    rows = tx.fetch_all(
        f"""
        SELECT c.connection_id, c.opened_at FROM sockets c
        WHERE c.opened_at < %(oldest)s OR NOT EXISTS ({_VALID_TOKEN_SQL})
        ORDER BY c.opened_at LIMIT %(limit)s
        """,
        **_build_params(now),
        oldest=oldest,
        limit=limit,
    )
    return [ExpiredConnection(row["connection_id"].decode(), row["opened_at"]) for row in rows]


def list_revoked(tx: Tx, now: int, tenant_id: int, principals: Collection[str]) -> list[str]:
    """Return the ids of the connections of principals whose token is no longer valid."""
    rows = tx.fetch_all(
        f"""
        SELECT c.connection_id FROM sockets c
        WHERE c.tenant_id = %(tenant_id)s AND c.principal IN %(principals)s AND NOT EXISTS ({_VALID_TOKEN_SQL})
        """,
        **_build_params(now),
        tenant_id=tenant_id,
        principals=[principal.encode() for principal in principals],
    )
    return [row["connection_id"].decode() for row in rows]


_VALID_TOKEN_SQL = f"""
    SELECT 1 FROM {tokens.VALID_TOKENS_SQL} AND t.token_hash = c.token_hash
      AND (s.user_id IS NULL OR t.last_used_at >= %(idle_limit)s)
"""


def _build_params(now: int) -> dict[str, Any]:
    return {"now": now, "admin": Role.ADMIN, "idle_limit": tokens.compute_idle_limit(now)}
