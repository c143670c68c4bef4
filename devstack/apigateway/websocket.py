"""API Gateway's WebSocket side on this machine: `ws://127.0.0.1:8018/notify?…`, and `@connections` on the same port.

A connection is asked for at $connect, which may refuse it; each text goes to $default; $disconnect hears of the end.
What the app wants to say, it posts to `@connections/ID`, signed or not. Frames are the library's (websockets).
"""

import json
import os
import socket
import threading
import time
import traceback
import uuid
from base64 import b64encode
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from chalice.app import Chalice
from chalice.local import LambdaContext
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from devstack.apigateway.rest_api import STAGE, HttpRequest, HttpResponse
from devstack.console import print_line

MAX_FRAME_BYTES = 32 * 1024
MAX_MESSAGE_BYTES = 128 * 1024
IDLE_SECONDS = float(os.environ.get("DEVSTACK_WS_IDLE", "600"))  # seconds without a word from either side
LIFETIME_SECONDS = float(os.environ.get("DEVSTACK_WS_LIFETIME", "7200"))
TIMEOUT_MS = 29_000  # milliseconds
MANAGEMENT_PATH = "/@connections/"

_open_connections: dict[str, "Connection"] = {}


def is_upgrade_request(asked: HttpRequest) -> bool:
    """Whether a client asks for a WebSocket."""
    headers = {name.lower(): value.lower() for name, value in asked.headers}
    return asked.method == "GET" and headers.get("upgrade") == "websocket"


def handle_management_request(asked: HttpRequest) -> HttpResponse | None:
    """Answer what the app asks of a connection; None for a request that is about something else."""
    _, named, connection_id = asked.target.partition(MANAGEMENT_PATH)
    if not named:
        return None
    connection = _open_connections.get(unquote(connection_id))
    if asked.method not in ("GET", "POST", "DELETE"):
        return _build_response(403, {"message": "Forbidden"})
    if asked.method == "POST" and len(asked.body) > MAX_MESSAGE_BYTES:
        return _build_response(413, {"message": "Payload Too Large"})
    if connection is None or not connection.handle_management_request(asked):
        return _build_response(410, {"message": "Gone"})
    return _build_response(200, connection.describe() if asked.method == "GET" else None)


@dataclass
class Connection:
    """One WebSocket. The socket is the caller's to close."""

    app: Chalice
    request: HttpRequest
    sock: socket.socket
    id: str = field(default_factory=lambda: b64encode(os.urandom(9)).decode())
    connected_at: float = field(default_factory=time.time)
    last_active_at: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.protocol = ServerProtocol(max_size=MAX_MESSAGE_BYTES)
        self.lock = threading.Lock()  # its own thread reads; whoever posts writes
        self.frames: deque[Frame] = deque()

    def serve(self) -> None:
        """Hold it until it ends."""
        if not self.handshake():
            return
        _open_connections[self.id] = self
        try:
            for text in self.receive_texts():
                self.invoke("$default", {"body": text, "isBase64Encoded": False})
        except OSError:  # the client is gone
            pass
        finally:
            _open_connections.pop(self.id, None)
            self.invoke("$disconnect", {})

    def handshake(self) -> bool:
        """Return whether the client was let in."""
        lines = [f"GET {self.request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.request.headers)]
        self.protocol.receive_data("\r\n".join([*lines, "", ""]).encode("latin-1"))
        request = next((one for one in self.protocol.events_received() if isinstance(one, Request)), None)
        answer = self.invoke("$connect", {}) if request else {"statusCode": 400}
        status = int(answer.get("statusCode", 200))
        if request is None or status >= 300:
            response = self.protocol.reject(status, str(answer.get("body", "")))
        else:
            response = self.protocol.accept(request)
        self.protocol.send_response(response)
        self.flush()
        return self.protocol.state is State.OPEN

    def receive_texts(self) -> Iterator[str]:
        """Yield each whole text until the connection ends: by either side, in silence, or of age."""
        message = b""
        while frame := self.receive_frame():
            if frame.opcode not in (Opcode.TEXT, Opcode.CONT):
                continue
            message += frame.data
            if len(frame.data) > MAX_FRAME_BYTES or len(message) > MAX_MESSAGE_BYTES:
                return self.close(CloseCode.MESSAGE_TOO_BIG)
            if frame.fin:
                yield message.decode("utf-8", "replace")
                message = b""
        return None

    def receive_frame(self) -> Frame | None:
        goes_on = True
        while goes_on and not self.frames:
            goes_on = self.receive_bytes()
            self.frames += [event for event in self.protocol.events_received() if isinstance(event, Frame)]
        return self.frames.popleft() if self.frames else None

    def receive_bytes(self) -> bool:
        """Wait for bytes; return whether the connection goes on."""
        until = min(self.last_active_at + IDLE_SECONDS, self.connected_at + LIFETIME_SECONDS)
        self.sock.settimeout(max(until - time.time(), 0.001))
        try:
            data = self.sock.recv(1 << 16)
        except TimeoutError:
            if time.time() < min(self.last_active_at + IDLE_SECONDS, self.connected_at + LIFETIME_SECONDS):
                return True  # something was said to the client meanwhile
            self.close(CloseCode.GOING_AWAY)
            return False
        self.last_active_at = time.time()
        with self.lock:
            self.protocol.receive_data(data) if data else self.protocol.receive_eof()
        self.flush()  # pongs, and the answer to a close
        return bool(data) and self.protocol.state is State.OPEN

    def handle_management_request(self, asked: HttpRequest) -> bool:
        """Do what was posted to @connections; return whether the connection was there to do it."""
        try:
            if asked.method == "POST":
                with self.lock:
                    self.protocol.send_text(asked.body)
                self.last_active_at = time.time()
            elif asked.method == "DELETE":
                self.close(CloseCode.NORMAL_CLOSURE)
            self.flush()
        except (InvalidState, OSError):
            return False
        return True

    def describe(self) -> dict[str, Any]:
        def instant(at: float) -> str:
            return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

        identity = {"sourceIp": self.request.address, "userAgent": dict(self.request.headers).get("User-Agent", "")}
        return {
            "connectedAt": instant(self.connected_at),
            "lastActiveAt": instant(self.last_active_at),
            "identity": identity,
        }

    def close(self, code: CloseCode) -> None:
        with self.lock:
            if self.protocol.state is State.OPEN:
                self.protocol.send_close(code)
        self.flush()

    def flush(self) -> None:
        with self.lock:
            for data in self.protocol.data_to_send():
                if data:
                    self.sock.sendall(data)
                else:
                    self.sock.shutdown(socket.SHUT_WR)

    def invoke(self, route: str, more: dict[str, Any]) -> dict[str, Any]:
        """Call the app's handler as Lambda would; 502 where it fails."""
        config = self.app.websocket_handlers.get(route)
        if config is None:
            return {"statusCode": 200}
        try:
            handler = self.app.handler_map[config.name]
            return handler(self.build_event(route, more), LambdaContext(config.name, 128, TIMEOUT_MS)) or {}
        except Exception:
            print_line(traceback.format_exc())
            return {"statusCode": 502}

    def build_event(self, route: str, more: dict[str, Any]) -> dict[str, Any]:
        headers = dict(self.request.headers)
        context = {
            "routeKey": route,
            "eventType": {"$connect": "CONNECT", "$disconnect": "DISCONNECT"}.get(route, "MESSAGE"),
            "connectionId": self.id,
            "connectedAt": int(self.connected_at * 1000),
            "requestTimeEpoch": int(time.time() * 1000),
            "requestId": str(uuid.uuid4()),
            "apiId": "local",
            "stage": STAGE,
            "domainName": headers.get("Host", "127.0.0.1"),
            "identity": {"sourceIp": self.request.address, "userAgent": headers.get("User-Agent", "")},
        }
        shown = {"requestContext": context, "isBase64Encoded": False, **more}
        if route != "$connect":
            return shown
        query = dict(parse_qsl(urlsplit(self.request.target).query, keep_blank_values=True))
        return {**shown, "headers": headers, "queryStringParameters": query or None}


def _build_response(status: int, body: dict[str, Any] | None) -> HttpResponse:
    return HttpResponse(status, [("Content-Type", "application/json")], json.dumps(body).encode() if body else b"")
