"""At most five WebSockets of a user are open, and new connections and messages over them are limited."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.aws import ws_push
from chalicelib.gateway import websocket_handlers
from chalicelib.identity import rate_limits, tokens
from chalicelib.identity.rate_limits import DEFAULT_RATES, Rate, RateLimit
from chalicelib.messaging import backlog, recent_cache, socket_store, sockets
from chalicelib.messaging.socket_store import Socket
from chalicelib.messaging.sockets import MAX_OF_PRINCIPAL
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until
from tests.support.gateway_client import ExternalUser, create_external_user, get_last_30, list_contents, send, send_all
from tests.support.round_trips import RoundTrips, trips
from tests.support.threads import run_in_threads
from tests.support.websocket_client import WebSocketPage, open_websocket

__all__ = ["trips"]

CLOSING = {
    "action": "closing",
    "reason": "too_many_connections",
    "code": 10012,
    "error": "同时打开的连接过多（最多 5 个），最早打开的连接已关闭",
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def set_rate(monkeypatch: pytest.MonkeyPatch, limit: RateLimit, rate: Rate) -> None:
    monkeypatch.setitem(rate_limits.rates, limit, rate)


def list_connections(user: ExternalUser) -> list[str]:
    found = socket_store.list_by_principals(mysql.autocommit, user.tenant_id, [user.principal])
    return [connection.connection_id for connection in found]


def insert_connection(user: ExternalUser, name: str, age: int = 0) -> str:
    """Insert a connection that was opened so many microseconds ago; return its id, which ends with the name."""
    connection_id = f"{user.tenant_id}-{name}"
    socket = Socket(user.tenant_id, user.principal, tokens.hash_token(user.token), wants_events=False)
    socket_store.insert(mysql.autocommit, connection_id, socket, clock.now() - age)
    return connection_id


def is_closed(page: WebSocketPage) -> bool:
    """Return whether a page was closed, after the frame that states the reason.

    That frame is not always the last one: the connection's own job and those that send events write to it, too.
    """
    with suppress(ConnectionClosed):
        page.call("ping")
        return False
    with suppress(ConnectionClosed):
        while True:
            page.unsolicited.append(page.receive())
    assert CLOSING in page.unsolicited
    return True


def test_sixth_connection_closes_the_oldest(
    websocket_url: str, stack: ExitStack, hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    tablet = create_external_user(hospital, han.session).token
    pages = []
    for number in range(MAX_OF_PRINCIPAL):
        pages.append(stack.enter_context(open_websocket(websocket_url, tablet if number % 2 else han.token)))
        pages[-1].receive_backlog()
    other = stack.enter_context(open_websocket(websocket_url, guo.token))
    other.receive_backlog()
    sixth = stack.enter_context(open_websocket(websocket_url, han.token))
    sixth.receive_backlog()
    assert pages[0].receive() == CLOSING
    with pytest.raises(ConnectionClosed):
        pages[0].receive()
    assert len(list_connections(han)) == MAX_OF_PRINCIPAL
    send_all(guo, conversation, "还在吗")
    for page in (*pages[1:], sixth, other):
        assert page.receive_message()["Content"] == "还在吗"


def test_six_connections_at_once_leave_five(websocket_url: str, stack: ExitStack, han: ExternalUser) -> None:
    pages = run_in_threads(
        [lambda: stack.enter_context(open_websocket(websocket_url, han.token))] * (MAX_OF_PRINCIPAL + 1)
    )
    wait_until(lambda: len(list_connections(han)) == MAX_OF_PRINCIPAL)
    assert sorted(is_closed(page) for page in pages) == [False] * MAX_OF_PRINCIPAL + [True]


def test_300_connections_of_one_token(
    websocket_url: str, stack: ExitStack, guo: ExternalUser, han: ExternalUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rate(monkeypatch, RateLimit.CONNECTIONS, DEFAULT_RATES[RateLimit.CONNECTIONS])
    started, pages, statuses = clock.monotonic(), [], []
    for _ in range(300):
        try:
            pages.append(stack.enter_context(open_websocket(websocket_url, han.token)))
        except InvalidStatus as rejection:
            statuses.append(rejection.response.status_code)
    assert set(statuses) == {429}
    assert 30 <= len(pages) <= 31 + (clock.monotonic() - started) / 2
    wait_until(lambda: len(list_connections(han)) == MAX_OF_PRINCIPAL)
    assert [is_closed(page) for page in pages] == [True] * (len(pages) - MAX_OF_PRINCIPAL) + [False] * MAX_OF_PRINCIPAL
    stack.enter_context(open_websocket(websocket_url, guo.token)).receive_backlog()


def list_names(user: ExternalUser) -> list[str]:
    return sorted(connection_id.rpartition("-")[2] for connection_id in list_connections(user))


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Record the action of each frame, or "" for closing, by the name of its connection.

    A connection whose name begins with "gone" is not established.
    """
    written: list[tuple[str, str]] = []

    def record(connection_id: str, text: str = "{}") -> bool:
        name = connection_id.rpartition("-")[2]
        written.append((name, json.loads(text).get("action", "")))
        return not name.startswith("gone")

    monkeypatch.setattr(ws_push, "post", record)
    monkeypatch.setattr(ws_push, "close", record)
    return written


def test_connection_that_is_established_late_closes_itself(han: ExternalUser, pushed: list[tuple[str, str]]) -> None:
    """The jobs of later ones could not close it when it was not established."""
    first, *_ = [insert_connection(han, f"{number}", -number) for number in range(MAX_OF_PRINCIPAL + 1)]
    backlog.send_on_connect(han.tenant_id, {"connection": first, "after": ""})
    assert pushed == [("0", "hello"), ("0", "closing"), ("0", "")], "and no backlog"
    assert list_names(han) == ["1", "2", "3", "4", "5"]


def test_connection_that_may_not_be_established_yet_is_left_to_its_own_job(
    han: ExternalUser, pushed: list[tuple[str, str]]
) -> None:
    insert_connection(han, "goneyoung", clock.SECOND)
    insert_connection(han, "goneold", sockets.CONNECT_GRACE + clock.SECOND)
    *_, last = [insert_connection(han, f"{number}", -number) for number in range(MAX_OF_PRINCIPAL)]
    backlog.send_on_connect(han.tenant_id, {"connection": last, "after": ""})
    assert [one for one in pushed if "gone" in one[0]] == [("goneyoung", "closing"), ("goneold", "closing")]
    assert list_names(han) == ["0", "1", "2", "3", "4", "goneyoung"]


def test_connection_that_cannot_be_closed_is_closed_later(
    han: ExternalUser, pushed: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> bool:
        raise ws_push.PushError(503)

    *_, last = [insert_connection(han, f"{number}", -number) for number in range(MAX_OF_PRINCIPAL + 1)]
    job = {"connection": last, "after": ""}
    with monkeypatch.context() as broken:
        broken.setattr(ws_push, "close", fail)
        with pytest.raises(ws_push.PushError):  # the outbox repeats the job
            backlog.send_on_connect(han.tenant_id, job)
    backlog.send_on_connect(han.tenant_id, job)
    assert ("0", "") in pushed
    assert list_names(han) == ["1", "2", "3", "4", "5"]


def test_messages_over_websocket_and_http_share_a_bucket(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_websocket(websocket_url, guo.token) as page:
        page.receive_backlog()
        set_rate(monkeypatch, RateLimit.MESSAGES, Rate(0.001, 3))
        assert send(guo, conversation, "三").status == 200
        codes = [page.call("send_msg", conversation_id=conversation, content=f"{n}")["code"] for n in range(2)]
        rejection = page.call("send_msg", conversation_id=conversation, content="多")
        assert (codes, rejection["code"], rejection["error"]) == ([0, 0], 10012, "请求太频繁，请稍后再试")
        assert 900 < rejection["retry_after"] <= 1000
        assert send(guo, conversation, "多").status == 429
        assert page.call("ping")["code"] == 0
        assert page.call("send_msg", conversation_id=conversation, content="")["code"] == 10001
    assert list_contents(get_last_30(han, conversation))[-3:] == ["三", "0", "1"]
    assert redis.get_client().zcard(recent_cache.build_keys(conversation)[2]) == 0, "no write intent is left"


def test_message_over_websocket_takes_two_trips_to_each(
    trips: RoundTrips, guo: ExternalUser, conversation: str, pushed: list[tuple[str, str]]
) -> None:
    """To MySQL for the connection and the message, to Redis for token and limit, and to publish."""
    connection_id = insert_connection(guo, "open")
    event = {"body": json.dumps({"action": "send_msg", "conversation_id": conversation, "content": "好"})}
    assert trips.count(lambda: websocket_handlers.handle_message(connection_id, event)) == (2, 2)
    assert pushed == [("open", "send_msg")] * 3


def test_frame_with_a_revoked_token_takes_nothing_from_its_user(
    hospital: Hospital,
    guo: ExternalUser,
    conversation: str,
    pushed: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phone = create_external_user(hospital, guo.session)
    tokens.revoke_by_hash(tokens.hash_token(phone.token))
    set_rate(monkeypatch, RateLimit.MESSAGES, Rate(0.001, 1))
    event = {"body": json.dumps({"action": "send_msg", "conversation_id": conversation, "content": "好"})}
    for number in range(3):
        websocket_handlers.handle_message(insert_connection(phone, f"{number}"), event)
    assert pushed == [("0", ""), ("1", ""), ("2", "")]
    assert redis.get_client().zcard(recent_cache.build_keys(conversation)[2]) == 0
    assert send(guo, conversation, "好").status == 200
