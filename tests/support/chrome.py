"""Control a headless Chromium by its DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

from devstack.install import chromium
from devstack.services import processes

TIMEOUT_SECONDS = 30.0
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0", "about:blank"),
)


class BrowserPage:
    """A page of the browser, controlled over its WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.call_ids = count(1)

    def open(self, url: str) -> None:
        """Navigate to a URL and wait until it is loaded."""
        self.call("Page.navigate", url=url)
        deadline = monotonic() + TIMEOUT_SECONDS
        while self.evaluate("document.readyState + location.href") != f"complete{url}":
            assert monotonic() < deadline, "the page does not load"
            sleep(0.05)

    def evaluate(self, script: str) -> Any:
        """Return the value of the script's last expression."""
        response = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in response, response
        return response["result"].get("value")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self.call_ids)
        self.connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while (message := json.loads(self.connection.recv(timeout=TIMEOUT_SECONDS))).get("id") != number:
            pass
        assert "error" not in message, message
        return dict(message["result"])


@contextmanager
def open_page(folder: Path) -> Iterator[BrowserPage]:
    """Start a browser and yield its page. Its profile and log are stored in the folder."""
    program, libraries = os.environ[chromium.PROGRAM_VARIABLE], os.environ[chromium.LIBRARIES_VARIABLE]
    command = [*processes.build_parent_death_prefix(), program, *OPTIONS, f"--user-data-dir={folder}"]
    with (folder / "chromium.log").open("wb") as log:
        browser = subprocess.Popen(command, env=chromium.build_environment(libraries), stdout=log, stderr=log)
    try:
        with connect(get_debugger_url(folder, browser), max_size=None) as connection:
            yield BrowserPage(connection)
    finally:
        browser.terminate()
        browser.wait(TIMEOUT_SECONDS)


def get_debugger_url(folder: Path, browser: "subprocess.Popen[bytes]") -> str:
    """Wait deadline there is a page and return its debugger URL."""
    port, deadline = folder / "DevToolsActivePort", monotonic() + TIMEOUT_SECONDS
    while not port.exists() or not port.read_text():
        assert browser.poll() is None, (folder / "chromium.log").read_text()[-2000:]
        assert monotonic() < deadline, "the browser does not start"
        sleep(0.05)
    with urlopen(f"http://127.0.0.1:{port.read_text().split()[0]}/json/list") as response:
        return next(str(one["webSocketDebuggerUrl"]) for one in json.load(response) if one["type"] == "page")
