"""What a WebSocket is sent first: all that came while nobody listened, and then where that ends."""

from typing import Any

from chalicelib import clock
from chalicelib.adapters.aws import ws_push
from chalicelib.messaging import delivery, sockets
from chalicelib.messaging.delivery import MAX_EVENTS_PER_DELIVERY, Listener
from chalicelib.messaging.sockets import Socket

CONNECT_TIMEOUT_SECONDS, RETRY_INTERVAL_SECONDS = (
    1.0,
    0.05,
)  # seconds: $connect must have answered before the connection can be written to


def send_on_connect(_tenant_id: int, payload: dict[str, Any]) -> None:
    """The job that $connect promises. Raises redis.RedisUnavailableError, ws_push.Failed: then it is tried again."""
    connection_id = payload["connection"]
    socket = sockets.find(connection_id)
    if socket is None:
        return
    if _wait_until_writable(connection_id):
        where = send_events(connection_id, socket, payload["after"])
        _post_frame(connection_id, {"action": "ready", "code": 0, "data": where})
    elif sockets.find(connection_id):  # $connect is slow to answer
        raise ws_push.PushError(ws_push.STATUS_GONE)


def send_events(connection_id: str, socket: Socket, after: str) -> dict[str, Any]:
    """Send what is behind a cursor ("": behind what the token has acknowledged); return the cursor behind it all.

    gap: something before it is lost, history has it. What is sent meanwhile by others may come twice, and before.
    """
    listener, gap = build_listener(socket, after), False
    while True:
        found = delivery.read_events(listener, MAX_EVENTS_PER_DELIVERY)
        gap = gap or found.gap or found.position_unknown
        if found.position_unknown:
            delivery.save_position(listener, found.cursor)
        heard = all(_post_frame(connection_id, frame) for frame in found.frames)
        if not found.has_more or not heard:
            return {"cursor": found.cursor, "gap": gap}
        listener = build_listener(socket, found.cursor)


def build_listener(socket: Socket, cursor: str = "") -> Listener:
    return Listener(socket.tenant_id, socket.principal, socket.token_hash.hex(), cursor, socket.wants_events)


def _wait_until_writable(connection_id: str) -> bool:
    """Whether the client is there within that time. What is emitted from then on is pushed, what was before is read."""
    until = clock.monotonic() + CONNECT_TIMEOUT_SECONDS
    while not _post_frame(connection_id, {"action": "hello"}):
        sockets.unregister(connection_id, sockets.CONNECT_GRACE)
        if clock.monotonic() > until or not sockets.find(connection_id):  # who has left already holds up nobody
            return False
        clock.sleep(RETRY_INTERVAL_SECONDS)
    return True


def _post_frame(connection_id: str, what: object) -> bool:
    return ws_push.post(connection_id, sockets.encode_frame(what))
