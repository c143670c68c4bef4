"""Open WebSockets in MySQL. Nothing is decided here."""

from chalicelib.adapters.mysql import Row, Tx


def insert(
    tx: Tx, connection_id: str, tenant_id: int, principal: str, token_hash: bytes, events: bool, now: int
) -> None:
    tx.execute(
        """
        INSERT INTO sockets (connection_id, tenant_id, principal, token_hash, events, opened_at)
        VALUES (%(connection_id)s, %(tenant_id)s, %(principal)s, %(token_hash)s, %(events)s, %(now)s)
        """,
        connection_id=connection_id.encode(),
        tenant_id=tenant_id,
        principal=principal.encode(),
        token_hash=token_hash,
        events=int(events),
        now=now,
    )


def find(tx: Tx, connection_id: str) -> Row | None:
    return tx.fetch_one(
        """
        SELECT connection_id, tenant_id, principal, token_hash, events, opened_at FROM sockets
        WHERE connection_id = %(connection_id)s
        """,
        connection_id=connection_id.encode(),
    )


def list_by_principals(tx: Tx, tenant_id: int, principals: list[str]) -> list[Row]:
    """Return connection_id, principal and events of every socket that these have open."""
    return tx.fetch_all(
        """
        SELECT connection_id, principal, events FROM sockets
        WHERE tenant_id = %(tenant_id)s AND principal IN %(principals)s
        """,
        tenant_id=tenant_id,
        principals=[principal.encode() for principal in principals],
    )


def delete(tx: Tx, connection_id: str, before: int) -> Row | None:
    """Forget a socket that was opened before an instant; return whose it was."""
    row = tx.fetch_one(
        """
        SELECT tenant_id, principal FROM sockets
        WHERE connection_id = %(connection_id)s AND opened_at < %(before)s FOR UPDATE
        """,
        connection_id=connection_id.encode(),
        before=before,
    )
    if row:
        tx.execute("DELETE FROM sockets WHERE connection_id = %(connection_id)s", connection_id=connection_id.encode())
    return row


def list_expired(tx: Tx, now: int, oldest: int, limit: int) -> list[Row]:
    """Return sockets whose token lives no more, or that are too old to be open."""
    return tx.fetch_all(
        """
        SELECT s.connection_id, s.opened_at FROM sockets s
        LEFT JOIN tokens t ON t.token_hash = s.token_hash AND t.revoked_at IS NULL AND t.expires_at > %(now)s
        LEFT JOIN staff w
            ON s.principal LIKE 'user:%%' AND w.user_id = CAST(SUBSTRING(s.principal, 6) AS UNSIGNED)
            AND w.disabled_at IS NOT NULL
        WHERE t.token_hash IS NULL OR w.user_id IS NOT NULL OR s.opened_at < %(oldest)s
        ORDER BY s.opened_at LIMIT %(limit)s
        """,
        now=now,
        oldest=oldest,
        limit=limit,
    )
