"""Send messages over API Gateway's open WebSockets, and close them.

Requests run in parallel threads, each with a persistent connection. post_all does not wait for slow ones.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
"""

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import quote, urlsplit

from chalicelib import clock
from chalicelib.adapters.aws import sigv4
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

MAX_WORKERS = 16
STATUS_GONE = 410
MAX_ATTEMPTS = 2  # a persistent connection may have been closed while idle
_thread_state = threading.local()


class PushError(Exception):
    """API Gateway rejected a request, or did not respond in time (status 0)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def post(connection_id: str, text: str) -> bool:
    """Send a text to a client; return False if it has disconnected. Raises PushError."""
    return _get_executor().submit(_send_request, "POST", connection_id, text.encode()).result() != STATUS_GONE


def close(connection_id: str) -> bool:
    """Close a client's connection; return False if it has disconnected already. Raises PushError."""
    return _get_executor().submit(_send_request, "DELETE", connection_id).result() != STATUS_GONE


def post_all(texts: Iterable[tuple[str, str]], timeout: float) -> list[str]:
    """Send texts to many clients.

    Args:
        texts: connection ids with the text for each.
        timeout: seconds to wait. Slower requests continue in their threads, which a Lambda function suspends between
            its response and the next request. Failures are logged.

    Returns:
        The ids of connections found to be closed in this time.
    """
    requests = {
        _get_executor().submit(_post_or_log, connection_id, text): connection_id for connection_id, text in texts
    }
    done, _ = wait(requests, timeout=timeout)
    return [requests[request] for request in done if not request.result()]


def _post_or_log(connection_id: str, text: str) -> bool:
    """Return False if the client has disconnected."""
    try:
        return _send_request("POST", connection_id, text.encode()) != STATUS_GONE
    except PushError as error:
        logger.warning("socket not written to", extra={"ids": {"status": error.status}})
        return True


@cache
def _get_executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MAX_WORKERS, "ws-push")


def _send_request(method: str, connection_id: str, body: bytes = b"") -> int:
    url = urlsplit(settings.ws_endpoint_url)
    path = f"{url.path}/@connections/{quote(connection_id, safe='')}"
    credentials = sigv4.load_credentials(settings, "execute-api")
    timestamp = sigv4.format_timestamp(clock.now())
    headers = sigv4.sign_headers(credentials, timestamp, url.netloc, {}, body, method=method, path=path)
    for attempts_left in reversed(range(MAX_ATTEMPTS)):
        connection = _get_connection()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            response.read()
            break
        except (OSError, HTTPException) as error:
            connection.close()
            if not attempts_left or isinstance(error, TimeoutError):
                raise PushError(0) from error
    if response.status >= 300 and response.status != STATUS_GONE:
        raise PushError(response.status)
    return response.status


def _get_connection() -> HTTPConnection:
    """Return this thread's connection to the present endpoint; http.client reopens it after it was closed."""
    endpoint = settings.ws_endpoint_url
    current: tuple[str, HTTPConnection] | None = getattr(_thread_state, "connection", None)
    if current is None or current[0] != endpoint:
        if current:
            current[1].close()
        url = urlsplit(endpoint)
        connection_class = HTTPSConnection if url.scheme == "https" else HTTPConnection
        connection = connection_class(url.netloc, timeout=settings.ws_timeout_seconds)
        current = _thread_state.connection = (endpoint, connection)
    return current[1]
