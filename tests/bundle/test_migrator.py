"""The custom resource that runs the migration and reports its result."""

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest

from infra import migrator


class Listener(HTTPServer):
    """A fake of the bucket to which the response to CloudFormation is sent."""

    received: dict[str, Any]


class Take(BaseHTTPRequestHandler):
    server: Listener

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received = {"type": self.headers["Content-Type"], **json.loads(body)}
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def cloudformation() -> Iterator[Listener]:
    with Listener(("127.0.0.1", 0), Take) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        yield listener
        listener.shutdown()
        thread.join()


class Lambda:
    """A fake of boto3's Lambda client."""

    def __init__(self, response: dict[str, Any] | Exception) -> None:
        self.response = response
        self.called: list[str] = []

    def invoke(self, FunctionName: str, **_: Any) -> dict[str, Any]:
        self.called.append(FunctionName)
        if isinstance(self.response, Exception):
            raise self.response
        return self.response


def build_event(cloudformation: Listener, kind: str) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ResponseURL": f"http://127.0.0.1:{cloudformation.server_port}/response?signed=1",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Migrated",
        "ResourceProperties": {"Function": "migrate-function", "Sources": "digest"},
    }


def deploy(cloudformation: Listener, monkeypatch: pytest.MonkeyPatch, kind: str, service: Lambda) -> dict[str, Any]:
    monkeypatch.setattr(boto3, "client", lambda *_, **__: service)
    migrator.handler(build_event(cloudformation, kind), None)
    return cloudformation.received


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_deployment_migrates(cloudformation: Listener, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    service = Lambda({"Payload": io.BytesIO(b'["0001_people.sql"]')})
    received = deploy(cloudformation, monkeypatch, kind, service)
    assert service.called == ["migrate-function"]
    assert received == {
        "type": "",
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "migration",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Migrated",
    }


@pytest.mark.parametrize(
    "response",
    [
        {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorMessage": "statement 3"}')},
        TimeoutError("statement 3"),
    ],
    ids=["a statement fails", "no response"],
)
def test_failed_migration_fails_the_deployment(
    cloudformation: Listener, monkeypatch: pytest.MonkeyPatch, response: dict[str, Any] | Exception
) -> None:
    received = deploy(cloudformation, monkeypatch, "Update", Lambda(response))
    assert received["Status"] == "FAILED"
    assert "statement 3" in received["Reason"]


def test_deleting_the_stack_does_not_migrate(cloudformation: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Lambda({})
    assert deploy(cloudformation, monkeypatch, "Delete", service)["Status"] == "SUCCESS"
    assert service.called == []
