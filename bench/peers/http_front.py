"""Serve app.py over HTTP from one process: python -m bench.peers.http_front PORT

It stands in for API Gateway and Lambda, and is lean because its time is counted as the app's: persistent connections,
epoll, one request at a time as in a Lambda function, and no more of HTTP than the load generator sends. WebSockets and
`@connections` are those of devstack/apigateway.
"""

import gc
import select
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app import app
from bench.console import silence_app_logs
from bench.lambda_events import HEADERS, REQUEST_CONTEXT, LambdaContext
from devstack.apigateway import websocket
from devstack.apigateway.rest_api import HttpRequest

CONTEXT = LambdaContext()
RECEIVE_BYTES = 1 << 16
ADDRESS = "127.0.0.1"
REASONS = {200: "OK", 410: "Gone"}


class Connection:
    """A client's connection and what it has sent of the next request."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""

    def serve(self) -> bool:
        """Receive and handle a request; return False if the connection has ended or become a WebSocket."""
        try:
            data = self.sock.recv(RECEIVE_BYTES)
            self.received += data
            request = parse_request(self.received)
            if request is None:
                return bool(data)
            self.received = b""
            if websocket.is_upgrade_request(request):
                Thread(target=serve_websocket, args=(request, self.sock), daemon=True).start()
                return False
            self.sock.sendall(handle_request(request))
        except OSError:  # the client has disconnected
            return False
        return True


def serve(port: int) -> None:
    """Serve until the process ends."""
    listener = socket.create_server((ADDRESS, port), backlog=128)
    poll = select.epoll()
    callbacks: dict[int, Callable[[], bool]] = {}

    def watch(sock: socket.socket, callback: Callable[[], bool]) -> None:
        callbacks[sock.fileno()] = callback
        poll.register(sock, select.EPOLLIN)

    def accept() -> bool:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watch(sock, Connection(sock).serve)
        return True

    watch(listener, accept)
    gc.freeze()  # as few full collections as in a Lambda's short life
    while True:
        for number, _ in poll.poll():
            if not callbacks[number]():
                with suppress(OSError):  # the thread of a WebSocket may have closed it already
                    poll.unregister(number)
                del callbacks[number]


def parse_request(data: bytes) -> HttpRequest | None:
    """Return a request, or None if its end was not received yet."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _version = first.split(" ")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return HttpRequest(method, target, headers, body, ADDRESS) if len(body) >= length else None


def handle_request(request: HttpRequest) -> bytes:
    """Return the response to a request to the API or to `@connections`."""
    managed = websocket.handle_management_request(request)
    if managed is not None:
        return format_response(managed.status, managed.headers, managed.body)
    result = app(build_event(request), CONTEXT)
    headers = [*result["headers"].items()]
    headers += [(name, value) for name, values in result["multiValueHeaders"].items() for value in values]
    return format_response(result["statusCode"], headers, result["body"].encode())


def build_event(request: HttpRequest) -> dict[str, Any]:
    """Build the event of a request to a path without parameters, with the headers that a phone and API Gateway add."""
    headers = {**HEADERS, **dict(request.headers)}
    return {
        **build_target_fields(request.method, request.target),
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": request.body.decode() or None,
    }


@lru_cache(maxsize=1024)
def build_target_fields(method: str, target: str) -> dict[str, Any]:
    """Return the fields of an event that depend on method and target only."""
    url = urlsplit(target)
    query = parse_qs(url.query)
    return {
        "resource": url.path,
        "path": url.path,
        "httpMethod": method,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            **REQUEST_CONTEXT,
            "resourcePath": url.path,
            "path": f"/api{url.path}",
            "httpMethod": method,
        },
        "isBase64Encoded": False,
    }


def format_response(status: int, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """Return a response as it is sent."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


def serve_websocket(request: HttpRequest, sock: socket.socket) -> None:
    """Serve a WebSocket until it ends."""
    sock.setblocking(True)
    websocket.Connection(app, request, sock).serve()
    sock.close()


if __name__ == "__main__":
    silence_app_logs()
    serve(int(sys.argv[1]))
