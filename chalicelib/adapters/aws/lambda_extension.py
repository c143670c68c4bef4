"""Internal Lambda extension: the function goes on running after its response, until background work is done.

Lambda returns the handler's response at once, and suspends the process when the runtime and every extension have
requested the next event. A thread of this process is such an extension; it requests the next event when the handler has
returned and the work is done. If that thread ended, Lambda would wait for it until the function's timeout, at every
invocation; then the process ends instead, and Lambda starts another one.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

import json
import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

from chalicelib import clock
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

PATH = "/2020-01-01/extension"
NAME = "finish-background-work"
REGISTRATION_TIMEOUT_SECONDS = 1.0
MAX_WORK_SECONDS = 10.0  # after the response
RESERVE_SECONDS = 0.5  # before the function's timeout, at which Lambda would stop the process

_handler_returned = threading.Condition()
_last_request_id = ""  # of the invocation whose handler returned last
_is_running = False


def start(wait_until_done: Callable[[float], object]) -> None:
    """Register the extension, which is possible only while the function is initialised, and start its thread.

    If Lambda does not accept it, this is logged, and `is_running` stays False.

    Args:
        wait_until_done: waits for the background work, at most so many seconds.
    """
    global _is_running
    from http.client import HTTPException  # which Lambda's runtime has imported already; elsewhere it would be too much

    try:
        identifier = _register()
    except (OSError, HTTPException) as error:
        logger.error("extension not registered", extra={"ids": {"error": type(error).__name__}})
        return
    _is_running = True
    threading.Thread(target=_run, args=(identifier, wait_until_done), name="extension", daemon=True).start()


def is_running() -> bool:
    """Return whether work continues after the response."""
    return _is_running


def end_invocation(request_id: str) -> None:
    """Report that the handler of an invocation returns. Every invocation of a function with the extension must."""
    global _last_request_id
    with _handler_returned:
        _last_request_id = request_id
        _handler_returned.notify_all()


def _run(identifier: str, wait_until_done: Callable[[float], object]) -> None:
    try:
        while True:
            event = _request_next_event(identifier)
            _wait_for_handler(event["requestId"], event["deadlineMs"])
            wait_until_done(min(MAX_WORK_SECONDS, _get_seconds_left(event["deadlineMs"])))
    except BaseException:
        logger.exception("extension failed")
        _end_process()


def _wait_for_handler(request_id: str, deadline_ms: int) -> None:
    with _handler_returned:
        _handler_returned.wait_for(lambda: _last_request_id == request_id, _get_seconds_left(deadline_ms))


def _get_seconds_left(deadline_ms: int) -> float:
    return max(deadline_ms / 1000 - clock.now() / clock.SECOND - RESERVE_SECONDS, 0.0)


def _register() -> str:
    """Return the identifier with which the extension requests events."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(settings.lambda_runtime_api, timeout=REGISTRATION_TIMEOUT_SECONDS)
    headers = {"Lambda-Extension-Name": NAME, "Content-Type": "application/json"}
    try:
        connection.request("POST", f"{PATH}/register", json.dumps({"events": ["INVOKE"]}), headers)
        response = connection.getresponse()
        response.read()
        identifier = response.headers.get("Lambda-Extension-Identifier")
        if response.status != 200 or not identifier:
            raise HTTPException(response.status)
        return identifier
    finally:
        connection.close()


def _request_next_event(identifier: str) -> dict[str, Any]:
    """Report that the work is done, and wait for the next invocation: without timeout, as AWS demands."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(settings.lambda_runtime_api)
    try:
        connection.request("GET", f"{PATH}/event/next", headers={"Lambda-Extension-Identifier": identifier})
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise HTTPException(response.status)
        event: dict[str, Any] = json.loads(content)
        return event
    finally:
        connection.close()


def _end_process() -> None:
    signal.raise_signal(signal.SIGKILL)
