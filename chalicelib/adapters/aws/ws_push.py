"""Send messages over API Gateway's open WebSockets, and close them. Threads share persistent connections.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
"""

from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.aws import sigv4
from chalicelib.settings import settings

if TYPE_CHECKING:  # http.client adds 0.005 s to a cold start, and many requests push nothing
    from http.client import HTTPConnection

STATUS_GONE = 410
MAX_ATTEMPTS = 2  # a persistent connection may have been closed while idle
_idle_connections: "deque[tuple[str, HTTPConnection]]" = deque()  # endpoint URL and connection, newest last


class PushError(Exception):
    """API Gateway rejected a request, or did not respond in time (status 0)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def post(connection_id: str, text: str) -> bool:
    """Send a text to a client; return False if it has disconnected. Raises PushError."""
    return _send_request("POST", connection_id, text.encode()) != STATUS_GONE


def close(connection_id: str) -> bool:
    """Close a client's connection; return False if it has disconnected already. Raises PushError."""
    return _send_request("DELETE", connection_id) != STATUS_GONE


def _send_request(method: str, connection_id: str, body: bytes = b"") -> int:
    from http.client import HTTPException

    url = urlsplit(settings.ws_endpoint_url)
    path = f"{url.path}/@connections/{quote(connection_id, safe='')}"
    credentials = sigv4.load_credentials(settings, "execute-api")
    timestamp = sigv4.format_timestamp(clock.now())
    headers = sigv4.sign_headers(credentials, timestamp, url.netloc, {}, body, method=method, path=path)
    connection = _take_connection()
    for attempts_left in reversed(range(MAX_ATTEMPTS)):
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            response.read()
            break
        except (OSError, HTTPException) as error:
            connection.close()
            if not attempts_left or isinstance(error, TimeoutError):
                raise PushError(0) from error
    _idle_connections.append((settings.ws_endpoint_url, connection))
    if response.status >= 300 and response.status != STATUS_GONE:
        raise PushError(response.status)
    return response.status


def _take_connection() -> "HTTPConnection":
    """Return a connection that no other thread uses; http.client reopens it after it was closed."""
    try:
        endpoint, connection = _idle_connections.pop()
    except IndexError:  # checked here and not before: another thread may take the last one
        return _build_connection()
    if endpoint == settings.ws_endpoint_url:
        return connection
    connection.close()
    return _build_connection()


def _build_connection() -> "HTTPConnection":
    from http.client import HTTPConnection, HTTPSConnection

    url, timeout = urlsplit(settings.ws_endpoint_url), settings.ws_timeout_seconds
    if url.scheme != "https":
        return HTTPConnection(url.netloc, timeout=timeout)
    return HTTPSConnection(url.netloc, timeout=timeout, context=https.get_default_context())
