"""A page that listens as docs/notify.md tells it to, loses its connection now and then, and comes back."""

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

RESPONSE_TIMEOUT_SECONDS = 30.0  # seconds for an answer
MAX_RECONNECT_SECONDS = 0.3  # seconds, at most, until it comes back
CONNECTION_ERRORS = (OSError, HTTPException, WebSocketException)  # connections

Message = dict[str, Any]


class ApiError(Exception):
    """An answer that is none of those that a page may be given here."""


@dataclass(eq=False)
class Listener:
    """`run` is one of poll.run, sse.run, ws.run: it listens until the connection is lost, or the listener is over."""

    run: Callable[["Listener"], None]
    port: int
    token: str
    conversations: list[str]
    cursor: str = ""  # everything before it was heard, or read
    received: dict[str, Message] = field(default_factory=dict)  # by MsgId, in the order in which they came
    received_at: dict[str, float] = field(default_factory=dict)  # when each came, of time.monotonic()
    from_history: set[str] = field(default_factory=set)  # ids of those that came from history
    duplicates: int = 0  # messages that came once more
    gap_count: int = 0  # that it was told of since it first listened
    lost_connections: int = 0  # connections
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
        except ConnectionRefusedError:  # nobody serves
            self.stopped.wait(MAX_RECONNECT_SECONDS)
        except CONNECTION_ERRORS:
            self.lost_connections += 1
            self.stopped.wait(random.uniform(0, MAX_RECONNECT_SECONDS))
        finally:
            self.close()

    def receive(self, messages: list[Message], cursor: str, gap: bool) -> None:
        """Keep what came. A gap is read up in history first: whoever fails there asks again from the old cursor."""
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
        """Raises LOST, also for an answer that asks to come again."""
        if self.http is None:
            self.http = HTTPConnection("127.0.0.1", self.port, timeout=RESPONSE_TIMEOUT_SECONDS)
        self.http.request(method, path, body, {"token": self.token, "Content-Type": "application/json"})
        answer = self.http.getresponse()
        text = answer.read().decode()
        if answer.status == 503:
            raise HTTPException(text)
        if answer.status != 200:
            raise ApiError(f"{path}: {answer.status} {text}")
        return text

    def close(self) -> None:
        if self.http:
            self.http.close()
        self.http = self.sock = None

    def cut(self) -> None:
        """Whatever is on the way to it is lost."""
        http = self.http
        for line in (self.sock, http and http.sock):
            with suppress(OSError):
                if line:
                    line.shutdown(socket.SHUT_RDWR)
