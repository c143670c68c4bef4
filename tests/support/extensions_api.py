"""A fake of Lambda's Extensions API: the extension of this process receives the invocations that a test adds."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import Any

from chalicelib import clock

IDENTIFIER = "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111"


@dataclass
class ExtensionsApi:
    """The server.

    Attributes:
        ready: has an element for each request for the next event, which is when Lambda may suspend the process.
        invocations: events that such requests return; None is an error response.
    """

    register_status: int = 200
    address: str = ""
    registrations: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ready: Queue[str] = field(default_factory=Queue)
    invocations: Queue[dict[str, Any] | None] = field(default_factory=Queue)

    def invoke(self, request_id: str, timeout_seconds: float = 60.0) -> None:
        """Start an invocation, which the extension learns of at once."""
        deadline_ms = clock.now() // 1000 + int(timeout_seconds * 1000)
        self.invocations.put({"eventType": "INVOKE", "requestId": request_id, "deadlineMs": deadline_ms})

    def build_handler(api) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/2020-01-01/extension/register"
                api.registrations.append((self.headers["Lambda-Extension-Name"], body))
                self.respond(api.register_status, {"functionName": "helloWorld"})

            def do_GET(self) -> None:
                assert self.path == "/2020-01-01/extension/event/next"
                api.ready.put(self.headers["Lambda-Extension-Identifier"])
                event = api.invocations.get()
                self.respond(200 if event else 500, event or {})

            def respond(self, status: int, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Lambda-Extension-Identifier", IDENTIFIER)
                self.send_header("Content-Length", f"{len(content)}")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None: ...

        return Handler


@contextmanager
def run_extensions_api() -> Iterator[ExtensionsApi]:
    """Run the fake. At its end an extension that waits for an event receives an error, on which it ends."""
    api = ExtensionsApi()
    server = ThreadingHTTPServer(("127.0.0.1", 0), api.build_handler())
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    api.address = f"127.0.0.1:{server.server_address[1]}"
    yield api
    api.invocations.put(None)
    server.shutdown()
    server.server_close()
