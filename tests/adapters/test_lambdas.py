"""The Lambda client, with signatures compared with those of the AWS SDK."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from botocore import auth, awsrequest, credentials

from app import run_outbox
from chalicelib import clock
from chalicelib.adapters.aws import lambdas
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.settings import settings

requests: list[tuple[str, dict[str, str], bytes]] = []
response_status = [202]


class Lambda(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(response_status[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Lambda)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    changed_settings = replace(
        settings,
        lambda_endpoint_url=url,
        session_token="role/token=",
        outbox_function="a-RunOutbox-1",
        external_outbox_function="a-RunOutboxExternal-1",
    )
    monkeypatch.setattr(lambdas, "settings", changed_settings)
    monkeypatch.setattr(outbox, "settings", changed_settings)
    requests.clear()
    response_status[0] = 202
    yield url
    server.shutdown()
    server.server_close()


def test_function_is_invoked_asynchronously(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    outbox.wake_worker()
    [(path, headers, body)] = requests
    assert path == "/2015-03-31/functions/a-RunOutbox-1/invocations"
    assert headers["x-amz-invocation-type"] == "Event"
    frozen = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    monkeypatch.setattr(auth, "get_current_datetime", lambda: frozen)
    signed = {name: headers[name] for name in ("x-amz-invocation-type", "content-type")}
    request = awsrequest.AWSRequest("POST", origin + path, signed, body)
    keys = credentials.Credentials(settings.access_key, settings.secret_key, "role/token=")
    auth.SigV4Auth(keys, "lambda", settings.region).add_auth(request)
    assert headers["authorization"] == request.headers["Authorization"]


@pytest.mark.usefixtures("origin")
def test_each_queue_has_its_own_function() -> None:
    outbox.wake_worker(Queue.EXTERNAL)
    assert [path.split("/")[3] for path, _, _ in requests] == ["a-RunOutboxExternal-1"]


def test_function_accepts_the_wake_event() -> None:
    run_outbox(outbox.WAKE_EVENT, None)


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_failed_invocation_is_logged_by_wake_worker(origin: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    assert origin
    response_status[0] = status
    with pytest.raises(ApiError) as error:
        lambdas.invoke("a", {})
    assert error.value.kind is UNAVAILABLE
    outbox.wake_worker()
    assert [record.message for record in caplog.records] == ["outbox worker not woken"]
