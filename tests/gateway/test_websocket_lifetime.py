"""Lifetime of WebSocket connections: authorization, expiry and cleanup."""

from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app import sweep_sockets
from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.aws import ws_push
from chalicelib.errors import UNAVAILABLE
from chalicelib.gateway import websocket_handlers
from chalicelib.identity import callers, session_changes, tokens
from chalicelib.identity.callers import Role
from chalicelib.messaging import backlog, socket_push, socket_store, sockets
from chalicelib.messaging.socket_store import Socket
from chalicelib.outbox import outbox
from chalicelib.settings import settings
from devstack.apigateway import websocket
from tests.support.client import build_schedule_event
from tests.support.conversation_log import raise_redis_unavailable
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until
from tests.support.gateway_client import (
    ExternalUser,
    create_conversation,
    create_external_user,
    join,
    remove_participants,
    send,
    send_all,
)
from tests.support.notify_client import poll_messages
from tests.support.websocket_client import open_websocket


@pytest.fixture
def conversation(guo: ExternalUser, han: ExternalUser) -> str:
    conversation = create_conversation(guo)
    assert join(han, conversation).status == 200
    return conversation


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"token": "unknown"}, 401),
        ({"token": ""}, 400),
        ({"protoc": "poll"}, 400),
        ({"protoc": "tcp"}, 400),
        ({"after": "x"}, 400),
        ({"events": "2"}, 400),
    ],
)
def test_invalid_connect_request_is_rejected(
    websocket_url: str, han: ExternalUser, query: dict[str, str], status: int
) -> None:
    with pytest.raises(InvalidStatus) as error, open_websocket(websocket_url, **{"token": han.token, **query}):
        pass
    assert error.value.response.status_code == status


@pytest.fixture
def seen_addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trust one proxy, and return a list of the addresses with which callers are identified."""
    monkeypatch.setattr(websocket_handlers, "settings", replace(settings, trusted_proxies=1))
    addresses: list[str] = []
    identify = callers.identify

    def record(*arguments: Any, **options: Any) -> callers.Caller:
        addresses.append(arguments[2])
        return identify(*arguments, **options)

    monkeypatch.setattr(callers, "identify", record)
    return addresses


def connect_through_proxy(url: str, token: str, forwarded_for: str) -> ClientConnection:
    headers = {"X-Forwarded-For": forwarded_for}
    return connect(f"{url.replace('http', 'ws', 1)}/notify?protoc=ws&token={token}", additional_headers=headers)


def test_address_of_a_connection_is_that_of_the_client(
    websocket_url: str, han: ExternalUser, seen_addresses: list[str]
) -> None:
    with connect_through_proxy(websocket_url, han.token, "6.6.6.6, 198.51.100.9"):
        assert seen_addresses == ["198.51.100.9"]


@pytest.mark.parametrize("forwarded_for", ["", "unknown", "6.6.6.6," * 1_000])
@pytest.mark.usefixtures("seen_addresses")
def test_connection_with_an_unusable_address_is_rejected(
    websocket_url: str, han: ExternalUser, forwarded_for: str
) -> None:
    with pytest.raises(InvalidStatus) as error:
        connect_through_proxy(websocket_url, han.token, forwarded_for)
    assert error.value.response.status_code == 400


def test_empty_query_parameters_are_ignored(websocket_url: str, han: ExternalUser) -> None:
    with open_websocket(websocket_url, han.token, after="", limit="", events="") as page:
        assert page.receive_backlog()[0] == []


def test_removed_member_receives_no_push(
    websocket_url: str, hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        remove_participants(hospital, conversation, han)
        send_all(guo, conversation, "他走了")
        response = page.call("send_msg", conversation_id=conversation, content="我还在吗")
        assert response["code"] in (10003, 10004)
        assert page.unsolicited == []
        with pytest.raises(TimeoutError):
            page.receive(0.3)


def test_same_session_of_other_hospital_receives_no_push(
    websocket_url: str, other_hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    with open_websocket(websocket_url, create_external_user(other_hospital, han.session).token) as page:
        page.receive_backlog()
        send_all(guo, conversation, "您好")
        with pytest.raises(TimeoutError):
            page.receive(0.3)


def test_socket_of_a_revoked_token_is_closed_at_once(websocket_url: str, han: ExternalUser) -> None:
    """By a job, without the sweep. Another session of the same user stays open."""
    other = tokens.issue(han.tenant_id, han.principal, Role.SESSION)
    with open_websocket(websocket_url, han.token) as page, open_websocket(websocket_url, other) as second:
        for one in (page, second):
            one.receive_backlog()
        tokens.revoke_by_hash(tokens.hash_token(han.token))
        outbox.wake_worker()
        with pytest.raises(ConnectionClosed):
            page.receive()
        assert second.call("ping")["code"] == 0
    wait_until(lambda: count_connections(han) == 0)


def test_sweep_closes_socket_of_revoked_token(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job that closes it at once was lost."""
    with open_websocket(websocket_url, han.token) as page, open_websocket(websocket_url, guo.token) as other:
        for one in (page, other):
            one.receive_backlog()
        monkeypatch.setattr(session_changes, "_close_sockets", lambda *_: None)
        tokens.revoke_by_hash(tokens.hash_token(han.token))
        assert sockets.close_expired() == 1
        with pytest.raises(ConnectionClosed):
            page.receive()
        assert other.call("ping")["code"] == 0
    assert count_connections(han) == 0


def test_revoked_token_is_rejected_before_sweep(
    websocket_url: str, guo: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_websocket(websocket_url, guo.token) as page:
        page.receive_backlog()
        monkeypatch.setattr(session_changes, "_close_sockets", lambda *_: None)
        tokens.revoke_by_hash(tokens.hash_token(guo.token))
        with pytest.raises(ConnectionClosed):
            page.call("send_msg", conversation_id=conversation, content="您好")


def test_closed_socket_is_deleted(websocket_url: str, han: ExternalUser) -> None:
    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        assert count_connections(han) == 1
    wait_until(lambda: count_connections(han) == 0)


def test_vanished_socket_is_deleted_on_next_push(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API Gateway does not report every closed connection, but responds 410 to the next push."""
    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        monkeypatch.setattr(websocket, "_open_connections", {})
        send_all(guo, conversation, "一")
        assert socket_push.wait_until_written(10)
        assert count_connections(han) == 1, "it may not be established yet"
        later = clock.now() + sockets.CONNECT_GRACE
        monkeypatch.setattr(clock, "now", lambda: later)
        send_all(guo, conversation, "二")
        assert socket_push.wait_until_written(10)
    assert count_connections(han) == 0


def test_stuck_connection_does_not_delay_others(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, stuck, free = ws_push._send_request, Event(), Event()

    def send_slowly(method: str, connection_id: str, body: bytes = b"") -> int:
        if connection_id == hans:
            stuck.set()
            free.wait(10)
        return real(method, connection_id, body)

    with open_websocket(websocket_url, guo.token) as page, open_websocket(websocket_url, han.token) as slow:
        page.receive_backlog()
        slow.receive_backlog()
        [hans] = list_connections(han)
        monkeypatch.setattr(ws_push, "_send_request", send_slowly)
        assert send(guo, conversation, "您好").status == 200
        assert page.receive_message()["Content"] == "您好"
        assert stuck.wait(10)
        free.set()
        assert slow.receive_message()["Content"] == "您好"


def list_connections(user: ExternalUser) -> list[str]:
    found = socket_store.list_by_principals(mysql.autocommit, user.tenant_id, [user.principal])
    return [connection.connection_id for connection in found]


def count_connections(user: ExternalUser) -> int:
    return len(list_connections(user))


def test_failed_sweep_is_repeated(websocket_url: str, han: ExternalUser, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> bool:
        raise ws_push.PushError(503)

    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        with monkeypatch.context() as lost:
            lost.setattr(session_changes, "_close_sockets", lambda *_: None)
            tokens.revoke_by_hash(tokens.hash_token(han.token))
        with monkeypatch.context() as broken:
            broken.setattr(ws_push, "close", fail)
            sweep_sockets(build_schedule_event(), None)
            assert count_connections(han) == 1
            later = clock.now() + sockets.MAX_CONNECTION_AGE
            broken.setattr(clock, "now", lambda: later)
            sweep_sockets(build_schedule_event(), None)
            assert count_connections(han) == 0, "API Gateway closed it long ago"


def test_without_redis_a_request_is_answered_unavailable(
    websocket_url: str, han: ExternalUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        monkeypatch.setattr(redis, "_call_driver", raise_redis_unavailable)
        assert page.call("ping")["code"] == UNAVAILABLE.code


def test_backlog_sent_twice_is_identical(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    """The outbox may repeat a job: the client recognizes messages by MsgId."""
    poll_messages(han.token)
    send_all(guo, conversation, "一")
    with open_websocket(websocket_url, han.token) as page:
        [one], end = page.receive_backlog()
        [connection_id] = list_connections(han)
        backlog.send_on_connect(han.tenant_id, {"connection": connection_id, "after": ""})
        assert page.receive_backlog() == ([one], end)


def test_backlog_of_closed_connection_does_nothing(hospital: Hospital, websocket_url: str) -> None:
    assert websocket_url
    backlog.send_on_connect(hospital.tenant_id, {"connection": "unknown", "after": ""})


def test_backlog_of_vanished_connection_does_not_block_others(
    han: ExternalUser, websocket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert websocket_url
    connection_id = "of-a-server-that-was-killed"
    socket = Socket(han.tenant_id, han.principal, tokens.hash_token(han.token), wants_events=False)
    long_ago = clock.now() - sockets.CONNECT_GRACE - clock.SECOND
    socket_store.insert(mysql.autocommit, connection_id, socket, long_ago)
    monkeypatch.setattr(clock, "sleep", lambda _: pytest.fail("waited for a client that has left"))
    backlog.send_on_connect(han.tenant_id, {"connection": connection_id, "after": ""})
    assert count_connections(han) == 0
