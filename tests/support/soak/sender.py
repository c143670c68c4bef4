"""Somebody who says one thing after another, each again with its key until it is acknowledged."""

import json
import time
import traceback
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Thread

RETRY_TIMEOUT_SECONDS, RETRY_PAUSE_SECONDS = 30.0, 0.1  # seconds that one thing is said again for, and between


@dataclass(eq=False)
class Sender:
    """`acked` has the id of each message that was acknowledged, by its text: name/number."""

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
        """Return the message's id. Raises OSError and HTTPException where it is to be said again."""
        if self.http is None:
            self.http = HTTPConnection("127.0.0.1", self.port, timeout=RETRY_TIMEOUT_SECONDS)
        headers = {"token": self.token, "Content-Type": "application/json", "Idempotency-Key": key}
        body = json.dumps({"conversation_id": conversation, "content": text})
        self.http.request("POST", "/send_msg", body, headers)
        answer = self.http.getresponse()
        told = json.loads(answer.read())
        if answer.status == 503:
            raise HTTPException(told)
        if answer.status != 200:
            raise ValueError(told)
        return str(told["data"]["MsgID"])

    def close(self) -> None:
        if self.http:
            self.http.close()
        self.http = None
