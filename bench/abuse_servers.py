"""Servers of bin/bench abuse: python -m bench.abuse_servers [--reject] PORT [PORT ...]

Each port has a process of its own, which handles one request at a time, as a Lambda function does. With --reject they
answer 429 to every request and WebSocket, without any work.
"""

import os
import sys
from threading import Thread
from typing import Any

from app import app
from bench.console import silence_app_logs
from bench.peers import http_front
from chalicelib.errors import RATE_LIMITED
from chalicelib.http import envelopes

REJECTION = {
    "statusCode": RATE_LIMITED.status,
    "headers": {"Content-Type": "application/json; charset=utf-8", "Retry-After": "1"},
    "multiValueHeaders": {},
    "body": envelopes.wrap_error("/", RATE_LIMITED, RATE_LIMITED.text),
}


class RejectingApp:
    """What http_front uses of an app."""

    websocket_handlers = app.websocket_handlers
    handler_map = dict.fromkeys(app.handler_map, lambda *_: {"statusCode": RATE_LIMITED.status})

    def __call__(self, _event: Any, _context: Any) -> dict[str, Any]:
        """Return the result of a Lambda that rejects a request."""
        return REJECTION


def main(arguments: list[str]) -> None:
    """Serve until this process ends."""
    silence_app_logs()
    if "--reject" in arguments:
        http_front.app = RejectingApp()  # type: ignore[attr-defined,assignment]  # it has what the front uses of Chalice
    first, *others = [int(one) for one in arguments if one.isdigit()]
    parent_lives, _held_open = os.pipe()
    for port in others:
        if not os.fork():
            os.close(_held_open)
            Thread(target=_exit_with_parent, args=(parent_lives,), daemon=True).start()
            http_front.serve(port)
    http_front.serve(first)


def _exit_with_parent(parent_lives: int) -> None:
    os.read(parent_lives, 1)  # returns when no process holds the other end open
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
