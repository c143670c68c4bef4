"""Serve app.py over HTTP as API Gateway does: python -m devstack.apigateway.server --port 8018

It extends Chalice's local server: one packet per response, a long backlog, complete events, chunked bodies, API
Gateway's limits, and our envelope on every error. `bin/chalice local` uses the same handler; this module differs
only in that it needs no configuration.
"""

import argparse
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import (
    ChaliceRequestHandler,
    LocalChalice,
    LocalDevServer,
    RouteMatcher,
    ThreadedHTTPServer,
    create_local_server,
)

from devstack.apigateway import api_docs, rest_api, websocket
from devstack.apigateway.rest_api import MAX_REQUEST_BYTES, HttpRequest, HttpResponse
from devstack.console import print_line

SCHEDULE_SECONDS = 5.0  # between two runs of the scheduled functions
IDLE_SECONDS = 65  # after which an idle connection is closed


class MalformedRequestError(Exception):
    """The framing of a request is invalid; the argument is the status of the response."""


class Handler(ChaliceRequestHandler):
    """Handle the requests of one connection."""

    disable_nagle_algorithm = True  # otherwise each response waits 40 ms for the client's ACK
    wbufsize = -1  # send headers and body in one packet
    timeout = IDLE_SECONDS

    def __init__(self, request: Any, address: Any, server: Any, app_object: Chalice, config: Config) -> None:  # noqa: ARG002  # the signature that Chalice calls
        self.app = app_object
        self.matcher = RouteMatcher(list(app_object.routes))
        BaseHTTPRequestHandler.__init__(self, request, address, server)  # not Chalice's, which creates its own gateway

    def handle_one_request(self) -> None:
        """Handle a request; close the connection if the client has closed it or is idle for too long."""
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def serve(self) -> None:
        """Respond to a request of any method, or serve a WebSocket until it ends."""
        try:
            body = self.read_body()
        except MalformedRequestError as error:
            self.close_connection = True
            self.send(rest_api.build_error(error.args[0]))
            self.drain()
            return
        request = HttpRequest(self.command, self.path, self.headers.items(), body, self.client_address[0])
        if websocket.is_upgrade_request(request):
            self.close_connection = True
            websocket.Connection(self.app, request, self.connection).serve()
            return
        self.send(
            api_docs.find_page(request)
            or websocket.handle_management_request(request)
            or rest_api.handle_request(self.app, self.matcher, request)
        )

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def read_body(self) -> bytes:
        """Read the body by its length or in chunks.

        Raises:
            MalformedRequestError: 400 for an invalid or repeated length, 413 for a body over the limit.
        """
        lengths, chunked = self.headers.get_all("Content-Length", []), self.headers.get_all("Transfer-Encoding", [])
        if chunked:
            if lengths or [value.strip().lower() for value in chunked] != ["chunked"]:
                raise MalformedRequestError(400)
            return self.read_chunks()
        if not lengths:
            return b""
        if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise MalformedRequestError(400)
        return self.read_exactly(self.require_within_limit(int(lengths[0])))

    def read_chunks(self) -> bytes:
        """Read a chunked body."""
        body = bytearray()
        while size := self.read_chunk_size():
            self.require_within_limit(len(body) + size)
            body += self.read_exactly(size)
            if self.rfile.readline(3) != b"\r\n":
                raise MalformedRequestError(400)
        while self.rfile.readline(8192).strip():  # trailers
            pass
        return bytes(body)

    def read_chunk_size(self) -> int:
        """Read the line that begins a chunk."""
        digits = self.rfile.readline(64).split(b";")[0].strip()
        if not digits or digits.strip(b"0123456789abcdefABCDEF"):
            raise MalformedRequestError(400)
        return int(digits, 16)

    def require_within_limit(self, size: int) -> int:
        """Return the size, or raise MalformedRequestError(413) if it exceeds the limit."""
        if size > MAX_REQUEST_BYTES:
            raise MalformedRequestError(413)
        return size

    def read_exactly(self, size: int) -> bytes:
        """Read `size` bytes; raise ConnectionError if the connection ends before."""
        body = self.rfile.read(size)
        if len(body) < size:
            raise ConnectionError("the connection ended within a body")
        return bytes(body)

    def handle_expect_100(self) -> bool:
        """Respond to `Expect: 100-continue`: reject a body that is too large before the client sends it."""
        length = self.headers.get("Content-Length", "0")
        if length.isdigit() and int(length) > MAX_REQUEST_BYTES:
            self.close_connection = True
            self.send(rest_api.build_error(413))
            return False
        return bool(super().handle_expect_100())

    def send(self, response: HttpResponse) -> None:
        """Send a response; without its body if the method is HEAD."""
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def drain(self) -> None:
        """Discard what the client still sends, so that it can read our response: closing at once would reset it."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and self.connection.recv(1 << 16):
            pass

    def send_error(self, code: int, *_: Any) -> None:
        """Send an error of http.server: an invalid request line or an unknown method."""
        self.close_connection = True
        status = 404 if code == HTTPStatus.NOT_IMPLEMENTED else int(code)
        self.command = getattr(self, "command", None) or "GET"
        self.send(rest_api.build_error(status))

    def version_string(self) -> str:
        """Return the value of the Server header."""
        return "zhenxun-local"

    def log_message(self, *_: Any) -> None:
        """Log nothing: the app logs its requests itself."""


class Server(ThreadedHTTPServer):
    """A server with a thread for each connection."""

    daemon_threads = True
    request_queue_size = 128


def patch_chalice_local() -> None:
    """Make Chalice's own command use our handler and server."""
    LocalDevServer.__init__.__defaults__ = (Handler, Server)


def create_server(host: str, port: int) -> Any:
    """Return a server of the whole app that is bound but not serving; its `server` is a socketserver."""
    from app import app

    patch_chalice_local()
    # create_local_server turns the app into a LocalChalice, which can be done only once.
    create = LocalDevServer if isinstance(app, LocalChalice) else create_local_server
    return create(app, Config(), host, port)


def run_schedules() -> None:
    """Run the functions that AWS schedules each minute or hour, every few seconds."""
    from chalicelib.booking.jobs import scheduled
    from chalicelib.messaging import sockets
    from chalicelib.outbox import outbox
    from chalicelib.outbox.jobs import Queue
    from chalicelib.payment import bill_fetching, reconciliation

    while True:
        try:
            for queue in Queue:
                outbox.wake_worker(queue)
            sockets.close_expired()
            scheduled.cancel_unpaid()
            scheduled.send_reminders()
            scheduled.mark_missed()
            reconciliation.run()
            bill_fetching.run()
        except Exception as error:  # such as a database that is being restarted
            print_line(f"  (schedules: {error!r})")
        time.sleep(SCHEDULE_SECONDS)


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8018)
    options = parser.parse_args()
    server = create_server(options.host, options.port).server
    threading.Thread(target=run_schedules, name="schedules", daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
