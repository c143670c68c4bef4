"""/notify in a real browser: a page of another origin uses fetch, EventSource and WebSocket at the same time."""

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from chalicelib.adapters import redis
from devstack.install import chromium
from tests.support import chrome
from tests.support.chrome import BrowserPage
from tests.support.factories import Hospital
from tests.support.faults.tcp_proxy import Proxy
from tests.support.gateway_client import create_conversation, create_external_user, join
from tests.support.soak import server_process
from tests.support.soak.sender import Sender
from tests.support.soak.server_process import ServerProcess

pytestmark = pytest.mark.skipif(
    chromium.PROGRAM_VARIABLE not in os.environ, reason="no browser: run bin/test --browser"
)
TRANSPORTS = ("poll", "sse", "ws")
TIMEOUT_SECONDS = 20.0


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process.run_server(tmp_path / "gateway.log") as server:
        yield server


@pytest.fixture
def network(server: ServerProcess) -> Iterator[Proxy]:
    """The network between the page and the gateway."""
    with Proxy(server.port) as network:
        yield network


@pytest.fixture
def page(tmp_path: Path, network: Proxy) -> Iterator[BrowserPage]:
    """The page; it is closed before the network."""
    assert network
    host = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=Path(__file__).parent))
    threading.Thread(target=host.serve_forever, daemon=True).start()
    folder = tmp_path / "browser"
    folder.mkdir()
    with chrome.open_page(folder) as page:
        page.open(f"http://127.0.0.1:{host.server_address[1]}/page.html")
        yield page
    host.shutdown()
    host.server_close()


@pytest.fixture
def guo(hospital: Hospital, server: ServerProcess, network: Proxy, page: BrowserPage) -> Iterator[Sender]:
    """A sender in a conversation with Han, who has the page open."""
    guo, han = create_external_user(hospital, "guo"), create_external_user(hospital, "han")
    conversation = create_conversation(guo)
    assert join(han, conversation).status == 200
    page.evaluate(f"begin('http://127.0.0.1:{network.port}', '{han.token}', '{conversation}')")
    wait_until(page, lambda state: set(state) == set(TRANSPORTS))
    sender = Sender(server.port, "guo", guo.token, [conversation], 0)
    yield sender
    sender.close()


def send_messages(guo: Sender, *numbers: int) -> None:
    for number in numbers:
        guo.send(guo.conversations[0], f"第{number}句", f"{number}")


def has_received(last: int) -> Any:
    expected = [f"第{number}句" for number in range(1, last + 1)]
    return lambda state: all(state[transport]["contents"] == expected for transport in TRANSPORTS)


def wait_until(page: BrowserPage, condition: Any) -> dict[str, Any]:
    deadline = monotonic() + TIMEOUT_SECONDS
    while not condition(state := page.evaluate("state()")):
        assert monotonic() < deadline, state
        sleep(0.05)
    return dict(state)


def wait_for_attempts(network: Proxy, attempts: int) -> None:
    """Wait until the page has tried to reconnect this many times."""
    goal, deadline = network.connection_count + attempts, monotonic() + TIMEOUT_SECONDS
    while network.connection_count < goal:
        assert monotonic() < deadline
        sleep(0.02)


def test_page_receives_every_message_after_network_failures(page: BrowserPage, guo: Sender, network: Proxy) -> None:
    send_messages(guo, 1, 2, 3)
    wait_until(page, has_received(3))
    network.reset_connections()
    send_messages(guo, 4, 5, 6)
    wait_for_attempts(network, 5)
    network.restore()
    send_messages(guo, 7)
    wait_until(page, has_received(7))
    network.swallow_packets()  # as in a tunnel: packets are lost without an error
    send_messages(guo, 8, 9)
    wait_for_attempts(network, 1)  # by the WebSocket, whose ping got no response
    network.restore()
    state = wait_until(page, has_received(9))
    assert [state[transport]["gaps"] for transport in TRANSPORTS] == [0, 0, 0]


def test_page_is_notified_of_a_flush_and_reads_the_history(page: BrowserPage, guo: Sender, network: Proxy) -> None:
    send_messages(guo, 1)
    wait_until(page, has_received(1))
    network.reset_connections()
    send_messages(guo, 2, 3)
    redis.get_client().flushall()
    network.restore()
    state = wait_until(page, has_received(3))
    assert all(state[transport]["gaps"] for transport in TRANSPORTS)
    send_messages(guo, 4)
    wait_until(page, has_received(4))
