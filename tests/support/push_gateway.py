"""A fake of API Gateway's `@connections`, which responds slowly or with errors as a test says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote


@dataclass
class PushGateway:
    """The server.

    Attributes:
        statuses: status for each connection id or "METHOD id", 200 by default.
        slow: connection ids to which it responds only when `go` is set.
        arrived: set when it has received a request.
    """

    port: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    hang_up: bool = False  # after each response, without announcing it
    go: Event = field(default_factory=Event)
    arrived: Event = field(default_factory=Event)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    connection_count: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def list_requests(self, connection_id: str) -> list[tuple[str, str]]:
        """Return method and body of each request that names a connection."""
        return [(method, body.decode()) for method, path, _, body in self.requests if get_name(path) == connection_id]

    def build_handler(gateway) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                gateway.connection_count += 1
                super().setup()

            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                gateway.requests.append((self.command, self.path, headers, body))
                gateway.arrived.set()
                name = get_name(self.path)
                if name in gateway.slow:
                    gateway.go.wait(10)
                status = gateway.statuses.get(name, 200)
                self.send_response(gateway.statuses.get(f"{self.command} {name}", status))
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.close_connection = gateway.hang_up

            do_POST = do_DELETE = respond

            def log_message(self, *_: Any) -> None: ...

        return Handler


def get_name(path: str) -> str:
    """Return the connection id in a path."""
    return unquote(path.rpartition("/")[2])


@contextmanager
def run_push_gateway() -> Iterator[PushGateway]:
    gateway = PushGateway()
    server = ThreadingHTTPServer(("127.0.0.1", 0), gateway.build_handler())
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    gateway.port = server.server_address[1]
    yield gateway
    gateway.go.set()
    server.shutdown()
    server.server_close()
