"""Open WebSockets: whose they are, and writing to them. They are stored in MySQL, and cached in Redis for a minute.

A frame that does not arrive is not lost: the feed holds its event, and the client continues from its cursor.
"""

import json
import logging
from collections.abc import Iterable

from chalicelib import clock, logs
from chalicelib.adapters import cache, mysql
from chalicelib.adapters.aws import ws_push
from chalicelib.errors import ApiError
from chalicelib.messaging import feed, msg_data, socket_store
from chalicelib.messaging.feed import EventKind, PublishedEvent
from chalicelib.messaging.models import Message
from chalicelib.messaging.socket_store import Socket
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

PUSH_TIMEOUT_SECONDS = 0.3  # that a sender waits for the sockets of others
CONNECT_GRACE = 10 * clock.SECOND  # a younger connection may be reported as gone because it is not established yet
# API Gateway closes a connection after two hours.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
MAX_CONNECTION_AGE = 2 * 3600 * clock.SECOND + 600 * clock.SECOND
EXPIRED_BATCH_SIZE = 500


def register(tx: mysql.Tx, connection_id: str, socket: Socket) -> None:
    """Store a connection. Call `invalidate_cache` after the commit."""
    socket_store.insert(tx, connection_id, socket, clock.now())


def invalidate_cache(tenant_id: int, principal: str) -> None:
    """Invalidate the cached list of the principal's connections."""
    cache.invalidate(_build_key(tenant_id, principal))


def find(connection_id: str) -> Socket | None:
    """Return the connection, None if it is not registered."""
    return socket_store.find(mysql.autocommit, connection_id)


def unregister(connection_id: str, younger: int = 0) -> None:
    """Delete a connection, unless it was opened less than `younger` microseconds ago."""
    before = clock.now() - younger + 1
    owner = mysql.run_transaction(lambda tx: socket_store.delete(tx, connection_id, before))
    if owner:
        invalidate_cache(*owner)


def push_events(tenant_id: int, published: Iterable[PublishedEvent], message: Message | None = None) -> None:
    """Write events to the open sockets of their principals, as far as possible: the feeds hold them, too.

    Args:
        message: the message that the events name.
    """
    if not settings.ws_endpoint_url:
        return
    try:
        posts = _build_posts(tenant_id, list(published), message)
        for connection_id in ws_push.post_all(posts, PUSH_TIMEOUT_SECONDS):
            unregister(connection_id, CONNECT_GRACE)
    except ApiError as error:  # the change is committed and must not fail because of this
        logger.warning("sockets not notified", extra={"ids": logs.describe_error(error.__cause__ or error)})


def _build_posts(tenant_id: int, published: list[PublishedEvent], message: Message | None) -> list[tuple[str, str]]:
    """Return the connection and the text of each frame."""
    unknown = [one.principal for one in published if one.cached_sockets in (None, cache.TOMBSTONE)]
    fetched = _fetch_connections(tenant_id, unknown) if unknown else {}
    posts = []
    for one in published:
        connections = fetched[one.principal] if one.principal in fetched else json.loads(one.cached_sockets or "[]")
        frame = msg_data.build_delivered(one.event, one.cursor, message) if connections else None
        if frame is None:
            continue
        text = encode_frame(frame)
        is_message = one.event["kind"] == EventKind.MESSAGE
        posts += [(connection_id, text) for connection_id, wants_events in connections if wants_events or is_message]
    return posts


def encode_frame(frame: object) -> str:
    """Return a frame as JSON text."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def close_expired() -> int:
    """Close the connections whose token has expired or was revoked; return how many."""
    now = clock.now()
    expired = socket_store.list_expired(mysql.autocommit, now, now - MAX_CONNECTION_AGE, EXPIRED_BATCH_SIZE)
    for connection in expired:
        if not close(connection.connection_id) and connection.opened_at <= now - MAX_CONNECTION_AGE:
            unregister(connection.connection_id)
    return len(expired)


def close(connection_id: str) -> bool:
    """Close a connection and delete it; return False if API Gateway failed, so that it must be tried again."""
    try:
        ws_push.close(connection_id)
    except ws_push.PushError as error:
        logger.warning("socket not closed", extra={"ids": {"status": error.status}})
        return False
    unregister(connection_id)
    return True


def _fetch_connections(tenant_id: int, principals: list[str]) -> dict[str, list[tuple[str, int]]]:
    """Return connection id and wants_events of all connections, by principal, and cache them."""
    found: dict[str, list[tuple[str, int]]] = {principal: [] for principal in principals}
    for connection in socket_store.list_by_principals(mysql.autocommit, tenant_id, principals):
        found[connection.principal].append((connection.connection_id, int(connection.wants_events)))
    for principal, connections in found.items():
        cache.write(_build_key(tenant_id, principal), json.dumps(connections))
    return found


def _build_key(tenant_id: int, principal: str) -> str:
    return feed.build_keys(tenant_id, principal)[2]
