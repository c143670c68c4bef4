"""What is pushed to a new connection, and events about reading."""

import pytest

from chalicelib import clock
from chalicelib.adapters.aws import ws_push
from chalicelib.messaging import backlog, sockets
from tests.support.gateway_client import ExternalUser, get_last_30, send_all
from tests.support.websocket_client import open_websocket


def test_connection_is_used_although_an_empty_list_was_cached(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    send_all(guo, conversation, "三")
    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        send_all(guo, conversation, "四")
        assert page.receive_message(10)["Content"] == "四"


def test_reading_is_pushed_to_a_connection_that_wants_events(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    with open_websocket(websocket_url, guo.token, events=1) as page:
        page.receive_backlog()
        send_all(guo, conversation, "三")
        assert page.receive_message(10)["Content"] == "三"
        get_last_30(han, conversation)
        assert page.receive_message(10)["Type"] != 0


def test_client_that_is_slow_to_connect_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    results = iter([False, False, True])
    monkeypatch.setattr(ws_push, "post", lambda *_: next(results))
    monkeypatch.setattr(sockets, "unregister", lambda *_: None)
    monkeypatch.setattr(sockets, "find", lambda _: True)
    monkeypatch.setattr(clock, "sleep", lambda _: None)
    assert backlog._wait_until_writable("connection")
    assert list(results) == []


def test_closing_reports_whether_api_gateway_did_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise ws_push.PushError(500)

    monkeypatch.setattr(ws_push, "close", lambda _: None)
    assert sockets.close("connection") is True
    monkeypatch.setattr(ws_push, "close", fail)
    assert sockets.close("connection") is False
