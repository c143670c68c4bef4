"""A sender that repeats each message with its idempotency key until it is acknowledged."""

import random
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread
from typing import Any

from tests.support.soak.api_client import RETRYABLE_ERRORS, ApiClient

RETRY_TIMEOUT_SECONDS, RETRY_PAUSE_SECONDS = 60.0, 0.1  # of one message, and between two attempts


@dataclass(frozen=True)
class Acknowledgement:
    """The first acknowledgement of a message; `at` is the monotonic time when it arrived."""

    conversation: str
    id: str
    request_id: str
    at: float


BuildRequest = Callable[[str, str], tuple[str, dict[str, Any]]]  # from conversation and text: path and body


def build_gateway_request(conversation: str, text: str) -> tuple[str, dict[str, Any]]:
    return "/send_msg", {"conversation_id": conversation, "content": text}


@dataclass(eq=False)
class Sender:
    """Its texts, name/number, are their own idempotency keys.

    Attributes:
        count: how many messages it sends, or None for as many as it can until `stopped` is set.
        other_ports: of servers that it uses in turn after a failure.
        abandon_share: the share of messages that it sends once more, to the next server, without waiting.
        acknowledged: by text.
    """

    port: int
    name: str
    token: str
    conversations: list[str]
    count: int | None
    build_request: BuildRequest = build_gateway_request
    other_ports: list[int] = field(default_factory=list)
    abandon_share: float = 0.0
    acknowledged: dict[str, Acknowledgement] = field(default_factory=dict)
    retries: int = 0
    error_trace: str = ""
    stopped: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.ports = [self.port, *self.other_ports]
        self.client = ApiClient(self.port, self.token)
        self.random = random.Random(self.name)

    def start(self) -> Thread:
        thread = Thread(target=self.run, daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        try:
            for number in count() if self.count is None else range(self.count):
                if self.stopped.is_set():
                    return
                text = f"{self.name}/{number}"
                conversation = self.conversations[number % len(self.conversations)]
                self.acknowledged[text] = self.send_with_retries(conversation, text)
        except Exception:
            self.error_trace = traceback.format_exc()
        finally:
            self.close()

    def send_with_retries(self, conversation: str, text: str) -> Acknowledgement:
        if self.random.random() < self.abandon_share:
            self.send_and_abandon(conversation, text)
        until = time.monotonic() + RETRY_TIMEOUT_SECONDS
        while True:
            try:
                return self.send_once(conversation, text, text)
            except RETRYABLE_ERRORS:
                self.client.use_port(self.get_next_port())
                self.retries += 1
                if time.monotonic() > until:
                    raise
                time.sleep(RETRY_PAUSE_SECONDS)

    def send(self, conversation: str, text: str, key: str) -> str:
        """Return the message's id. Raises one of RETRYABLE_ERRORS if it must be repeated."""
        return self.send_once(conversation, text, key).id

    def send_once(self, conversation: str, text: str, key: str) -> Acknowledgement:
        data, request_id = self.client.request("POST", *self.build_request(conversation, text), key)
        message_id = data["MsgID"] if "MsgID" in data else data["msg_id"]
        return Acknowledgement(conversation, str(message_id), request_id, time.monotonic())

    def send_and_abandon(self, conversation: str, text: str) -> None:
        """Send a message whose response is lost: two processes may then store it at the same time."""
        client = ApiClient(self.get_next_port(), self.token)
        with suppress(*RETRYABLE_ERRORS):
            client.send_request("POST", *self.build_request(conversation, text), text)
        client.close()

    def get_next_port(self) -> int:
        return self.ports[(self.ports.index(self.client.port) + 1) % len(self.ports)]

    def close(self) -> None:
        self.client.close()
