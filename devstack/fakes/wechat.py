"""A small WeChat that speaks the real one's wire, for tests and bin/dev.

python -m devstack.fakes.wechat --port PORT: that of the demo hospitals.

It checks app id, secret, token, ticket, code, template and its fields as WeChat does, answers WeChat's numbers, and
counts who asked for what. Tests have it hang, refuse or break.
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

TOKEN_LIFE_SECONDS = 7200  # seconds


@dataclass
class WeChat:
    """`failing` has a number (or an HTTP status below 1000, or "" for no JSON) by path; while `open` is not set, nobody
    is answered; `denied` refuses our address."""

    url: str = ""
    accounts: dict[str, str] = field(default_factory=dict)  # app id to secret
    tokens: dict[str, str] = field(default_factory=dict)  # app id to access_token
    invalid_tokens: set[str] = field(default_factory=set)  # tokens that are given out, and good for nothing
    tickets: dict[str, str] = field(default_factory=dict)  # the same
    codes: dict[str, tuple[str, str]] = field(default_factory=dict)  # code to app id and openid
    used_codes: set[str] = field(default_factory=set)  # codes
    snapshot_openids: set[str] = field(
        default_factory=set
    )  # openids of nobody: of pages that are only looked at (快照页)
    forced_refreshes: dict[str, list[float]] = field(default_factory=dict)  # when tokens were made anew, by app id
    templates: dict[str, str] = field(default_factory=lambda: dict(wechat_endpoints.TEMPLATES))  # id to content
    followers: set[str] | None = None  # openids that may be written to; None: any
    sent: list[dict[str, Any]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    on_send: Callable[[str], None] = lambda _: None  # what was sent
    token_life_seconds: int = TOKEN_LIFE_SECONDS
    failures: dict[str, int | str] = field(default_factory=dict)
    ip_denied: bool = False
    accepts_any_account: bool = False  # any app id, any secret
    accepting: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def issue_code(self, app_id: str, openid: str) -> str:
        """What a page is sent back with, once somebody was asked who they are."""
        code = secrets.token_hex(16)
        self.codes[code] = (app_id, openid)
        return code

    def expire_tokens(self) -> None:
        """What was issued is good no more, though nobody was told."""
        with self.lock:
            self.tokens.clear()

    def handle_request(self, method: str, path: str, query: dict[str, str], body: bytes) -> HttpResponse:
        with self.lock:
            self.calls[path] += 1
        self.accepting.wait(30)
        failing = self.failures.get(path)
        if failing == "":
            return 200, b"<html>busy</html>", {}
        if isinstance(failing, int) and 0 < failing < 1000:
            return failing, b"", {}
        try:
            with self.lock:
                if failing:
                    raise WeChatError(int(failing))
                answered = wechat_endpoints.handle_request(self, method, path, query, body)
        except WeChatError as wrong:
            answered = {"errcode": wrong.number, "errmsg": "no rid: 5f3a"}
        if "location" in answered:
            return 302, b"", {"Location": answered["location"]}
        return 200, json.dumps(answered, ensure_ascii=False).encode(), {}


class Handler(BaseHTTPRequestHandler):
    wechat: WeChat
    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, said, headers = self.wechat.handle_request(self.command, parts.path, dict(parse_qsl(parts.query)), body)
        with contextlib.suppress(ConnectionError):  # who does not wait so long
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "text/plain", "Content-Length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

    do_GET = do_POST = serve

    def log_message(self, *_: Any) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def create_server(wechat: WeChat, port: int = 0) -> Server:
    """A server of this WeChat, bound and not serving yet."""
    made = Server(("127.0.0.1", port), type("Ours", (Handler,), {"wechat": wechat}))
    wechat.url = f"http://127.0.0.1:{made.server_address[1]}"
    wechat.accepting.set()
    return made


@contextlib.contextmanager
def run_server() -> Iterator[WeChat]:
    wechat = WeChat()
    serving = create_server(wechat)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield wechat
    finally:
        wechat.accepting.set()
        serving.shutdown()
        serving.server_close()
        thread.join()


def follow_oauth_redirect(url: str, wechat: WeChat, openid: str) -> str:
    """What a visitor's WeChat does at the address that asks who they are; where it sends them."""
    query = dict(parse_qsl(urlsplit(url).query))
    return wechat_endpoints.build_redirect_url(wechat, query, openid)


@contextlib.contextmanager
def replace_real_server() -> Iterator[WeChat]:
    """Has this process take it for the real one."""
    before = vars(wechat_api)["settings"]
    with run_server() as wechat:
        set_api_url(wechat.url)
        try:
            yield wechat
        finally:
            vars(wechat_api)["settings"] = before


def set_api_url(url: str) -> None:
    vars(wechat_api)["settings"] = replace(settings, wechat_api_url=url, wechat_open_url=url)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    wechat = WeChat(accounts=dict(wechat_endpoints.DEMO_ACCOUNTS.values()), on_send=console.print_line)
    create_server(wechat, parser.parse_args().port).serve_forever()


if __name__ == "__main__":
    main()
