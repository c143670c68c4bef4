"""The attacker of bin/bench abuse: connections with one token, each a thread with a steady rate of requests."""

import json
import os
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from bench.lambda_events import MESSAGE_TEXT

TIMEOUT_SECONDS = 30.0
CONNECTION_ERRORS = (OSError, HTTPException, WebSocketException)


@dataclass(frozen=True)
class Target:
    """Whom the attacker attacks, and as whom."""

    sockets_port: int
    send_ports: list[int]
    poll_ports: list[int]  # a waiting poll occupies its server
    token: str
    conversation: str
    cores: set[int]  # that the attacker uses


@dataclass
class Outcome:
    """What became of the attacker's requests, by kind."""

    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)


def use_cores(cores: set[int]) -> None:
    """Use only these cores, where the system can restrict that; so do the threads and processes started afterwards."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


class Attacker:
    """A worker of a ProcessPool: `start` and `stop` an attack."""

    def __init__(self, connections: int, requests_per_second: float) -> None:
        self.connections = connections
        self.pause = connections / requests_per_second
        self.lock = Lock()

    def start(self, target: Target) -> None:
        """Open the connections: of ten, four send messages, three poll, and three use WebSockets."""
        use_cores(target.cores)
        self.target, self.outcome, self.stopped = target, Outcome(), Event()
        self.waiting: set[socket.socket] = set()  # of polls, to end them
        self.open_pages: set[ClientConnection] = set()
        kinds: list[Callable[[int], None]] = [*[self.send, self.poll, self.open_websocket] * 3, self.send]
        self.threads = [Thread(target=self.repeat, args=(kinds[n % 10], n)) for n in range(self.connections)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> Outcome:
        """End all requests and connections, and return what became of them."""
        self.stopped.set()
        with self.lock:
            for waiting in self.waiting:
                with suppress(OSError):
                    waiting.shutdown(socket.SHUT_RDWR)
            pages = list(self.open_pages)
        for page in pages:
            page.close()
        for thread in self.threads:
            thread.join()
        return self.outcome

    def repeat(self, work: Callable[[int], None], number: int) -> None:
        """Repeat requests of one kind, each in a connection that it keeps as long as possible."""
        self.stopped.wait(random.uniform(0, self.pause))
        while not self.stopped.is_set():
            try:
                work(number)
            except CONNECTION_ERRORS:
                if not self.stopped.is_set():
                    self.count(self.outcome.failed, work.__name__)
                self.stopped.wait(self.pause)

    def count(self, counter: Counter[str], kind: str) -> None:
        with self.lock:
            counter[kind] += 1

    def send(self, number: int) -> None:
        ports = self.target.send_ports
        http = HTTPConnection("127.0.0.1", ports[number % len(ports)], timeout=TIMEOUT_SECONDS)
        while not self.stopped.is_set():
            body = {"conversation_id": self.target.conversation, "content": f"{MESSAGE_TEXT} {random.random()}"}
            headers = {"token": self.target.token, "Content-Type": "application/json"}
            self.request(http, "send", "POST", "/send_msg", json.dumps(body), headers)

    def poll(self, number: int) -> None:
        ports = self.target.poll_ports
        http = HTTPConnection("127.0.0.1", ports[number // 3 % len(ports)], timeout=TIMEOUT_SECONDS)
        cursor = ""
        while not self.stopped.is_set():
            query = urlencode({"token": self.target.token, "protoc": "poll", "limit": 20, "after": cursor})
            received = self.request(http, "poll", "GET", f"/notify?{query}", None, {})
            cursor = received.get("data", {}).get("cursor", cursor)

    def request(
        self, http: HTTPConnection, kind: str, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        """Make a request, then pause; return the body of the response."""
        until = time.monotonic() + self.pause
        http.request(method, path, body, headers)
        assert http.sock
        with self.lock:
            self.waiting |= {http.sock} if kind == "poll" else set()
        try:
            response = http.getresponse()
            received: dict[str, Any] = json.loads(response.read())
        finally:
            with self.lock:
                self.waiting.discard(http.sock)
        self.count_status(kind, response.status)
        self.stopped.wait(max(until - time.monotonic(), 0))
        return received

    def count_status(self, kind: str, status: int) -> None:
        outcome = self.outcome
        self.count({200: outcome.accepted, 429: outcome.rejected}.get(status, outcome.failed), kind)

    def open_websocket(self, _: int) -> None:
        query = urlencode({"token": self.target.token, "protoc": "ws"})
        try:
            page = connect(f"ws://127.0.0.1:{self.target.sockets_port}/notify?{query}", open_timeout=TIMEOUT_SECONDS)
        except InvalidStatus as rejection:
            self.count_status("connect", rejection.response.status_code)
            self.stopped.wait(self.pause)
            return
        self.count_status("connect", 200)
        with self.lock:
            self.open_pages.add(page)
        try:
            self.send_over(page)
        except ConnectionClosed:
            self.stopped.wait(self.pause)
        finally:
            with self.lock:
                self.open_pages.discard(page)
            page.close()

    def send_over(self, page: ClientConnection) -> None:
        while not self.stopped.is_set():
            until = time.monotonic() + self.pause
            content = f"{MESSAGE_TEXT} {random.random()}"
            frame = {"action": "send_msg", "id": "q", "conversation_id": self.target.conversation, "content": content}
            page.send(json.dumps(frame))
            while (response := json.loads(page.recv(timeout=TIMEOUT_SECONDS))).get("id") != "q":
                pass
            self.count_status("frame", 200 if response["code"] == 0 else 429)
            self.stopped.wait(max(until - time.monotonic(), 0))
