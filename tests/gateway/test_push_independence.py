"""Senders do not wait for pushes; frames of a connection are in order; a client that misses one is disconnected."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from threading import Event

import pytest
from websockets.exceptions import ConnectionClosed

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import lambda_extension, ws_push
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.identity import tokens
from chalicelib.messaging import feed, socket_push, socket_store, sockets
from chalicelib.messaging.feed import PublishedEvent
from chalicelib.messaging.socket_store import Socket
from chalicelib.settings import settings
from tests.support.gateway_client import ExternalUser, send, send_all
from tests.support.notify_client import list_contents
from tests.support.push_gateway import PushGateway, run_push_gateway
from tests.support.websocket_client import open_websocket

FOREVER = 60.0


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[PushGateway]:
    """A fake API Gateway, which can hang. Local code never waits for it."""
    with run_push_gateway() as gateway:
        endpoint = replace(settings, ws_endpoint_url=gateway.url, ws_timeout_seconds=FOREVER)
        for module in (socket_push, ws_push):
            monkeypatch.setattr(module, "settings", endpoint)
        monkeypatch.setattr(socket_push, "LAMBDA_WAIT_SECONDS", FOREVER)
        yield gateway
        gateway.go.set()
        assert socket_push.wait_until_written(10)


def register(user: ExternalUser, connection_id: str) -> str:
    """Register a connection when the frames of earlier messages are written: it would receive them, too."""
    assert socket_push.wait_until_written(10)
    socket = Socket(user.tenant_id, user.principal, tokens.hash_token(user.token), wants_events=False)
    long_ago = clock.now() - sockets.CONNECT_GRACE - clock.SECOND
    socket_store.insert(mysql.autocommit, f"{user.tenant_id}-{connection_id}", socket, long_ago)
    sockets.invalidate_cache(user.tenant_id, user.principal)
    return f"{user.tenant_id}-{connection_id}"


def list_texts(gateway: PushGateway, connection_id: str) -> list[str]:
    """Return the contents of the frames that were posted to a connection."""
    posted = [body for method, body in gateway.list_requests(connection_id) if method == "POST"]
    return [json.loads(body)["Content"] for body in posted]


def test_sender_gets_the_response_while_the_endpoint_hangs(
    gateway: PushGateway, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    hans = register(han, "hans")
    gateway.slow.add(hans)
    send_all(guo, conversation, "三", "四")
    assert gateway.arrived.wait(10)
    assert not gateway.go.is_set()
    send_all(guo, conversation, "五")
    assert list_texts(gateway, hans) == ["三"], "the frames of one connection wait for each other"
    gateway.go.set()
    assert socket_push.wait_until_written(10)
    assert list_texts(gateway, hans) == ["三", "四", "五"]


def test_sender_does_not_wait_until_frames_are_built(
    gateway: PushGateway, guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    responded, order = Event(), list[bool]()
    real = socket_store.list_by_principals

    def list_slowly(tx: mysql.Tx, tenant_id: int, principals: list[str]) -> list[socket_store.Connection]:
        order.append(responded.wait(10))
        return real(tx, tenant_id, principals)

    hans = register(han, "hans")
    monkeypatch.setattr(socket_store, "list_by_principals", list_slowly)
    send_all(guo, conversation, "三")
    responded.set()
    assert socket_push.wait_until_written(10)
    assert order == [True]
    assert list_texts(gateway, hans) == ["三"]


def test_hanging_connection_does_not_delay_the_other_device(
    gateway: PushGateway, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    stuck, device = register(han, "stuck"), register(han, "device")
    gateway.slow.add(stuck)
    texts = [f"{number}" for number in range(40)]
    send_all(guo, conversation, *texts)
    while len(list_texts(gateway, device)) < len(texts):
        assert not gateway.go.wait(0.01)
    assert list_texts(gateway, device) == texts
    assert list_texts(gateway, stuck) == texts[:1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_connection_that_cannot_be_written_to_is_closed_and_deleted(
    gateway: PushGateway, guo: ExternalUser, han: ExternalUser, conversation: str, status: int
) -> None:
    hans = register(han, "hans")
    gateway.statuses[f"POST {hans}"] = status
    send_all(guo, conversation, "三")
    assert socket_push.wait_until_written(10)
    assert [method for method, _ in gateway.list_requests(hans)] == ["POST", "DELETE"]
    assert sockets.find(hans) is None


def test_connection_that_cannot_be_closed_stays_registered(
    gateway: PushGateway, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    hans = register(han, "hans")
    gateway.statuses[hans] = 503
    send_all(guo, conversation, "三")
    assert socket_push.wait_until_written(10)
    assert sockets.find(hans), "the next frame or ping shows the client that one is missing"


def test_client_that_is_too_slow_is_disconnected(
    gateway: PushGateway, guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_push, "MAX_FRAMES", 3)
    hans = register(han, "hans")
    gateway.slow.add(hans)
    send_all(guo, conversation, "一")
    assert gateway.arrived.wait(10)
    send_all(guo, conversation, "二", "三", "四", "五")
    wait_for_frames_to_be_built()
    gateway.go.set()
    assert socket_push.wait_until_written(10)
    assert [method for method, _ in gateway.list_requests(hans)] == ["POST", "DELETE"]
    assert sockets.find(hans) is None


def wait_for_frames_to_be_built() -> None:
    built = Event()
    socket_push._tasks.add(socket_push.BUILD_FRAMES, built.set, socket_push.MAX_EVENTS)
    assert built.wait(10)


def test_event_above_the_limit_is_logged_and_the_message_is_acknowledged(
    gateway: PushGateway,
    guo: ExternalUser,
    han: ExternalUser,
    conversation: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(socket_push, "MAX_EVENTS", 0)
    hans = register(han, "hans")
    assert send(guo, conversation, "三").status == 200
    assert "sockets not notified" in caplog.text
    assert list_texts(gateway, hans) == []


def test_without_mysql_cached_connections_are_written_to(
    gateway: PushGateway, guo: ExternalUser, han: ExternalUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[socket_store.Connection]:
        raise ApiError(UNAVAILABLE)

    monkeypatch.setattr(socket_store, "list_by_principals", fail)
    event = feed.build_application_event(1100, {"bookId": "1"}, 0)
    published = [
        PublishedEvent(guo.principal, event, "a.1", None),
        PublishedEvent(han.principal, event, "a.1", '[["hans", 1], ["messages only", 0]]'),
    ]
    socket_push.push_events(han.tenant_id, published)
    assert socket_push.wait_until_written(10)
    assert [method for method, _ in gateway.list_requests("hans")] == ["POST"]
    assert len(gateway.requests) == 1


def test_in_lambda_frames_are_written_before_the_response_unless_the_extension_runs(
    gateway: PushGateway, guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_push, "settings", replace(settings, ws_endpoint_url=gateway.url, in_lambda=True))
    hans = register(han, "hans")
    send_all(guo, conversation, "三")
    assert list_texts(gateway, hans) == ["三"]
    gateway.slow.add(hans)
    with monkeypatch.context() as limited:
        limited.setattr(socket_push, "LAMBDA_WAIT_SECONDS", 0.02)
        send_all(guo, conversation, "四")
        assert not gateway.go.is_set()
    monkeypatch.setattr(lambda_extension, "is_running", lambda: True)
    send_all(guo, conversation, "五")
    assert not gateway.go.is_set()


def test_disconnected_client_continues_from_its_cursor(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise ws_push.PushError(503)

    with open_websocket(websocket_url, han.token) as page:
        _, end = page.receive_backlog()
        with monkeypatch.context() as broken:
            broken.setattr(ws_push, "post", fail)
            send_all(guo, conversation, "三")
            assert socket_push.wait_until_written(10)
        with pytest.raises(ConnectionClosed):
            page.receive()
    with open_websocket(websocket_url, han.token, after=end["cursor"]) as page:
        assert list_contents(page.receive_backlog()[0]) == ["三"]


@pytest.mark.parametrize("hangs", [False, True])
def test_process_that_ends_writes_its_frames_but_does_not_wait_for_ever(gateway: PushGateway, hangs: bool) -> None:
    gateway.slow |= {"device"} if hangs else set()
    environment = {**os.environ, "WS_ENDPOINT_URL": gateway.url}
    subprocess.run([sys.executable, "-c", PUSH_AND_END], env=environment, check=True, timeout=10)
    assert list_texts(gateway, "device") == ['{"bookId":"1"}']
    assert not gateway.go.is_set()


PUSH_AND_END = """
from chalicelib.messaging import feed, socket_push
event = feed.build_application_event(1100, {"bookId": "1"}, 0)
socket_push.push_events(1, [feed.PublishedEvent("user:1", event, "a.1", '[["device", 1]]')])
"""
