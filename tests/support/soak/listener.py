"""A client that listens as docs/notify.md describes, loses its connection now and then, and reconnects."""

import json
import random
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from time import monotonic
from typing import Any
from urllib.parse import urlencode

from websockets.exceptions import WebSocketException

RESPONSE_TIMEOUT_SECONDS = 30.0
MAX_RECONNECT_SECONDS = 0.3
CONNECTION_ERRORS = (OSError, HTTPException, WebSocketException)

Message = dict[str, Any]


class ApiError(Exception):
    """A response with an unexpected status."""


@dataclass(eq=False)
class Listener:
    """`run` is the `listen` function of poll, sse or ws: it returns when the connection is lost or `stopped` is set."""

    run: Callable[["Listener"], None]
    port: int
    token: str
    conversations: list[str]
    cursor: str = ""  # all events before it were received or read from history
    received: dict[str, Message] = field(default_factory=dict)  # by MsgId, in order of arrival
    received_at: dict[str, float] = field(default_factory=dict)  # time.monotonic() of each arrival
    from_history: set[str] = field(default_factory=set)  # ids of those read from history
    duplicates: int = 0  # messages received again
    gap_count: int = 0  # reported after the first connection
    lost_connections: int = 0
    ready: Event = field(default_factory=Event)
    stopped: Event = field(default_factory=Event)
    error_trace: str = ""
    http: HTTPConnection | None = None
    sock: socket.socket | None = None  # of a WebSocket

    def start(self) -> Thread:
        thread = Thread(target=self.listen, daemon=True)
        thread.start()
        return thread

    def listen(self) -> None:
        try:
            while not self.stopped.is_set():
                self.connect_once()
        except Exception:
            self.error_trace = traceback.format_exc()

    def connect_once(self) -> None:
        try:
            self.run(self)
        except ConnectionRefusedError:  # the server is down
            self.stopped.wait(MAX_RECONNECT_SECONDS)
        except CONNECTION_ERRORS:
            self.lost_connections += 1
            self.stopped.wait(random.uniform(0, MAX_RECONNECT_SECONDS))
        finally:
            self.close()

    def receive(self, messages: list[Message], cursor: str, gap: bool) -> None:
        """Add messages. After a gap read history first: if that fails, the old cursor is used again."""
        for message in messages:
            self.add_message(message)
        if gap and self.ready.is_set():
            self.gap_count += 1
            self.read_history()
        self.cursor = cursor
        self.ready.set()

    def add_message(self, message: Message) -> None:
        self.received_at.setdefault(message["MsgId"], monotonic())
        self.duplicates += message["MsgId"] in self.received
        self.received.setdefault(message["MsgId"], message)

    def read_history(self) -> None:
        for conversation in self.conversations:
            body = json.dumps({"conversation_id": conversation})
            for message in self.request_json("POST", "/get_conversation_msg_by_range", body)["data"]["Msg"]:
                if self.received.setdefault(message["MsgId"], message) is message:
                    self.from_history.add(message["MsgId"])

    def request_json(self, method: str, path: str, body: str | None = None) -> Any:
        return json.loads(self.request_text(method, path, body))

    def request_notify(self, **query: object) -> str:
        return self.request_text("GET", f"/notify?{urlencode({'token': self.token, 'after': self.cursor, **query})}")

    def request_text(self, method: str, path: str, body: str | None = None) -> str:
        """Return the body. Raises one of CONNECTION_ERRORS, also for a 429 or 503."""
        if self.http is None:
            self.http = HTTPConnection("127.0.0.1", self.port, timeout=RESPONSE_TIMEOUT_SECONDS)
        self.http.request(method, path, body, {"token": self.token, "Content-Type": "application/json"})
        response = self.http.getresponse()
        text = response.read().decode()
        if response.status in (429, 503):
            raise HTTPException(text)
        if response.status != 200:
            raise ApiError(f"{path}: {response.status} {text}")
        return text

    def close(self) -> None:
        if self.http:
            self.http.close()
        self.http = self.sock = None

    def cut(self) -> None:
        """Cut the connection; what is in transit is lost."""
        http = self.http
        for connected in (self.sock, http and http.sock):
            with suppress(OSError):
                if connected:
                    connected.shutdown(socket.SHUT_RDWR)
