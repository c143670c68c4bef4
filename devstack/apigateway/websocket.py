"""API Gateway's WebSocket API: `ws://127.0.0.1:8018/notify?…`, and its management API `@connections` on the same port.

$connect accepts or rejects a connection, $default receives each text message, $disconnect is called after the end. The
app posts to `@connections/ID` to send to a client; the signature of these requests is not checked. The library
`websockets` implements the protocol.
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

from devstack.apigateway.rest_api import STAGE, HttpRequest, HttpResponse, build_forwarded_headers
from devstack.console import print_line

MAX_FRAME_BYTES = 32 * 1024
MAX_MESSAGE_BYTES = 128 * 1024
IDLE_SECONDS = float(os.environ.get("DEVSTACK_WS_IDLE", "600"))  # without a message in either direction
LIFETIME_SECONDS = float(os.environ.get("DEVSTACK_WS_LIFETIME", "7200"))
TIMEOUT_MS = 29_000
MANAGEMENT_PATH = "/@connections/"

_open_connections: dict[str, "Connection"] = {}


def is_upgrade_request(request: HttpRequest) -> bool:
    """Return whether a request opens a WebSocket."""
    headers = {name.lower(): value.lower() for name, value in request.headers}
    return request.method == "GET" and headers.get("upgrade") == "websocket"


def handle_management_request(request: HttpRequest) -> HttpResponse | None:
    """Handle a request to `@connections`; return None for a request to another path."""
    _, separator, connection_id = request.target.partition(MANAGEMENT_PATH)
    if not separator:
        return None
    connection = _open_connections.get(unquote(connection_id))
    if request.method not in ("GET", "POST", "DELETE"):
        return _build_response(403, {"message": "Forbidden"})
    if request.method == "POST" and len(request.body) > MAX_MESSAGE_BYTES:
        return _build_response(413, {"message": "Payload Too Large"})
    if connection is None or not connection.handle_management_request(request):
        return _build_response(410, {"message": "Gone"})
    return _build_response(200, connection.describe() if request.method == "GET" else None)


@dataclass
class Connection:
    """A WebSocket connection. The caller closes its socket."""

    app: Chalice
    request: HttpRequest
    sock: socket.socket
    id: str = field(default_factory=lambda: b64encode(os.urandom(9)).decode())
    connected_at: float = field(default_factory=time.time)
    last_active_at: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.protocol = ServerProtocol(max_size=MAX_MESSAGE_BYTES)
        self.lock = threading.Lock()  # its own thread reads, the threads of management requests write
        self.frames: deque[Frame] = deque()

    def serve(self) -> None:
        """Serve the connection until it ends."""
        if not self.handshake():
            return
        _open_connections[self.id] = self
        try:
            for text in self.receive_texts():
                self.invoke("$default", {"body": text, "isBase64Encoded": False})
        except OSError:  # the client has disconnected
            pass
        finally:
            _open_connections.pop(self.id, None)
            self.invoke("$disconnect", {})

    def handshake(self) -> bool:
        """Complete the opening handshake; return whether the app accepted the connection."""
        lines = [f"GET {self.request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.request.headers)]
        self.protocol.receive_data("\r\n".join([*lines, "", ""]).encode("latin-1"))
        request = next((one for one in self.protocol.events_received() if isinstance(one, Request)), None)
        result = self.invoke("$connect", {}) if request else {"statusCode": 400}
        status = int(result.get("statusCode", 200))
        if request is None or status >= 300:
            response = self.protocol.reject(status, str(result.get("body", "")))
        else:
            response = self.protocol.accept(request)
        self.protocol.send_response(response)
        self.flush()
        return self.protocol.state is State.OPEN

    def receive_texts(self) -> Iterator[str]:
        """Yield each complete text message until the connection is closed, idle for too long, or too old."""
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
        """Return the next frame, or None at the end of the connection."""
        is_open = True
        while is_open and not self.frames:
            is_open = self.receive_bytes()
            self.frames += [event for event in self.protocol.events_received() if isinstance(event, Frame)]
        return self.frames.popleft() if self.frames else None

    def receive_bytes(self) -> bool:
        """Wait for data; return whether the connection is still open."""
        self.sock.settimeout(max(self.get_deadline() - time.time(), 0.001))
        try:
            data = self.sock.recv(1 << 16)
        except TimeoutError:
            if time.time() < self.get_deadline():
                return True  # a message was sent to the client meanwhile
            self.close(CloseCode.GOING_AWAY)
            return False
        self.last_active_at = time.time()
        with self.lock:
            self.protocol.receive_data(data) if data else self.protocol.receive_eof()
        self.flush()  # pongs, and the response to a close frame
        return bool(data) and self.protocol.state is State.OPEN

    def get_deadline(self) -> float:
        """Return the time at which the connection is closed unless a message is sent or received before."""
        return min(self.last_active_at + IDLE_SECONDS, self.connected_at + LIFETIME_SECONDS)

    def handle_management_request(self, request: HttpRequest) -> bool:
        """Send a message (POST) or close the connection (DELETE); return False if it has ended."""
        try:
            if request.method == "POST":
                with self.lock:
                    self.protocol.send_text(request.body)
                self.last_active_at = time.time()
            elif request.method == "DELETE":
                self.close(CloseCode.NORMAL_CLOSURE)
            self.flush()
        except (InvalidState, OSError):
            return False
        return True

    def describe(self) -> dict[str, Any]:
        """Return the response to GET @connections/ID."""

        def format_time(at: float) -> str:
            return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

        identity = {"sourceIp": self.request.address, "userAgent": dict(self.request.headers).get("User-Agent", "")}
        return {
            "connectedAt": format_time(self.connected_at),
            "lastActiveAt": format_time(self.last_active_at),
            "identity": identity,
        }

    def close(self, code: CloseCode) -> None:
        """Send a close frame if the connection is open."""
        with self.lock:
            if self.protocol.state is State.OPEN:
                self.protocol.send_close(code)
        self.flush()

    def flush(self) -> None:
        """Send the pending data of the protocol."""
        with self.lock:
            for data in self.protocol.data_to_send():
                if data:
                    self.sock.sendall(data)
                else:
                    self.sock.shutdown(socket.SHUT_WR)

    def invoke(self, route: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Call the app's handler of a route as Lambda does; return status 502 if it fails, 200 if there is none.

        Args:
            fields: of the event, in addition to those that every event has.
        """
        config = self.app.websocket_handlers.get(route)
        if config is None:
            return {"statusCode": 200}
        try:
            handler = self.app.handler_map[config.name]
            return handler(self.build_event(route, fields), LambdaContext(config.name, 128, TIMEOUT_MS)) or {}
        except Exception:
            print_line(traceback.format_exc())
            return {"statusCode": 502}

    def build_event(self, route: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Build the event of a route; only $connect has headers and query parameters."""
        headers = dict([*self.request.headers, *build_forwarded_headers(self.request)])
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
        event = {"requestContext": context, "isBase64Encoded": False, **fields}
        if route != "$connect":
            return event
        query = dict(parse_qsl(urlsplit(self.request.target).query, keep_blank_values=True))
        return {**event, "headers": headers, "queryStringParameters": query or None}


def _build_response(status: int, body: dict[str, Any] | None) -> HttpResponse:
    return HttpResponse(status, [("Content-Type", "application/json")], json.dumps(body).encode() if body else b"")
