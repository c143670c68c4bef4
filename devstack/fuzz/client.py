"""The interface through which the data for bin/fuzz is created."""

from typing import Protocol

import requests


class Client(Protocol):
    """A client of the served app with one caller of each role."""

    url: str
    session: requests.Session

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> requests.Response:
        """Send a POST request with a JSON body."""

    def get_headers(self, role: str) -> dict[str, str]:
        """Return the headers that authenticate a caller of this role."""
