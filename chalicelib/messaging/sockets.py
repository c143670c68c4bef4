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
from chalicelib.errors import Refused
from chalicelib.messaging import feed, socket_store
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

PATIENCE = 0.3  # seconds that a sender waits for those who listen
YOUNG = 10 * clock.SECOND  # so long one may seem gone because it is not there yet
OLDEST = 2 * 3600 * clock.SECOND + 600 * clock.SECOND  # API Gateway ends a connection after two hours
BATCH = 500


@dataclass(frozen=True, slots=True)
class Socket:
    tenant_id: int
    principal: str
    token_hash: bytes
    events: bool


@dataclass(frozen=True, slots=True)
class Parcel:
    """A frame for one principal. listening: the copy of their sockets, None where Redis has none."""

    principal: str
    listening: str | None
    frame: Mapping[str, Any]
    is_message: bool


def opened(connection_id: str, socket: Socket, tx: mysql.Tx) -> None:
    """Know a socket. After the commit: outdate()."""
    where = (connection_id, socket.tenant_id, socket.principal, socket.token_hash, socket.events)
    socket_store.insert(tx, *where, clock.now())


def outdate(tenant_id: int, principal: str) -> None:
    """Somebody's sockets are others than a moment ago."""
    cache.outdate(_key(tenant_id, principal))


def find(connection_id: str) -> Socket | None:
    row = mysql.autocommit(lambda tx: socket_store.find(tx, connection_id))
    if row is None:
        return None
    return Socket(row["tenant_id"], row["principal"].decode(), row["token_hash"], bool(row["events"]))


def closed(connection_id: str, younger: int = 0) -> None:
    """Forget a socket, unless it was opened less than so many microseconds ago."""
    before = clock.now() - younger + 1
    row = mysql.transact(lambda tx: socket_store.delete(tx, connection_id, before))
    if row:
        outdate(row["tenant_id"], row["principal"].decode())


def push(tenant_id: int, parcels: Iterable[Parcel]) -> None:
    """Write each frame to every socket that its principal has open, as far as that goes: the feed has it too."""
    if not settings.ws_endpoint_url:
        return
    try:
        gone = ws_push.post_all(_addressed(tenant_id, list(parcels)), PATIENCE)
        for connection_id in gone:
            closed(connection_id, YOUNG)
    except Refused as refused:  # what is told here was committed: it must not fail for this
        logger.warning("sockets not told", extra={"ids": logs.cause(refused.__cause__ or refused)})


def _addressed(tenant_id: int, parcels: list[Parcel]) -> list[tuple[str, str]]:
    """Return the connection and text of each frame that is to be written."""
    unknown = [one.principal for one in parcels if one.listening in (None, cache.TOMBSTONE)]
    looked_up = _looked_up(tenant_id, unknown) if unknown else {}
    found = []
    for one in parcels:
        listening = looked_up[one.principal] if one.principal in looked_up else json.loads(one.listening or "[]")
        text = encoded(one.frame) if listening else ""
        found += [(connection_id, text) for connection_id, events in listening if events or one.is_message]
    return found


def encoded(frame: object) -> str:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def sweep() -> int:
    """Close the sockets whose token has died; return how many."""
    now = clock.now()
    rows = mysql.autocommit(lambda tx: socket_store.dead(tx, now, now - OLDEST, BATCH))
    for row in rows:
        if not close(row["connection_id"].decode()) and row["opened_at"] <= now - OLDEST:
            closed(row["connection_id"].decode())
    return len(rows)


def close(connection_id: str) -> bool:
    """End a client's connection and forget it; False where API Gateway would not, and it is to be tried again."""
    try:
        ws_push.close(connection_id)
    except ws_push.Failed as failed:
        logger.warning("socket not closed", extra={"ids": {"status": failed.status}})
        return False
    closed(connection_id)
    return True


def _looked_up(tenant_id: int, principals: list[str]) -> dict[str, list[tuple[str, int]]]:
    rows = mysql.autocommit(lambda tx: socket_store.of_principals(tx, tenant_id, principals))
    found: dict[str, list[tuple[str, int]]] = {principal: [] for principal in principals}
    for row in rows:
        found[row["principal"].decode()].append((row["connection_id"].decode(), row["events"]))
    for principal, listening in found.items():
        cache.write(_key(tenant_id, principal), json.dumps(listening))
    return found


def _key(tenant_id: int, principal: str) -> str:
    return feed.keys(tenant_id, principal)[2]
