"""The backlog of a WebSocket: the events since the client's cursor, sent when it connects, and their end."""

from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters.aws import ws_push
from chalicelib.messaging import delivery, feed, socket_push, sockets
from chalicelib.messaging.delivery import MAX_EVENTS_PER_DELIVERY
from chalicelib.messaging.feed import Listener
from chalicelib.messaging.socket_store import Socket

CONNECT_TIMEOUT_SECONDS = 1.0  # a connection can be written to only after $connect has returned
RETRY_INTERVAL_SECONDS = 0.05
CLOSING_FRAME = {
    "action": "closing",
    "reason": "too_many_connections",
    "code": errors.RATE_LIMITED.code,
    "error": f"同时打开的连接过多（最多 {sockets.MAX_OF_PRINCIPAL} 个），最早打开的连接已关闭",
}


def send_on_connect(_tenant_id: int, payload: dict[str, Any]) -> None:
    """Send the backlog to a new connection: the outbox job that $connect enqueues.

    Args:
        payload: connection (its id), after (cursor, "" for the token's saved position).

    Raises:
        redis.RedisUnavailableError, ws_push.PushError: the job is to be repeated.
    """
    connection_id = payload["connection"]
    socket = sockets.find(connection_id)
    if socket is None:
        return
    if _wait_until_writable(connection_id):
        if connection_id in close_excess(socket.tenant_id, socket.principal):
            return
        end = send_events(connection_id, socket, payload["after"])
        _post_frame(connection_id, {"action": "ready", "code": 0, "data": end})
    elif sockets.find(connection_id):  # $connect is slow to return
        raise ws_push.PushError(ws_push.STATUS_GONE)


def send_events(connection_id: str, socket: Socket, after: str) -> dict[str, Any]:
    """Send all events after a cursor ("" for the token's saved position).

    An event that is published meanwhile may arrive twice, and before older ones.

    Returns:
        cursor: the position after all events; gap: True if events before it are lost, so that the client must read
        history.
    """
    listener, gap = build_listener(socket, after), False
    while True:
        found = delivery.read_events(listener, MAX_EVENTS_PER_DELIVERY)
        gap = gap or found.gap or found.position_unknown
        if found.position_unknown:
            feed.save_position(listener, found.cursor)
        received = all(_post_frame(connection_id, frame) for frame in found.frames)
        if not found.has_more or not received:
            return {"cursor": found.cursor, "gap": gap}
        listener = build_listener(socket, found.cursor)


def build_listener(socket: Socket, cursor: str = "") -> Listener:
    """Return the listener of a connection."""
    return Listener(socket.tenant_id, socket.principal, socket.token_hash.hex(), cursor, socket.wants_events)


def close_excess(tenant_id: int, principal: str) -> list[str]:
    """Close a principal's oldest connections above the limit, and return their ids.

    To be called by $connect, and by the job of the new connection once that is established: one that cannot be written
    to yet remains, and its own job finds it here. Of connections that are opened at the same time, the last one finds
    all others.

    Raises:
        ws_push.PushError: API Gateway failed.
    """
    excess = sockets.list_excess(tenant_id, principal)
    for connection_id in excess:
        if _post_frame(connection_id, CLOSING_FRAME):
            ws_push.close(connection_id)
            sockets.unregister(connection_id)
        else:
            sockets.unregister(connection_id, sockets.CONNECT_GRACE)
    return excess


def _wait_until_writable(connection_id: str) -> bool:
    """Return whether the connection is established within the timeout.

    Events that are published from then on are pushed, those before are read.
    """
    until = clock.monotonic() + CONNECT_TIMEOUT_SECONDS
    while not _post_frame(connection_id, {"action": "hello"}):
        sockets.unregister(connection_id, sockets.CONNECT_GRACE)
        if clock.monotonic() > until or not sockets.find(connection_id):  # do not wait for a client that has left
            return False
        clock.sleep(RETRY_INTERVAL_SECONDS)
    return True


def _post_frame(connection_id: str, frame: object) -> bool:
    return ws_push.post(connection_id, socket_push.encode_frame(frame))
