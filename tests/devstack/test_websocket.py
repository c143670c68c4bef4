"""API Gateway's WebSocket side on this machine, spoken to by a client library and managed by AWS's own."""

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

from devstack.apigateway import server as mended
from devstack.apigateway import websocket

KEYS = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "cn-northwest-1"}


class Seen:
    """What the app's handlers were called with."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.arrived = threading.Condition()

    def add(self, event: Any) -> None:
        with self.arrived:
            self.events.append(event.to_dict())
            self.arrived.notify_all()

    def of(self, route: str, number: int = 1) -> dict[str, Any]:
        """Wait for the so-manieth event of a route."""

        def found() -> list[dict[str, Any]]:
            return [one for one in self.events if one["requestContext"]["routeKey"] == route]

        with self.arrived:
            assert self.arrived.wait_for(lambda: len(found()) >= number, timeout=5), f"no {route}"
            return found()[number - 1]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def port(seen: Seen) -> Iterator[int]:
    app = Chalice("echo", configure_logs=False)
    app.experimental_feature_flags.update(["WEBSOCKETS"])

    @app.on_ws_connect()
    def opened(event: Any) -> dict[str, int]:
        seen.add(event)
        wanted = (event.to_dict()["queryStringParameters"] or {}).get("status", "200")
        if wanted == "bug":
            raise ValueError
        return {"statusCode": int(wanted)}

    @app.on_ws_message()
    def said(event: Any) -> None:
        seen.add(event)

    @app.on_ws_disconnect()
    def closed(event: Any) -> None:
        seen.add(event)

    mended.patch_chalice_local()
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
    """AWS's own client of @connections."""
    return boto3.client("apigatewaymanagementapi", endpoint_url=f"http://127.0.0.1:{port}", **KEYS)


def test_the_app_hears_of_beginning_texts_and_end(client: ClientConnection, seen: Seen) -> None:
    client.send("你好")
    client.close()
    first, text, last = (seen.of(route) for route in ("$connect", "$default", "$disconnect"))
    assert first["queryStringParameters"] == {"token": "abc", "protoc": "ws"}
    assert text["body"] == "你好"
    assert len({one["requestContext"]["connectionId"] for one in (first, text, last)}) == 1


def test_a_text_in_many_frames_is_one_text(client: ClientConnection, seen: Seen) -> None:
    client.send(iter(["一", "二", "三"]))
    client.send("四")
    assert [seen.of("$default", number)["body"] for number in (1, 2)] == ["一二三", "四"]


@pytest.mark.parametrize(("wanted", "status"), [("401", 401), ("403", 403), ("bug", 502)])
def test_whom_the_app_refuses_gets_no_connection(port: int, seen: Seen, wanted: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{port}/notify?status={wanted}")
    assert refused.value.response.status_code == status
    assert [one["requestContext"]["routeKey"] for one in seen.events] == ["$connect"]


def test_what_is_posted_arrives_and_a_closed_connection_is_gone(
    client: ClientConnection, seen: Seen, manager: Any
) -> None:
    connection = seen.of("$connect")["requestContext"]["connectionId"]
    manager.post_to_connection(ConnectionId=connection, Data="您好".encode())
    assert client.recv(timeout=5) == "您好"
    assert manager.get_connection(ConnectionId=connection)["Identity"]["SourceIp"] == "127.0.0.1"
    manager.delete_connection(ConnectionId=connection)
    with pytest.raises(ConnectionClosed):
        client.recv(timeout=5)
    seen.of("$disconnect")
    for ask in (manager.get_connection, manager.delete_connection):
        expect_gone(partial(ask, ConnectionId=connection))
    expect_gone(lambda: manager.post_to_connection(ConnectionId=connection, Data=b"x"))


def expect_gone(ask: Callable[[], Any]) -> None:
    with pytest.raises(ClientError) as refused:
        ask()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 410


def test_more_than_api_gateway_takes_ends_the_connection(port: int, seen: Seen, manager: Any) -> None:
    for text in ("x" * (websocket.MAX_FRAME_BYTES + 1), iter(["x" * websocket.MAX_FRAME_BYTES] * 5)):
        with connect(f"ws://127.0.0.1:{port}/") as client:
            client.send(text)
            with pytest.raises(ConnectionClosed) as ended:
                client.recv(timeout=5)
            assert ended.value.rcvd
            assert ended.value.rcvd.code == 1009
    with connect(f"ws://127.0.0.1:{port}/"):
        connection = seen.of("$connect", 3)["requestContext"]["connectionId"]
        with pytest.raises(ClientError) as refused:
            manager.post_to_connection(ConnectionId=connection, Data=b"x" * (websocket.MAX_MESSAGE_BYTES + 1))
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.parametrize("limit", ["IDLE_SECONDS", "LIFETIME_SECONDS"])
def test_a_connection_ends_in_silence_and_of_age(
    port: int, seen: Seen, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, limit, 0.05)
    with connect(f"ws://127.0.0.1:{port}/") as client, pytest.raises(ConnectionClosed) as ended:
        client.recv(timeout=5)
    assert ended.value.rcvd
    assert ended.value.rcvd.code == 1001
    seen.of("$disconnect")


def test_what_is_said_to_a_client_keeps_it_from_falling_silent(
    port: int, seen: Seen, manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr(websocket, "time", SimpleNamespace(time=lambda: clock.now))
    monkeypatch.setattr(websocket, "IDLE_SECONDS", 0.1)
    with connect(f"ws://127.0.0.1:{port}/") as client:
        connection = seen.of("$connect")["requestContext"]["connectionId"]
        for number in range(3):
            clock.now += 0.09
            manager.post_to_connection(ConnectionId=connection, Data=json.dumps(number).encode())
            assert client.recv(timeout=5) == str(number)
        with pytest.raises(TimeoutError):  # long enough for the server to look at its clock
            client.recv(timeout=0.5)
        clock.now += 0.11
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)


def test_a_ping_is_answered(client: ClientConnection) -> None:
    assert client.ping().wait(timeout=5)
