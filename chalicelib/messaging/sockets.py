"""Open WebSockets of principals. They are stored in MySQL, and cached in Redis for a minute."""

import logging
from typing import Any

from chalicelib import clock
from chalicelib.adapters import cache, mysql
from chalicelib.adapters.aws import ws_push
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.messaging import feed, socket_store
from chalicelib.messaging.socket_store import Socket

logger = logging.getLogger(__name__)

CONNECT_GRACE = 10 * clock.SECOND  # a younger connection may be reported as gone because it is not established yet
# API Gateway closes a connection after two hours.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
MAX_CONNECTION_AGE = 2 * 3600 * clock.SECOND + 600 * clock.SECOND
EXPIRED_BATCH_SIZE = 500
MAX_OF_PRINCIPAL = 5  # open connections
EXCESS_BATCH_SIZE = 100


def register(tx: mysql.Tx, connection_id: str, socket: Socket) -> None:
    """Store a connection. Call `invalidate_cache` after the commit."""
    socket_store.insert(tx, connection_id, socket, clock.now())


def invalidate_cache(tenant_id: int, principal: str) -> None:
    """Invalidate the cached list of the principal's connections."""
    cache.invalidate(build_cache_key(tenant_id, principal))


def find(connection_id: str) -> Socket | None:
    """Return the connection, None if it is not registered."""
    return socket_store.find(mysql.autocommit, connection_id)


def unregister(connection_id: str, younger: int = 0) -> None:
    """Delete a connection, unless it was opened less than `younger` microseconds ago."""
    before = clock.now() - younger + 1
    owner = mysql.run_transaction(lambda tx: socket_store.delete(tx, connection_id, before))
    if owner:
        invalidate_cache(*owner)


def list_excess(tenant_id: int, principal: str) -> list[str]:
    """Return the ids of a principal's connections above MAX_OF_PRINCIPAL: all but the newest ones."""
    return socket_store.list_excess(mysql.autocommit, tenant_id, principal, MAX_OF_PRINCIPAL, EXCESS_BATCH_SIZE)


def close_expired() -> int:
    """Close the connections whose token has expired or was revoked; return how many."""
    now = clock.now()
    expired = socket_store.list_expired(mysql.autocommit, now, now - MAX_CONNECTION_AGE, EXPIRED_BATCH_SIZE)
    for connection in expired:
        if not close(connection.connection_id) and connection.opened_at <= now - MAX_CONNECTION_AGE:
            unregister(connection.connection_id)
    return len(expired)


def close_revoked(tenant_id: int, payload: dict[str, Any]) -> None:
    """Outbox job CLOSE_SOCKETS: close the connections of principals whose token is not valid any more.

    Args:
        payload: principals.

    Raises:
        ApiError: API Gateway did not close one; the job is retried.
    """
    found = socket_store.list_revoked(mysql.autocommit, clock.now(), tenant_id, payload["principals"])
    results = [close(connection_id) for connection_id in found]
    if not all(results):
        raise ApiError(UNAVAILABLE)


def close(connection_id: str) -> bool:
    """Close a connection and delete it; return False if API Gateway failed, so that it must be tried again."""
    try:
        ws_push.close(connection_id)
    except ws_push.PushError as error:
        logger.warning("socket not closed", extra={"ids": {"status": error.status}})
        return False
    unregister(connection_id)
    return True


def build_cache_key(tenant_id: int, principal: str) -> str:
    """Return the Redis key of the cached list of the principal's connections."""
    return feed.build_keys(tenant_id, principal)[2]
