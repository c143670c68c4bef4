"""Pushes to open WebSockets, with signatures compared with those of the AWS SDK."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from chalicelib.adapters.aws import ws_push
from chalicelib.settings import settings
from tests.support.push_gateway import PushGateway, run_push_gateway


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[PushGateway]:
    keys = replace(settings, access_key="AKID", secret_key="secret", session_token="session", region="cn-northwest-1")
    with run_push_gateway() as gateway:
        settings_here = replace(keys, ws_endpoint_url=gateway.url, ws_timeout_seconds=0.5)
        monkeypatch.setattr(ws_push, "settings", settings_here)
        yield gateway


def test_post_is_signed_like_by_the_sdk(gateway: PushGateway) -> None:
    assert ws_push.post("L0SM9cOFvHcCIhw=", '{"action":"hello"}')
    [(method, path, headers, body)] = gateway.requests
    assert (method, path, body) == ("POST", "/api/@connections/L0SM9cOFvHcCIhw%3D", b'{"action":"hello"}')
    assert headers["authorization"] == build_authorization(gateway, method, path, headers, body)


def test_delete_is_signed_like_by_the_sdk(gateway: PushGateway) -> None:
    assert ws_push.close("abc=")
    [(method, path, headers, body)] = gateway.requests
    assert (method, body) == ("DELETE", b"")
    assert headers["authorization"] == build_authorization(gateway, method, path, headers, body)


def build_authorization(gateway: PushGateway, method: str, path: str, headers: dict[str, str], body: bytes) -> str:
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


def test_disconnected_client_is_not_an_error(gateway: PushGateway) -> None:
    gateway.statuses["gone"] = 410
    assert not ws_push.post("gone", "x")
    assert not ws_push.close("gone")


@pytest.mark.parametrize("status", [400, 403, 413, 429, 500, 503])
def test_error_status_is_raised(gateway: PushGateway, status: int) -> None:
    gateway.statuses["busy"] = status
    with pytest.raises(ws_push.PushError) as error:
        ws_push.post("busy", "x")
    assert error.value.status == status


def test_timeout_is_raised_and_not_retried(gateway: PushGateway) -> None:
    gateway.slow.add("slow")
    with pytest.raises(ws_push.PushError) as error:
        ws_push.post("slow", "x")
    assert error.value.status == 0
    assert len(gateway.requests) == 1


def test_connections_are_reused_and_reopened_after_being_closed(gateway: PushGateway) -> None:
    for _ in range(20):
        ws_push.post("here", "x")
    assert gateway.connection_count == 1
    gateway.hang_up = True
    for _ in range(40):
        assert ws_push.post("here", "x")
    assert len(gateway.requests) == 60


def test_threads_use_a_connection_each(gateway: PushGateway) -> None:
    gateway.slow.add("slow")
    with ThreadPoolExecutor(1) as other_thread:
        slow = other_thread.submit(ws_push.post, "slow", "x")
        gateway.arrived.wait(10)
        assert ws_push.post("here", "x")
        assert not slow.done()
        gateway.go.set()
        assert slow.result()
    assert gateway.connection_count == 2


def test_connection_to_an_earlier_endpoint_is_not_used(gateway: PushGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    ws_push.post("here", "x")
    with run_push_gateway() as other:
        monkeypatch.setattr(ws_push, "settings", replace(settings, ws_endpoint_url=other.url))
        ws_push.post("here", "x")
        assert len(gateway.requests) == len(other.requests) == 1


def test_unreachable_endpoint_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ws_push, "settings", replace(settings, ws_endpoint_url="http://127.0.0.1:1"))
    with pytest.raises(ws_push.PushError):
        ws_push.post("abc", "x")
