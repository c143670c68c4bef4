"""The local WebSocket API, used by a client library and by AWS's own client of the management API."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from chalice.app import Chalice
from chalice.config import Config
from chalice.local import create_local_server
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from devstack.apigateway import server as local_server
from devstack.apigateway import websocket

KEYS = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "cn-northwest-1"}


class Recorder:
    """The events with which the app's handlers were called."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.added = threading.Condition()

    def add(self, event: Any) -> None:
        with self.added:
            self.events.append(event.to_dict())
            self.added.notify_all()

    def wait_for(self, route: str, number: int = 1) -> dict[str, Any]:
        """Wait for the event of a route with this number, counted from 1."""

        def matching() -> list[dict[str, Any]]:
            return [one for one in self.events if one["requestContext"]["routeKey"] == route]

        with self.added:
            assert self.added.wait_for(lambda: len(matching()) >= number, timeout=5), f"no {route}"
            return matching()[number - 1]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def port(recorder: Recorder) -> Iterator[int]:
    app = Chalice("echo", configure_logs=False)
    app.experimental_feature_flags.update(["WEBSOCKETS"])

    @app.on_ws_connect()
    def on_connect(event: Any) -> dict[str, int]:
        recorder.add(event)
        status = (event.to_dict()["queryStringParameters"] or {}).get("status", "200")
        if status == "bug":
            raise ValueError
        return {"statusCode": int(status)}

    @app.on_ws_message()
    def on_message(event: Any) -> None:
        recorder.add(event)

    @app.on_ws_disconnect()
    def on_disconnect(event: Any) -> None:
        recorder.add(event)

    local_server.patch_chalice_local()
    server = create_local_server(app, Config(), "127.0.0.1", 0).server
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(port: int) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{port}/notify?token=abc&protoc=ws") as client:
        yield client


@pytest.fixture
def manager(port: int) -> Any:
    """AWS's client of the management API."""
    return boto3.client("apigatewaymanagementapi", endpoint_url=f"http://127.0.0.1:{port}", **KEYS)


def test_app_receives_connect_messages_and_disconnect(client: ClientConnection, recorder: Recorder) -> None:
    client.send("你好")
    client.close()
    first, text, last = (recorder.wait_for(route) for route in ("$connect", "$default", "$disconnect"))
    assert first["queryStringParameters"] == {"token": "abc", "protoc": "ws"}
    assert text["body"] == "你好"
    assert len({one["requestContext"]["connectionId"] for one in (first, text, last)}) == 1


def test_fragmented_message_is_one_message(client: ClientConnection, recorder: Recorder) -> None:
    client.send(iter(["一", "二", "三"]))
    client.send("四")
    assert [recorder.wait_for("$default", number)["body"] for number in (1, 2)] == ["一二三", "四"]


@pytest.mark.parametrize(("requested", "status"), [("401", 401), ("403", 403), ("bug", 502)])
def test_rejected_client_gets_no_connection(port: int, recorder: Recorder, requested: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as error:
        connect(f"ws://127.0.0.1:{port}/notify?status={requested}")
    assert error.value.response.status_code == status
    assert [one["requestContext"]["routeKey"] for one in recorder.events] == ["$connect"]


def test_posted_message_arrives_and_closed_connection_is_gone(
    client: ClientConnection, recorder: Recorder, manager: Any
) -> None:
    connection = recorder.wait_for("$connect")["requestContext"]["connectionId"]
    manager.post_to_connection(ConnectionId=connection, Data="您好".encode())
    assert client.recv(timeout=5) == "您好"
    assert manager.get_connection(ConnectionId=connection)["Identity"]["SourceIp"] == "127.0.0.1"
    manager.delete_connection(ConnectionId=connection)
    with pytest.raises(ConnectionClosed):
        client.recv(timeout=5)
    recorder.wait_for("$disconnect")
    for call in (manager.get_connection, manager.delete_connection):
        expect_gone(partial(call, ConnectionId=connection))
    expect_gone(lambda: manager.post_to_connection(ConnectionId=connection, Data=b"x"))


def expect_gone(call: Callable[[], Any]) -> None:
    with pytest.raises(ClientError) as error:
        call()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 410


def send_and_receive(client: ClientConnection, text: str | Iterator[str]) -> None:
    """Send a text or its fragments, and wait for a message. The server may close while the last fragment is sent."""
    client.send(text)
    client.recv(timeout=5)


def test_message_over_the_limit_closes_the_connection(port: int, recorder: Recorder, manager: Any) -> None:
    for text in ("x" * (websocket.MAX_FRAME_BYTES + 1), iter(["x" * websocket.MAX_FRAME_BYTES] * 5)):
        with connect(f"ws://127.0.0.1:{port}/") as client, pytest.raises(ConnectionClosed) as closed:
            send_and_receive(client, text)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1009
    with connect(f"ws://127.0.0.1:{port}/"):
        connection = recorder.wait_for("$connect", 3)["requestContext"]["connectionId"]
        with pytest.raises(ClientError) as error:
            manager.post_to_connection(ConnectionId=connection, Data=b"x" * (websocket.MAX_MESSAGE_BYTES + 1))
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.parametrize("limit", ["IDLE_SECONDS", "LIFETIME_SECONDS"])
def test_idle_and_old_connections_are_closed(
    port: int, recorder: Recorder, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, limit, 0.05)
    with connect(f"ws://127.0.0.1:{port}/") as client, pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=5)
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 1001
    recorder.wait_for("$disconnect")


def test_message_to_the_client_restarts_the_idle_time(
    port: int, recorder: Recorder, manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr(websocket, "time", SimpleNamespace(time=lambda: clock.now))
    monkeypatch.setattr(websocket, "IDLE_SECONDS", 0.1)
    with connect(f"ws://127.0.0.1:{port}/") as client:
        connection = recorder.wait_for("$connect")["requestContext"]["connectionId"]
        for number in range(3):
            clock.now += 0.09
            manager.post_to_connection(ConnectionId=connection, Data=json.dumps(number).encode())
            assert client.recv(timeout=5) == str(number)
        with pytest.raises(TimeoutError):  # long enough for the server to check its clock
            client.recv(timeout=0.5)
        clock.now += 0.11
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)


def test_ping_gets_a_pong(client: ClientConnection) -> None:
    assert client.ping().wait(timeout=5)
