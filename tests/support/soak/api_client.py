"""A client of a server process that keeps its connection open."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

RESPONSE_TIMEOUT_SECONDS = 30.0
RETRYABLE_ERRORS = (OSError, HTTPException)


class RetryableResponseError(HTTPException):
    """A 503 response: the client may repeat the request."""


@dataclass(eq=False)
class ApiClient:
    port: int
    token: str
    http: HTTPConnection | None = None

    def request(self, method: str, path: str, body: dict[str, Any] | None = None, key: str = "") -> tuple[Any, str]:
        """Return the data and the id of the request.

        Raises:
            RETRYABLE_ERRORS: the request may be repeated.
            ValueError: it was rejected.
        """
        self.send_request(method, path, body, key)
        assert self.http
        response = self.http.getresponse()
        received = json.loads(response.read())
        if response.status == 503:
            raise RetryableResponseError(received)
        if response.status != 200:
            raise ValueError(f"{path}: {response.status} {received}")
        return received["data"], response.headers["X-Request-Id"]

    def send_request(self, method: str, path: str, body: dict[str, Any] | None = None, key: str = "") -> None:
        """Send a request without waiting for its response."""
        if self.http is None:
            self.http = HTTPConnection("127.0.0.1", self.port, timeout=RESPONSE_TIMEOUT_SECONDS)
        headers = {"token": self.token, "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": quote(key)} if key else {}
        self.http.request(method, path, json.dumps(body) if body is not None else None, headers)

    def use_port(self, port: int) -> None:
        """Close the connection; the next request goes to this port."""
        self.close()
        self.port = port

    def close(self) -> None:
        if self.http:
            self.http.close()
        self.http = None
