"""app.py over HTTP on this machine, as API Gateway would have it: python -m devstack.apigateway.server --port 8018

Chalice's own local server, its faults mended: a packet per answer, a long backlog, whole events, chunked bodies,
API Gateway's limits and our envelope on every error. `bin/chalice local` serves the same way; this
module differs only in that it needs no configuration.
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

SCHEDULE_SECONDS = 5.0  # seconds
IDLE_SECONDS = 65  # seconds until a silent connection is closed


class MalformedRequestError(Exception):
    """The request's framing cannot be trusted; its status is the argument."""


class Handler(ChaliceRequestHandler):
    disable_nagle_algorithm = True  # with it, each answer waits 40 ms for the client's ACK
    wbufsize = -1  # headers and body leave together
    timeout = IDLE_SECONDS

    def __init__(self, request: Any, address: Any, server: Any, app_object: Chalice, config: Config) -> None:  # noqa: ARG002  # as Chalice calls it
        self.app = app_object
        self.matcher = RouteMatcher(list(app_object.routes))
        BaseHTTPRequestHandler.__init__(self, request, address, server)  # not Chalice's, which makes its own gateway

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def serve(self) -> None:
        try:
            body = self.read_body()
        except MalformedRequestError as error:
            self.close_connection = True
            self.send(rest_api.build_error(error.args[0]))
            self.drain()
            return
        asked = HttpRequest(self.command, self.path, self.headers.items(), body, self.client_address[0])
        if websocket.is_upgrade_request(asked):
            self.close_connection = True
            websocket.Connection(self.app, asked, self.connection).serve()
            return
        self.send(
            api_docs.find_page(asked)
            or websocket.handle_management_request(asked)
            or rest_api.handle_request(self.app, self.matcher, asked)
        )

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def read_body(self) -> bytes:
        """Raises Malformed where the length is no length, is given twice, or is over the limit."""
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
        digits = self.rfile.readline(64).split(b";")[0].strip()
        if not digits or digits.strip(b"0123456789abcdefABCDEF"):
            raise MalformedRequestError(400)
        return int(digits, 16)

    def require_within_limit(self, size: int) -> int:
        if size > MAX_REQUEST_BYTES:
            raise MalformedRequestError(413)
        return size

    def read_exactly(self, size: int) -> bytes:
        body = self.rfile.read(size)
        if len(body) < size:
            raise ConnectionError("the client left in mid-body")
        return bytes(body)

    def handle_expect_100(self) -> bool:
        """A client that asks before it sends learns at once that its body is too large."""
        length = self.headers.get("Content-Length", "0")
        if length.isdigit() and int(length) > MAX_REQUEST_BYTES:
            self.close_connection = True
            self.send(rest_api.build_error(413))
            return False
        return bool(super().handle_expect_100())

    def send(self, answer: HttpResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def drain(self) -> None:
        """Lets a client that is still sending read our answer: closing at once would reset its connection."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and self.connection.recv(1 << 16):
            pass

    def send_error(self, code: int, *_: Any) -> None:
        """What http.server itself refuses: a broken request line, a method nobody knows."""
        self.close_connection = True
        status = 404 if code == HTTPStatus.NOT_IMPLEMENTED else int(code)
        self.command = getattr(self, "command", None) or "GET"
        self.send(rest_api.build_error(status))

    def version_string(self) -> str:
        return "zhenxun-local"

    def log_message(self, *_: Any) -> None:
        """The app logs its requests itself."""


class Server(ThreadedHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def patch_chalice_local() -> None:
    """Has Chalice's own command serve with our handler and server."""
    LocalDevServer.__init__.__defaults__ = (Handler, Server)


def create_server(host: str, port: int) -> Any:
    """A server of the whole app, bound and not serving yet; its `server` is a socketserver."""
    from app import app

    patch_chalice_local()
    make = LocalDevServer if isinstance(app, LocalChalice) else create_local_server  # which makes it one, and only once
    return make(app, Config(), host, port)


def run_schedules() -> None:
    """What schedules do on AWS each minute or hour, done every few seconds: a developer does not wait so long."""
    from chalicelib.booking.jobs import scheduled
    from chalicelib.messaging import sockets
    from chalicelib.outbox import outbox
    from chalicelib.outbox.jobs import Queue
    from chalicelib.payment import reconciliation

    while True:
        try:
            for queue in Queue:
                outbox.wake_worker(queue)
            sockets.close_expired()
            scheduled.cancel_unpaid()
            scheduled.send_reminders()
            scheduled.mark_missed()
            reconciliation.run()
        except Exception as error:  # such as a database that is being restarted
            print_line(f"  (schedules: {error!r})")
        time.sleep(SCHEDULE_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8018)
    options = parser.parse_args()
    server = create_server(options.host, options.port).server
    threading.Thread(target=run_schedules, name="schedules", daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
