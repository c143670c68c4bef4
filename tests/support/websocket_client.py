"""A page that listens over a WebSocket: the library's client against the whole app on this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

TIMEOUT_SECONDS = (
    60.0  # seconds: a busy machine, and one runner of the outbox that another connection holds up for three
)


class WebSocketPage:
    """`unasked` has what came without being an answer: MsgData, and what the server says by itself."""

    def __init__(self, line: ClientConnection) -> None:
        self.connection = line
        self.unsolicited: list[Any] = []

    def receive(self, patience: float = TIMEOUT_SECONDS) -> Any:
        """Return the next thing it is sent. Raises TimeoutError, ConnectionClosed."""
        return json.loads(self.connection.recv(timeout=patience))

    def receive_message(self, patience: float = TIMEOUT_SECONDS) -> Any:
        """Return the next MsgData."""
        while "action" in (said := self.receive(patience)):
            self.unsolicited.append(said)
        return said

    def receive_backlog(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the backlog, and what is said behind it."""
        backlog = []
        while (said := self.receive()).get("action") != "ready":
            backlog.append(said)
        assert backlog.pop(0) == {"action": "hello"}
        return backlog, said["data"]

    def call(self, action: str, **more: Any) -> Any:
        """Say something and return the answer to it."""
        self.connection.send(json.dumps({"action": action, "id": "q1", **more}))
        while (said := self.receive()).get("id") != "q1":
            self.unsolicited.append(said)
        return said


@contextmanager
def open_websocket(base_url: str, token: str, **query: Any) -> Iterator[WebSocketPage]:
    asked = urlencode({"token": token, "protoc": "ws", **query})
    with connect(f"{base_url.replace('http', 'ws', 1)}/notify?{asked}") as line:
        yield WebSocketPage(line)
