"""Listening over a WebSocket. What is pushed may be lost on the way: the numbers of the cursors tell."""

import json
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

from tests.gateway.soak.listener import PATIENCE, Listener

SILENCE = 3.0  # seconds after which it asks whether it missed something


def run(one: Listener) -> None:
    query = urlencode({"token": one.token, "protoc": "ws", "after": one.cursor})
    with connect(f"ws://127.0.0.1:{one.port}/notify?{query}", open_timeout=PATIENCE, close_timeout=0.1) as line:
        one.line = line.socket
        Page(one, line).listen()


class Page:
    """`came` has the cursors of what came behind the listener's own."""

    def __init__(self, one: Listener, line: ClientConnection) -> None:
        self.one, self.line = one, line
        self.came: set[str] = set()
        self.resuming = False
        self.silent = 0.0

    def listen(self) -> None:
        while not self.one.over.is_set():
            try:
                self.take(json.loads(self.line.recv(timeout=SILENCE)))
            except TimeoutError:
                self.silent += SILENCE
                if self.silent > PATIENCE:
                    raise
                if self.one.ready.is_set():
                    self.say("ping")

    def take(self, said: dict[str, Any]) -> None:
        self.silent = 0.0
        match said.get("action"):
            case None:
                self.one.hear(said)
                self.came.add(said["Cursor"])
                if self.one.ready.is_set() and generation(said["Cursor"]) != generation(self.one.cursor):
                    self.resume()
            case "pong":
                self.compare(answered(said)["cursor"])
            case "ready" | "resume":
                self.resuming = False
                self.arrive(**answered(said))

    def compare(self, newest: str) -> None:
        """A number that did not come was lost, or was no message: who resumes knows."""
        between = {f"{generation(newest)}.{n}" for n in range(number(self.one.cursor) + 1, number(newest) + 1)}
        if generation(newest) == generation(self.one.cursor) and self.came >= between:
            self.arrive(newest, False)
        else:
            self.resume()

    def resume(self) -> None:
        if not self.resuming:
            self.resuming = True
            self.say("resume", cursor=self.one.cursor)

    def arrive(self, cursor: str, gap: bool) -> None:
        self.one.told([], cursor, gap)
        self.came = {one for one in self.came if generation(one) == generation(cursor) and number(one) > number(cursor)}

    def say(self, action: str, **more: object) -> None:
        self.line.send(json.dumps({"action": action, "id": action, **more}))


def answered(said: dict[str, Any]) -> dict[str, Any]:
    """Return what was answered; whoever was refused connects anew."""
    if said["code"]:
        raise HTTPException(said["error"])
    return dict(said["data"])


def generation(cursor: str) -> str:
    return cursor.partition(".")[0]


def number(cursor: str) -> int:
    return int(cursor.partition(".")[2])
