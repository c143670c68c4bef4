"""Listening over a WebSocket. What is pushed may be lost on the way: the numbers of the cursors tell."""

import json
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

from tests.support.soak.listener import RESPONSE_TIMEOUT_SECONDS, Listener

PING_AFTER_SECONDS = 3.0  # seconds after which it asks whether it missed something


def listen(one: Listener) -> None:
    query = urlencode({"token": one.token, "protoc": "ws", "after": one.cursor})
    with connect(
        f"ws://127.0.0.1:{one.port}/notify?{query}", open_timeout=RESPONSE_TIMEOUT_SECONDS, close_timeout=0.1
    ) as line:
        one.sock = line.socket
        WebSocketPage(one, line).listen()


class WebSocketPage:
    """`came` has the cursors of what came behind the listener's own."""

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

    def handle(self, said: dict[str, Any]) -> None:
        self.silent_seconds = 0.0
        match said.get("action"):
            case None:
                self.listener.add_message(said)
                self.received_cursors.add(said["Cursor"])
                if self.listener.ready.is_set() and get_generation(said["Cursor"]) != get_generation(
                    self.listener.cursor
                ):
                    self.resume()
            case "pong":
                self.compare_cursor(get_answer(said)["cursor"])
            case "ready" | "resume":
                self.resuming = False
                self.advance(**get_answer(said))

    def compare_cursor(self, newest: str) -> None:
        """A number that did not come was lost, or was no message: who resumes knows."""
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


def get_answer(said: dict[str, Any]) -> dict[str, Any]:
    """Return what was answered; whoever was refused connects anew."""
    if said["code"]:
        raise HTTPException(said["error"])
    return dict(said["data"])


def get_generation(cursor: str) -> str:
    return cursor.partition(".")[0]


def get_number(cursor: str) -> int:
    return int(cursor.partition(".")[2])
