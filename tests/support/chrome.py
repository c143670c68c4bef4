"""A headless Chromium, driven over its DevTools protocol: https://chromedevtools.github.io/devtools-protocol/"""

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

TIMEOUT_SECONDS = 30.0  # seconds
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0", "about:blank"),
)


class BrowserPage:
    def __init__(self, line: ClientConnection) -> None:
        self.connection = line
        self.call_ids = count(1)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        until = monotonic() + TIMEOUT_SECONDS
        while self.evaluate("document.readyState + location.href") != f"complete{url}":
            assert monotonic() < until, "the page does not load"
            sleep(0.05)

    def evaluate(self, script: str) -> Any:
        """Return what the script's last expression is, as JSON has it."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self.call_ids)
        self.connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while (said := json.loads(self.connection.recv(timeout=TIMEOUT_SECONDS))).get("id") != number:
            pass
        assert "error" not in said, said
        return dict(said["result"])


@contextmanager
def open_page(folder: Path) -> Iterator[BrowserPage]:
    """Its profile and what it says are in the folder."""
    program, libraries = os.environ[chromium.PROGRAM_VARIABLE], os.environ[chromium.LIBRARIES_VARIABLE]
    command = [*processes.build_parent_death_prefix(), program, *OPTIONS, f"--user-data-dir={folder}"]
    with (folder / "said.log").open("wb") as log:
        browser = subprocess.Popen(command, env=chromium.build_environment(libraries), stdout=log, stderr=log)
    try:
        with connect(get_debugger_url(folder, browser), max_size=None) as line:
            yield BrowserPage(line)
    finally:
        browser.terminate()
        browser.wait(TIMEOUT_SECONDS)


def get_debugger_url(folder: Path, browser: "subprocess.Popen[bytes]") -> str:
    """Return where the page itself can be told what to do, once there is one."""
    port, until = folder / "DevToolsActivePort", monotonic() + TIMEOUT_SECONDS
    while not port.exists() or not port.read_text():
        assert browser.poll() is None, (folder / "said.log").read_text()[-2000:]
        assert monotonic() < until, "the browser does not start"
        sleep(0.05)
    with urlopen(f"http://127.0.0.1:{port.read_text().split()[0]}/json/list") as answer:
        return next(str(one["webSocketDebuggerUrl"]) for one in json.load(answer) if one["type"] == "page")
