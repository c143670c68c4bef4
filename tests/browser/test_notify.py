"""/notify in a real browser: a page of another origin listens by fetch, EventSource and WebSocket at once."""

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
WAYS = ("poll", "sse", "ws")
PATIENCE = 20.0  # seconds


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """What a test asks is nobody's news."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process.run_server(tmp_path / "gateway.log") as served:
        yield served


@pytest.fixture
def network(served: ServerProcess) -> Iterator[Proxy]:
    """Between the page and the gateway."""
    with Proxy(served.port) as network:
        yield network


@pytest.fixture
def page(tmp_path: Path, network: Proxy) -> Iterator[BrowserPage]:
    """It is closed before the network is."""
    assert network
    host = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=Path(__file__).parent))
    threading.Thread(target=host.serve_forever, daemon=True).start()
    folder = tmp_path / "browser"
    folder.mkdir()
    with chrome.open_page(folder) as page:
        page.open(f"http://127.0.0.1:{host.server_address[1]}/page.html")
        yield page
    host.shutdown()
    host.server_close()


@pytest.fixture
def guo(hospital: Hospital, served: ServerProcess, network: Proxy, page: BrowserPage) -> Iterator[Sender]:
    """Somebody who talks to Han, who has the page open."""
    guo, han = create_external_user(hospital, "guo"), create_external_user(hospital, "han")
    conversation = create_conversation(guo)
    assert join(han, conversation).status == 200
    page.evaluate(f"begin('http://127.0.0.1:{network.port}', '{han.token}', '{conversation}')")
    wait_until(page, lambda state: set(state) == set(WAYS))
    sender = Sender(served.port, "guo", guo.token, [conversation], 0)
    yield sender
    sender.close()


def say(guo: Sender, *numbers: int) -> None:
    for number in numbers:
        guo.send(guo.conversations[0], f"第{number}句", f"{number}")


def has_heard(last: int) -> Any:
    wanted = [f"第{number}句" for number in range(1, last + 1)]
    return lambda state: all(state[way]["contents"] == wanted for way in WAYS)


def wait_until(page: BrowserPage, true: Any) -> dict[str, Any]:
    until = monotonic() + PATIENCE
    while not true(state := page.evaluate("state()")):
        assert monotonic() < until, state
        sleep(0.05)
    return dict(state)


def wait_for_tries(network: Proxy, tries: int) -> None:
    """Wait until the page has tried so often to come back."""
    goal, until = network.connection_count + tries, monotonic() + PATIENCE
    while network.connection_count < goal:
        assert monotonic() < until
        sleep(0.02)


def test_a_page_that_loses_the_network_comes_back_and_misses_nothing(
    page: BrowserPage, guo: Sender, network: Proxy
) -> None:
    say(guo, 1, 2, 3)
    wait_until(page, has_heard(3))
    network.reset_connections()
    say(guo, 4, 5, 6)
    wait_for_tries(network, 5)
    network.restore()
    say(guo, 7)
    wait_until(page, has_heard(7))
    network.swallow_packets()  # as in a tunnel: nothing comes, and nothing says so
    say(guo, 8, 9)
    wait_for_tries(network, 1)  # of the WebSocket, which has asked and was not answered
    network.restore()
    state = wait_until(page, has_heard(9))
    assert [state[way]["gaps"] for way in WAYS] == [0, 0, 0]


def test_a_page_is_told_that_redis_was_flushed_and_reads_history(
    page: BrowserPage, guo: Sender, network: Proxy
) -> None:
    say(guo, 1)
    wait_until(page, has_heard(1))
    network.reset_connections()
    say(guo, 2, 3)
    redis.get_client().flushall()
    network.restore()
    state = wait_until(page, has_heard(3))
    assert all(state[way]["gaps"] for way in WAYS)
    say(guo, 4)
    wait_until(page, has_heard(4))
