"""A reader that records each newest page, for the history checker."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread
from urllib.parse import urlencode

from tests.support import consult_client
from tests.support.faults.history_checker import ObservedRead
from tests.support.soak.api_client import RETRYABLE_ERRORS, ApiClient

PAUSE_SECONDS = 0.05
Page = tuple[tuple[str, str], ...]  # (id, text) of each message, newest first
ReadPage = Callable[[ApiClient, str], Page]  # reads the newest page of a conversation


def read_by_gateway(client: ApiClient, conversation: str) -> Page:
    body = {"conversation_id": conversation, "desc": True}
    data, _ = client.request("POST", "/get_conversation_last_30_msg", body)
    return tuple((one["MsgId"], one["Content"]) for one in data["Msg"])


def read_as_doctor(client: ApiClient, conversation: str) -> Page:
    query = urlencode({"session_no": conversation, "page_size": 20})
    data, _ = client.request("GET", f"{consult_client.DOCTOR_LIST}?{query}")
    return tuple((one["msg_id"], one["message"]) for one in data)


@dataclass(eq=False)
class Reader:
    """It reads its conversations in turn, each time from the next server."""

    name: str
    token: str
    conversations: list[str]
    ports: list[int]
    read_page: ReadPage = read_by_gateway
    observed: list[ObservedRead] = field(default_factory=list)
    failure_count: int = 0
    error_trace: str = ""
    stopped: Event = field(default_factory=Event)

    def start(self) -> Thread:
        thread = Thread(target=self.run, daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        clients = [ApiClient(port, self.token) for port in self.ports]
        try:
            for number in count():
                conversation = self.conversations[number % len(self.conversations)]
                self.read_once(clients[number // len(self.conversations) % len(clients)], conversation)
                if self.stopped.wait(PAUSE_SECONDS):
                    break
        except Exception:
            self.error_trace = traceback.format_exc()
        finally:
            for client in clients:
                client.close()

    def read_once(self, client: ApiClient, conversation: str) -> None:
        """Record a page and which process served it: its pages must not become older."""
        started_at = time.monotonic()
        try:
            page = self.read_page(client, conversation)
        except RETRYABLE_ERRORS:
            self.failure_count += 1
            client.close()
            return
        process = f"{self.name} at port {client.port}"
        self.observed.append(ObservedRead(process, conversation, started_at, time.monotonic(), page))

    def read_all_once(self) -> None:
        """Read each conversation from each server, when all of them are up again."""
        for port in self.ports:
            client = ApiClient(port, self.token)
            for conversation in self.conversations:
                self.read_once(client, conversation)
            client.close()
