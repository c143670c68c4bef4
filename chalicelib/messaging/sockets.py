"""Open WebSockets: whose they are, and writing to them. MySQL knows them; a copy in Redis lives a minute.

A frame that does not arrive is not lost: it is in the feed, and the client reads on from its cursor.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib import clock, logs
from chalicelib.adapters import cache, mysql
from chalicelib.adapters.aws import ws_push
from chalicelib.errors import ApiError
from chalicelib.messaging import feed, socket_store
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

PUSH_TIMEOUT_SECONDS = 0.3  # seconds that a sender waits for those who listen
CONNECT_GRACE = 10 * clock.SECOND  # so long one may seem gone because it is not there yet
MAX_CONNECTION_AGE = 2 * 3600 * clock.SECOND + 600 * clock.SECOND  # API Gateway ends a connection after two hours
EXPIRED_BATCH_SIZE = 500


@dataclass(frozen=True, slots=True)
class Socket:
    tenant_id: int
    principal: str
    token_hash: bytes
    wants_events: bool


@dataclass(frozen=True, slots=True)
class OutgoingFrame:
    """A frame for one principal. listening: the copy of their sockets, None where Redis has none."""

    principal: str
    cached_sockets: str | None
    frame: Mapping[str, Any]
    is_message: bool


def register(connection_id: str, socket: Socket, tx: mysql.Tx) -> None:
    """Know a socket. After the commit: outdate()."""
    where = (connection_id, socket.tenant_id, socket.principal, socket.token_hash, socket.wants_events)
    socket_store.insert(tx, *where, clock.now())


def invalidate_cache(tenant_id: int, principal: str) -> None:
    """Somebody's sockets are others than a moment ago."""
    cache.invalidate(_build_key(tenant_id, principal))


def find(connection_id: str) -> Socket | None:
    row = socket_store.find(mysql.autocommit, connection_id)
    if row is None:
        return None
    return Socket(row["tenant_id"], row["principal"].decode(), row["token_hash"], bool(row["events"]))


def unregister(connection_id: str, younger: int = 0) -> None:
    """Forget a socket, unless it was opened less than so many microseconds ago."""
    before = clock.now() - younger + 1
    row = mysql.run_transaction(lambda tx: socket_store.delete(tx, connection_id, before))
    if row:
        invalidate_cache(row["tenant_id"], row["principal"].decode())


def push_frames(tenant_id: int, parcels: Iterable[OutgoingFrame]) -> None:
    """Write each frame to every socket that its principal has open, as far as that goes: the feed has it too."""
    if not settings.ws_endpoint_url:
        return
    try:
        gone = ws_push.post_all(_resolve_connections(tenant_id, list(parcels)), PUSH_TIMEOUT_SECONDS)
        for connection_id in gone:
            unregister(connection_id, CONNECT_GRACE)
    except ApiError as refused:  # what is told here was committed: it must not fail for this
        logger.warning("sockets not told", extra={"ids": logs.describe_error(refused.__cause__ or refused)})


def _resolve_connections(tenant_id: int, parcels: list[OutgoingFrame]) -> list[tuple[str, str]]:
    """Return the connection and text of each frame that is to be written."""
    unknown = [one.principal for one in parcels if one.cached_sockets in (None, cache.TOMBSTONE)]
    looked_up = _fetch_connections(tenant_id, unknown) if unknown else {}
    found = []
    for one in parcels:
        listening = looked_up[one.principal] if one.principal in looked_up else json.loads(one.cached_sockets or "[]")
        text = encode_frame(one.frame) if listening else ""
        found += [(connection_id, text) for connection_id, events in listening if events or one.is_message]
    return found


def encode_frame(frame: object) -> str:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def close_expired() -> int:
    """Close the sockets whose token has died; return how many."""
    now = clock.now()
    rows = socket_store.list_expired(mysql.autocommit, now, now - MAX_CONNECTION_AGE, EXPIRED_BATCH_SIZE)
    for row in rows:
        if not close(row["connection_id"].decode()) and row["opened_at"] <= now - MAX_CONNECTION_AGE:
            unregister(row["connection_id"].decode())
    return len(rows)


def close(connection_id: str) -> bool:
    """End a client's connection and forget it; False where API Gateway would not, and it is to be tried again."""
    try:
        ws_push.close(connection_id)
    except ws_push.PushError as failed:
        logger.warning("socket not closed", extra={"ids": {"status": failed.status}})
        return False
    unregister(connection_id)
    return True


def _fetch_connections(tenant_id: int, principals: list[str]) -> dict[str, list[tuple[str, int]]]:
    rows = socket_store.list_by_principals(mysql.autocommit, tenant_id, principals)
    found: dict[str, list[tuple[str, int]]] = {principal: [] for principal in principals}
    for row in rows:
        found[row["principal"].decode()].append((row["connection_id"].decode(), row["events"]))
    for principal, listening in found.items():
        cache.write(_build_key(tenant_id, principal), json.dumps(listening))
    return found


def _build_key(tenant_id: int, principal: str) -> str:
    return feed.build_keys(tenant_id, principal)[2]
