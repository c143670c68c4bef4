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

AT_ONCE = 16
GONE = 410
TRIES = 2  # a kept connection may have been closed meanwhile
_kept = threading.local()


class Failed(Exception):
    """It could not be said, or not in time; the status is 0 where nothing was answered."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def post(connection_id: str, text: str) -> bool:
    """Write a text to a client; False where it has gone. Raises Failed."""
    return _writers().submit(_call, "POST", connection_id, text.encode()).result() != GONE


def close(connection_id: str) -> bool:
    """End a client's connection; False where it has gone already. Raises Failed."""
    return _writers().submit(_call, "DELETE", connection_id).result() != GONE


def post_all(texts: Iterable[tuple[str, str]], patience: float) -> list[str]:
    """Write (connection, text) to many clients; return the connections that have gone, as far as known in time.

    What takes longer than `patience` seconds is not waited for: it goes on in its thread, which in a function stands
    still from the answer to the next request. What fails is logged.
    """
    asked = {_writers().submit(_attempt, connection_id, text): connection_id for connection_id, text in texts}
    done, _ = wait(asked, timeout=patience)
    return [asked[one] for one in done if _is_gone(one)]


def _is_gone(one: "Future[bool]") -> bool:
    return not one.result()


def _attempt(connection_id: str, text: str) -> bool:
    """Return False for one that has gone."""
    try:
        return _call("POST", connection_id, text.encode()) != GONE
    except Failed as failed:
        logger.warning("socket not written to", extra={"ids": {"status": failed.status}})
        return True


@cache
def _writers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, "ws-push")


def _call(method: str, connection_id: str, body: bytes = b"") -> int:
    url = urlsplit(settings.ws_endpoint_url)
    path = f"{url.path}/@connections/{quote(connection_id, safe='')}"
    keys = sigv4.Keys(settings.access_key, settings.secret_key, settings.session_token, settings.region, "execute-api")
    at = sigv4.stamp(clock.now())
    headers = sigv4.authorized(keys, at, url.netloc, {}, body, method=method, path=path)
    for left in reversed(range(TRIES)):
        line = _line()
        try:
            line.request(method, path, body, headers)
            answer = line.getresponse()
            answer.read()
            break
        except (OSError, HTTPException) as error:
            line.close()
            if not left or isinstance(error, TimeoutError):
                raise Failed(0) from error
    if answer.status >= 300 and answer.status != GONE:
        raise Failed(answer.status)
    return answer.status


def _line() -> HTTPConnection:
    """This writer's connection; http.client opens it again where it was closed."""
    url = urlsplit(settings.ws_endpoint_url)
    kept: tuple[str, HTTPConnection] | None = getattr(_kept, "line", None)
    if kept is None or kept[0] != settings.ws_endpoint_url:
        if kept:
            kept[1].close()
        made = HTTPSConnection if url.scheme == "https" else HTTPConnection
        kept = _kept.line = (settings.ws_endpoint_url, made(url.netloc, timeout=settings.ws_timeout))
    return kept[1]
