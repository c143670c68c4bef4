"""What a WebSocket is sent first: all that came while nobody listened, and then where that ends."""

from typing import Any

from chalicelib import clock
from chalicelib.adapters.aws import ws_push
from chalicelib.messaging import delivery, sockets
from chalicelib.messaging.delivery import MOST, Listener
from chalicelib.messaging.sockets import Socket

PATIENCE, PAUSE = 1.0, 0.05  # seconds: $connect must have answered before the connection can be written to


def run(_tenant_id: int, payload: dict[str, Any]) -> None:
    """The job that $connect promises. Raises redis.Down, ws_push.Failed: then it is tried again."""
    connection_id = payload["connection"]
    socket = sockets.find(connection_id)
    if socket is None:
        return
    if _welcomed(connection_id):
        where = send(connection_id, socket, payload["after"])
        _say(connection_id, {"action": "ready", "code": 0, "data": where})
    elif sockets.find(connection_id):  # $connect is slow to answer
        raise ws_push.Failed(ws_push.GONE)


def send(connection_id: str, socket: Socket, after: str) -> dict[str, Any]:
    """Send what is behind a cursor ("": behind what the token has acknowledged); return the cursor behind it all.

    gap: something before it is lost, history has it. What is sent meanwhile by others may come twice, and before.
    """
    listener, gap = listening(socket, after), False
    while True:
        found = delivery.read(listener, MOST)
        gap = gap or found.gap or found.placeless
        if found.placeless:
            delivery.place(listener, found.cursor)
        heard = all(_say(connection_id, frame) for frame in found.frames)
        if not found.more or not heard:
            return {"cursor": found.cursor, "gap": gap}
        listener = listening(socket, found.cursor)


def listening(socket: Socket, cursor: str = "") -> Listener:
    return Listener(socket.tenant_id, socket.principal, socket.token_hash.hex(), cursor, socket.events)


def _welcomed(connection_id: str) -> bool:
    """Whether the client is there within that time. What is emitted from then on is pushed, what was before is read."""
    until = clock.monotonic() + PATIENCE
    while not _say(connection_id, {"action": "hello"}):
        sockets.closed(connection_id, sockets.YOUNG)
        if clock.monotonic() > until or not sockets.find(connection_id):  # who has left already holds up nobody
            return False
        clock.pause(PAUSE)
    return True


def _say(connection_id: str, what: object) -> bool:
    return ws_push.post(connection_id, sockets.encoded(what))
