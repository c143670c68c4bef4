"""A fake of WeChat's API for official accounts, for tests and bin/dev.

`python -m devstack.fakes.wechat --port PORT` serves the accounts of the demo hospitals.

It validates app id, secret, token, ticket, code, template and its fields as WeChat does, returns WeChat's error codes,
and counts the calls. Tests make it hang, reject calls or return malformed responses.
"""

import argparse
import contextlib
import json
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from chalicelib.adapters import wechat_api
from chalicelib.settings import settings
from devstack import console
from devstack.fakes import wechat_endpoints
from devstack.fakes.wechat_endpoints import HttpResponse, WeChatError

TOKEN_LIFETIME_SECONDS = 7200


@dataclass
class WeChat:
    """The state of the fake server.

    Attributes:
        invalid_tokens: tokens that are issued but not accepted.
        snapshot_openids: openids of visitors who see only a snapshot of the page (快照页).
        forced_refreshes: monotonic times of forced token refreshes, by app id.
        followers: openids that may receive messages; None: any.
        on_send: called with a summary of each message.
        failures: by path, the error code to return; below 1000 it is an HTTP status, and "" a response without JSON.
        ip_denied: reject calls as from an unknown IP address.
        accepts_any_account: accept any app id and secret.
        accepting: while it is not set, requests get no response.
    """

    url: str = ""
    accounts: dict[str, str] = field(default_factory=dict)  # app id to secret
    tokens: dict[str, str] = field(default_factory=dict)  # app id to access_token
    invalid_tokens: set[str] = field(default_factory=set)
    tickets: dict[str, str] = field(default_factory=dict)  # app id to jsapi_ticket
    codes: dict[str, tuple[str, str]] = field(default_factory=dict)  # code to app id and openid
    used_codes: set[str] = field(default_factory=set)
    snapshot_openids: set[str] = field(default_factory=set)
    forced_refreshes: dict[str, list[float]] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=lambda: dict(wechat_endpoints.TEMPLATES))  # id to content
    subscription_templates: dict[str, str] = field(default_factory=dict)  # id to content
    consents: Counter[tuple[str, str]] = field(default_factory=Counter)  # of openid and subscription template
    followers: set[str] | None = None
    sent: list[dict[str, Any]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    on_send: Callable[[str], None] = lambda _: None
    token_lifetime_seconds: int = TOKEN_LIFETIME_SECONDS
    failures: dict[str, int | str] = field(default_factory=dict)
    ip_denied: bool = False
    accepts_any_account: bool = False
    accepting: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def issue_code(self, app_id: str, openid: str) -> str:
        """Return a code with which a visitor is redirected to the page."""
        code = secrets.token_hex(16)
        self.codes[code] = (app_id, openid)
        return code

    def expire_tokens(self) -> None:
        """Invalidate all issued tokens."""
        with self.lock:
            self.tokens.clear()

    def handle_request(self, method: str, path: str, query: dict[str, str], body: bytes) -> HttpResponse:
        """Return the response to a request, or the configured failure."""
        with self.lock:
            self.calls[path] += 1
        self.accepting.wait(30)
        failure = self.failures.get(path)
        if failure == "":
            return 200, b"<html>busy</html>", {}
        if isinstance(failure, int) and 0 < failure < 1000:
            return failure, b"", {}
        try:
            with self.lock:
                if failure:
                    raise WeChatError(int(failure))
                response = wechat_endpoints.handle_request(self, method, path, query, body)
        except WeChatError as error:
            response = {"errcode": error.errcode, "errmsg": "no rid: 5f3a"}
        if "location" in response:
            return 302, b"", {"Location": response["location"]}
        return 200, json.dumps(response, ensure_ascii=False).encode(), {}


class Handler(BaseHTTPRequestHandler):
    """Passes HTTP requests to the fake."""

    wechat: WeChat
    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        """Handle one request of any method."""
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, content, headers = self.wechat.handle_request(
            self.command, parts.path, dict(parse_qsl(parts.query)), body
        )
        with contextlib.suppress(ConnectionError):  # the client has timed out
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "text/plain", "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = serve

    def log_message(self, *_: Any) -> None:
        """Write no access log."""


class Server(ThreadingHTTPServer):
    """HTTP server with daemon threads and a long accept queue."""

    daemon_threads = True
    request_queue_size = 256


def create_server(wechat: WeChat, port: int = 0) -> Server:
    """Return a server for the fake that is bound but does not serve yet."""
    server = Server(("127.0.0.1", port), type("FakeHandler", (Handler,), {"wechat": wechat}))
    wechat.url = f"http://127.0.0.1:{server.server_address[1]}"
    wechat.accepting.set()
    return server


@contextlib.contextmanager
def run_server() -> Iterator[WeChat]:
    """Serve a fake on a free port."""
    wechat = WeChat()
    server = create_server(wechat)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield wechat
    finally:
        wechat.accepting.set()
        server.shutdown()
        server.server_close()
        thread.join()


def follow_oauth_redirect(url: str, wechat: WeChat, openid: str) -> str:
    """Return the address to which WeChat redirects a visitor from its authorization page."""
    query = dict(parse_qsl(urlsplit(url).query))
    return wechat_endpoints.build_redirect_url(wechat, query, openid)


@contextlib.contextmanager
def replace_real_server() -> Iterator[WeChat]:
    """Serve a fake and have this process use it instead of WeChat."""
    before = vars(wechat_api)["settings"]
    with run_server() as wechat:
        set_api_url(wechat.url)
        try:
            yield wechat
        finally:
            vars(wechat_api)["settings"] = before


def set_api_url(url: str) -> None:
    """Have this process call WeChat at another address."""
    vars(wechat_api)["settings"] = replace(settings, wechat_api_url=url, wechat_open_url=url)


def main() -> None:
    """Serve the accounts of the demo hospitals."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    wechat = WeChat(accounts=dict(wechat_endpoints.DEMO_ACCOUNTS.values()), on_send=console.print_line)
    create_server(wechat, parser.parse_args().port).serve_forever()


if __name__ == "__main__":
    main()
