"""Requests of the demo data to the app's own endpoints, without a server.

Those that create something carry an idempotency key, so a repeated run finds what an earlier one created.
"""

import json
from typing import Any
from urllib.parse import urlencode

from chalice.local import RouteMatcher

from app import app
from devstack.apigateway import rest_api
from devstack.apigateway.rest_api import HttpRequest

Fields = dict[str, Any]

STAFF_PATH, PATIENT_PATH = "/pati_service/manager_service", "/pati_service/patient_service"
BOOK_PATH = "/pati_service/book_service"


class RejectedRequestError(Exception):
    """The app rejected a request."""


def get(path: str, token: str, **query: Any) -> Any:
    """Return `data` of the response to a GET request. Raises as `send`."""
    return send("GET", f"{path}?{urlencode(query)}", [("token", token)], b"")


def post(path: str, token: str, key: str = "demo", **body: Any) -> Any:
    """Return `data` of the response to a POST request. Raises as `send`.

    Args:
        key: the idempotency key.
    """
    headers = [("token", token), ("Idempotency-Key", f"demo-{key}"), ("Content-Type", "application/json")]
    return send("POST", path, headers, json.dumps(body).encode())


def send(method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Any:
    """Return `data` of the response.

    Raises:
        RejectedRequestError: the request was rejected.
    """
    request = HttpRequest(method, target, headers, body, "127.0.0.1")
    response = rest_api.handle_request(app, RouteMatcher(list(app.routes)), request)
    if response.status != 200:
        raise RejectedRequestError(f"{method} {target}: {response.body.decode()}")
    return json.loads(response.body)["data"]
