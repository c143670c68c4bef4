"""A client that listens over a WebSocket, against the local server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

from chalicelib.messaging import socket_push

TIMEOUT_SECONDS = 60.0  # the machine may be busy, and the outbox worker waits up to 3 s for another connection


class WebSocketPage:
    """`unsolicited` has the frames that are no responses: MsgData, and those that the server sends by itself."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.unsolicited: list[Any] = []

    def receive(self, timeout: float = TIMEOUT_SECONDS) -> Any:
        """Return the next frame. Raises TimeoutError, ConnectionClosed."""
        return json.loads(self.connection.recv(timeout=timeout))

    def receive_message(self, timeout: float = TIMEOUT_SECONDS) -> Any:
        """Return the next MsgData."""
        while "action" in (frame := self.receive(timeout)):
            self.unsolicited.append(frame)
        return frame

    def receive_backlog(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the backlog and the data of the `ready` frame after it."""
        backlog = []
        while (frame := self.receive()).get("action") != "ready":
            backlog.append(frame)
        assert backlog.pop(0) == {"action": "hello"}
        return backlog, frame["data"]

    def call(self, action: str, **more: Any) -> Any:
        """Send a request and return its response."""
        self.connection.send(json.dumps({"action": action, "id": "q1", **more}))
        while (frame := self.receive()).get("id") != "q1":
            self.unsolicited.append(frame)
        return frame


@contextmanager
def open_websocket(base_url: str, token: str, **query: Any) -> Iterator[WebSocketPage]:
    """Open a connection when the frames of earlier messages are written: this one would receive them, too."""
    assert socket_push.wait_until_written(TIMEOUT_SECONDS)
    query_text = urlencode({"token": token, "protoc": "ws", **query})
    with connect(f"{base_url.replace('http', 'ws', 1)}/notify?{query_text}") as connection:
        yield WebSocketPage(connection)
