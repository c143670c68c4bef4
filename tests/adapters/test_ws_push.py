"""Pushes to open WebSockets, with signatures compared with those of the AWS SDK."""

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
    """A fake API Gateway.

    Attributes:
        statuses: status for each connection id, 200 by default.
        slow: connection ids to which it responds only when `go` is set.
    """

    port: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    hang_up: bool = False  # after each response, without announcing it
    go: Event = field(default_factory=Event)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    connection_count: int = 0

    def handler(gateway) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                gateway.connection_count += 1
                super().setup()

            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                gateway.requests.append(
                    (self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                )
                name = self.path.rpartition("/")[2]
                if name in gateway.slow:
                    gateway.go.wait(5)
                self.send_response(gateway.statuses.get(name, 200))
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.close_connection = gateway.hang_up

            do_POST = do_DELETE = respond

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


def test_post_is_signed_like_by_the_sdk(gateway: Gateway) -> None:
    assert ws_push.post("L0SM9cOFvHcCIhw=", '{"action":"hello"}')
    [(method, path, headers, body)] = gateway.requests
    assert (method, path, body) == ("POST", "/api/@connections/L0SM9cOFvHcCIhw%3D", b'{"action":"hello"}')
    assert headers["authorization"] == build_authorization(gateway, method, path, headers, body)


def test_delete_is_signed_like_by_the_sdk(gateway: Gateway) -> None:
    assert ws_push.close("abc=")
    [(method, path, headers, body)] = gateway.requests
    assert (method, body) == ("DELETE", b"")
    assert headers["authorization"] == build_authorization(gateway, method, path, headers, body)


def build_authorization(gateway: Gateway, method: str, path: str, headers: dict[str, str], body: bytes) -> str:
    """Return the header that botocore computes for the same time."""
    request = AWSRequest(method, f"http://127.0.0.1:{gateway.port}{path}", data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKID", "secret", "session"), "execute-api", "cn-northwest-1")
    request.headers["X-Amz-Date"] = headers["x-amz-date"]
    request.headers["X-Amz-Security-Token"] = "session"
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    scope = auth.scope(request)
    header_names = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={header_names}, Signature={signature}"


def test_disconnected_client_is_not_an_error(gateway: Gateway) -> None:
    gateway.statuses["gone"] = 410
    assert not ws_push.post("gone", "x")
    assert not ws_push.close("gone")
    assert ws_push.post_all([("gone", "x"), ("here", "x")], 5) == ["gone"]


@pytest.mark.parametrize("status", [400, 403, 413, 429, 500, 503])
def test_error_status_is_raised(gateway: Gateway, status: int) -> None:
    gateway.statuses["busy"] = status
    with pytest.raises(ws_push.PushError) as error:
        ws_push.post("busy", "x")
    assert error.value.status == status
    assert ws_push.post_all([("busy", "x")], 5) == [], "the connection may be open"


def test_post_all_does_not_wait_for_slow_clients(gateway: Gateway) -> None:
    gateway.slow.add("slow")
    gateway.statuses["gone"] = 410
    started = clock.monotonic()
    assert ws_push.post_all([("slow", "x"), ("gone", "x")], 0.2) == ["gone"]
    assert clock.monotonic() - started < 0.45


def test_timeout_is_raised_and_not_retried(gateway: Gateway) -> None:
    gateway.slow.add("slow")
    with pytest.raises(ws_push.PushError) as error:
        ws_push.post("slow", "x")
    assert error.value.status == 0
    assert len(gateway.requests) == 1


def test_connections_are_reused_and_reopened_after_being_closed(gateway: Gateway) -> None:
    for _ in range(20):
        ws_push.post("here", "x")
    assert gateway.connection_count <= ws_push.MAX_WORKERS
    gateway.hang_up = True
    for _ in range(40):
        assert ws_push.post("here", "x")
    assert len(gateway.requests) == 60


def test_unreachable_endpoint_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ws_push, "settings", replace(settings, ws_endpoint_url="http://127.0.0.1:1"))
    with pytest.raises(ws_push.PushError):
        ws_push.post("abc", "x")
