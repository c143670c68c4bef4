"""Listening over a WebSocket. A pushed frame may be lost, which the counters of the cursors reveal."""

import json
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

from tests.support.soak.listener import RESPONSE_TIMEOUT_SECONDS, Listener

PING_AFTER_SECONDS = 3.0  # after which it checks whether it missed a frame


def listen(one: Listener) -> None:
    query = urlencode({"token": one.token, "protoc": "ws", "after": one.cursor})
    with connect(
        f"ws://127.0.0.1:{one.port}/notify?{query}", open_timeout=RESPONSE_TIMEOUT_SECONDS, close_timeout=0.1
    ) as line:
        one.sock = line.socket
        WebSocketPage(one, line).listen()


class WebSocketPage:
    """`received_cursors` has the cursors of frames after the listener's own."""

    def __init__(self, one: Listener, line: ClientConnection) -> None:
        self.listener, self.connection = one, line
        self.received_cursors: set[str] = set()
        self.resuming = False
        self.silent_seconds = 0.0

    def listen(self) -> None:
        while not self.listener.stopped.is_set():
            try:
                self.handle(json.loads(self.connection.recv(timeout=PING_AFTER_SECONDS)))
            except TimeoutError:
                self.silent_seconds += PING_AFTER_SECONDS
                if self.silent_seconds > RESPONSE_TIMEOUT_SECONDS:
                    raise
                if self.listener.ready.is_set():
                    self.send("ping")

    def handle(self, frame: dict[str, Any]) -> None:
        self.silent_seconds = 0.0
        match frame.get("action"):
            case None:
                self.listener.add_message(frame)
                self.received_cursors.add(frame["Cursor"])
                if self.listener.ready.is_set() and get_generation(frame["Cursor"]) != get_generation(
                    self.listener.cursor
                ):
                    self.resume()
            case "pong":
                self.compare_cursor(get_data(frame)["cursor"])
            case "ready" | "resume":
                self.resuming = False
                self.advance(**get_data(frame))

    def compare_cursor(self, newest: str) -> None:
        """Resume if a cursor is missing: its frame was lost, or was no message."""
        between = {
            f"{get_generation(newest)}.{n}" for n in range(get_number(self.listener.cursor) + 1, get_number(newest) + 1)
        }
        if get_generation(newest) == get_generation(self.listener.cursor) and self.received_cursors >= between:
            self.advance(newest, False)
        else:
            self.resume()

    def resume(self) -> None:
        if not self.resuming:
            self.resuming = True
            self.send("resume", cursor=self.listener.cursor)

    def advance(self, cursor: str, gap: bool) -> None:
        self.listener.receive([], cursor, gap)
        self.received_cursors = {
            one
            for one in self.received_cursors
            if get_generation(one) == get_generation(cursor) and get_number(one) > get_number(cursor)
        }

    def send(self, action: str, **more: object) -> None:
        self.connection.send(json.dumps({"action": action, "id": action, **more}))


def get_data(frame: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a response; raise HTTPException for an error, after which the client reconnects."""
    if frame["code"]:
        raise HTTPException(frame["error"])
    return dict(frame["data"])


def get_generation(cursor: str) -> str:
    return cursor.partition(".")[0]


def get_number(cursor: str) -> int:
    return int(cursor.partition(".")[2])
