"""Writing to open WebSockets, against a server that says what it was asked. AWS's own signer is the oracle."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from chalicelib import clock
from chalicelib.adapters.aws import ws_push
from chalicelib.settings import settings


@dataclass
class Gateway:
    """What it answers to each connection's id, 200 if it is not named; `slow` are answered when `go` is set."""

    port: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    hang_up: bool = False  # after each answer, without saying so
    go: Event = field(default_factory=Event)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    lines: int = 0

    def handler(gateway) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                gateway.lines += 1
                super().setup()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                gateway.asked.append(
                    (self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                )
                name = self.path.rpartition("/")[2]
                if name in gateway.slow:
                    gateway.go.wait(5)
                self.send_response(gateway.answers.get(name, 200))
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.close_connection = gateway.hang_up

            do_POST = do_DELETE = answer

            def log_message(self, *_: Any) -> None: ...

        return Handler


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    gateway = Gateway()
    server = ThreadingHTTPServer(("127.0.0.1", 0), gateway.handler())
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    gateway.port = server.server_address[1]
    url = f"http://127.0.0.1:{gateway.port}/api"
    keys = replace(settings, access_key="AKID", secret_key="secret", session_token="session", region="cn-northwest-1")
    monkeypatch.setattr(ws_push, "settings", replace(keys, ws_endpoint_url=url, ws_timeout_seconds=0.5))
    yield gateway
    gateway.go.set()
    server.shutdown()
    server.server_close()


def test_a_post_is_signed_as_aws_does_it(gateway: Gateway) -> None:
    assert ws_push.post("L0SM9cOFvHcCIhw=", '{"action":"hello"}')
    [(method, path, headers, body)] = gateway.asked
    assert (method, path, body) == ("POST", "/api/@connections/L0SM9cOFvHcCIhw%3D", b'{"action":"hello"}')
    assert headers["authorization"] == signed(gateway, method, path, headers, body)


def test_closing_is_signed_too(gateway: Gateway) -> None:
    assert ws_push.close("abc=")
    [(method, path, headers, body)] = gateway.asked
    assert (method, body) == ("DELETE", b"")
    assert headers["authorization"] == signed(gateway, method, path, headers, body)


def signed(gateway: Gateway, method: str, path: str, headers: dict[str, str], body: bytes) -> str:
    """Sign it as botocore does, at the same time."""
    request = AWSRequest(method, f"http://127.0.0.1:{gateway.port}{path}", data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKID", "secret", "session"), "execute-api", "cn-northwest-1")
    request.headers["X-Amz-Date"] = headers["x-amz-date"]
    request.headers["X-Amz-Security-Token"] = "session"
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    scope = auth.scope(request)
    named = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={named}, Signature={signature}"


def test_one_that_has_gone_is_no_failure(gateway: Gateway) -> None:
    gateway.answers["gone"] = 410
    assert not ws_push.post("gone", "x")
    assert not ws_push.close("gone")
    assert ws_push.post_all([("gone", "x"), ("here", "x")], 5) == ["gone"]


@pytest.mark.parametrize("status", [400, 403, 413, 429, 500, 503])
def test_a_refusal_is_a_failure(gateway: Gateway, status: int) -> None:
    gateway.answers["busy"] = status
    with pytest.raises(ws_push.PushError) as failed:
        ws_push.post("busy", "x")
    assert failed.value.status == status
    assert ws_push.post_all([("busy", "x")], 5) == [], "it may be there"


def test_who_is_slow_is_not_waited_for(gateway: Gateway) -> None:
    gateway.slow.add("slow")
    gateway.answers["gone"] = 410
    begun = clock.monotonic()
    assert ws_push.post_all([("slow", "x"), ("gone", "x")], 0.2) == ["gone"]
    assert clock.monotonic() - begun < 0.45


def test_a_time_out_is_a_failure_and_not_tried_again(gateway: Gateway) -> None:
    gateway.slow.add("slow")
    with pytest.raises(ws_push.PushError) as failed:
        ws_push.post("slow", "x")
    assert failed.value.status == 0
    assert len(gateway.asked) == 1


def test_lines_are_kept_and_one_that_died_meanwhile_is_opened_again(gateway: Gateway) -> None:
    for _ in range(20):
        ws_push.post("here", "x")
    assert gateway.lines <= ws_push.MAX_WORKERS
    gateway.hang_up = True
    for _ in range(40):
        assert ws_push.post("here", "x")
    assert len(gateway.asked) == 60


def test_nobody_there_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ws_push, "settings", replace(settings, ws_endpoint_url="http://127.0.0.1:1"))
    with pytest.raises(ws_push.PushError):
        ws_push.post("abc", "x")
