"""API Gateway's open WebSockets: write to one, ask whether it lives, close it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
Many are written to side by side, over connections that are kept; whoever is slow is not waited for.
"""

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import quote, urlsplit

from chalicelib import clock
from chalicelib.adapters.aws import sigv4
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

MAX_WORKERS = 16
STATUS_GONE = 410
MAX_ATTEMPTS = 2  # a kept connection may have been closed meanwhile
_thread_state = threading.local()


class PushError(Exception):
    """It could not be said, or not in time; the status is 0 where nothing was answered."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def post(connection_id: str, text: str) -> bool:
    """Write a text to a client; False where it has gone. Raises Failed."""
    return _get_executor().submit(_send_request, "POST", connection_id, text.encode()).result() != STATUS_GONE


def close(connection_id: str) -> bool:
    """End a client's connection; False where it has gone already. Raises Failed."""
    return _get_executor().submit(_send_request, "DELETE", connection_id).result() != STATUS_GONE


def post_all(texts: Iterable[tuple[str, str]], patience: float) -> list[str]:
    """Write (connection, text) to many clients; return the connections that have gone, as far as known in time.

    What takes longer than `patience` seconds is not waited for: it goes on in its thread, which in a function stands
    still from the answer to the next request. What fails is logged.
    """
    asked = {_get_executor().submit(_post_or_log, connection_id, text): connection_id for connection_id, text in texts}
    done, _ = wait(asked, timeout=patience)
    return [asked[one] for one in done if _is_gone(one)]


def _is_gone(one: "Future[bool]") -> bool:
    return not one.result()


def _post_or_log(connection_id: str, text: str) -> bool:
    """Return False for one that has gone."""
    try:
        return _send_request("POST", connection_id, text.encode()) != STATUS_GONE
    except PushError as failed:
        logger.warning("socket not written to", extra={"ids": {"status": failed.status}})
        return True


@cache
def _get_executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MAX_WORKERS, "ws-push")


def _send_request(method: str, connection_id: str, body: bytes = b"") -> int:
    url = urlsplit(settings.ws_endpoint_url)
    path = f"{url.path}/@connections/{quote(connection_id, safe='')}"
    keys = sigv4.SigningCredentials(
        settings.access_key, settings.secret_key, settings.session_token, settings.region, "execute-api"
    )
    at = sigv4.format_timestamp(clock.now())
    headers = sigv4.sign_headers(keys, at, url.netloc, {}, body, method=method, path=path)
    for left in reversed(range(MAX_ATTEMPTS)):
        line = _get_connection()
        try:
            line.request(method, path, body, headers)
            answer = line.getresponse()
            answer.read()
            break
        except (OSError, HTTPException) as error:
            line.close()
            if not left or isinstance(error, TimeoutError):
                raise PushError(0) from error
    if answer.status >= 300 and answer.status != STATUS_GONE:
        raise PushError(answer.status)
    return answer.status


def _get_connection() -> HTTPConnection:
    """This writer's connection; http.client opens it again where it was closed."""
    url = urlsplit(settings.ws_endpoint_url)
    kept: tuple[str, HTTPConnection] | None = getattr(_thread_state, "line", None)
    if kept is None or kept[0] != settings.ws_endpoint_url:
        if kept:
            kept[1].close()
        made = HTTPSConnection if url.scheme == "https" else HTTPConnection
        kept = _thread_state.line = (settings.ws_endpoint_url, made(url.netloc, timeout=settings.ws_timeout_seconds))
    return kept[1]
