"""A sender that repeats each message with its idempotency key until it is acknowledged."""

import json
import time
import traceback
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Thread

RETRY_TIMEOUT_SECONDS, RETRY_PAUSE_SECONDS = 30.0, 0.1  # of one message, and between two attempts


@dataclass(eq=False)
class Sender:
    """`acknowledged` has the id of each acknowledged message by its text, name/number."""

    port: int
    name: str
    token: str
    conversations: list[str]
    count: int
    acknowledged: dict[str, str] = field(default_factory=dict)
    retries: int = 0
    error_trace: str = ""
    http: HTTPConnection | None = None

    def start(self) -> Thread:
        thread = Thread(target=self.run, daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        try:
            for number in range(self.count):
                text = f"{self.name}/{number}"
                self.acknowledged[text] = self.send_with_retries(
                    self.conversations[number % len(self.conversations)], text
                )
        except Exception:
            self.error_trace = traceback.format_exc()
        finally:
            self.close()

    def send_with_retries(self, conversation: str, text: str) -> str:
        until = time.monotonic() + RETRY_TIMEOUT_SECONDS
        while True:
            try:
                return self.send(conversation, text, text)
            except (OSError, HTTPException):
                self.close()
                self.retries += 1
                if time.monotonic() > until:
                    raise
                time.sleep(RETRY_PAUSE_SECONDS)

    def send(self, conversation: str, text: str, key: str) -> str:
        """Return the message's id. Raises OSError or HTTPException if it must be repeated."""
        if self.http is None:
            self.http = HTTPConnection("127.0.0.1", self.port, timeout=RETRY_TIMEOUT_SECONDS)
        headers = {"token": self.token, "Content-Type": "application/json", "Idempotency-Key": key}
        body = json.dumps({"conversation_id": conversation, "content": text})
        self.http.request("POST", "/send_msg", body, headers)
        response = self.http.getresponse()
        body_received = json.loads(response.read())
        if response.status == 503:
            raise HTTPException(body_received)
        if response.status != 200:
            raise ValueError(body_received)
        return str(body_received["data"]["MsgID"])

    def close(self) -> None:
        if self.http:
            self.http.close()
        self.http = None
