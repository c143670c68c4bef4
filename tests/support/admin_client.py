"""Requests of admins about lists, exports and refunds."""

from typing import Any

from tests.support.client import ApiResponse, get, post
from tests.support.factories import Person

STAFF_PATH = "/pati_service/manager_service"


def read_list(person: Person, name: str, **query: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/{name}", person.token, **query)


def list_all(person: Person, name: str, **query: Any) -> list[dict[str, Any]]:
    """Return a list with up to 100 entries."""
    return list(read_list(person, name, page_size=100, **query).data["list"])


def list_pages(person: Person, name: str, page_size: int, **query: Any) -> list[list[dict[str, Any]]]:
    """Return all pages of a list."""
    pages, before = [], ""
    while True:
        page = read_list(person, name, page_size=page_size, before=before, **query).data
        pages.append(page["list"])
        before = page["next"]
        if not before:
            return pages


def send(person: Person, name: str, headers: dict[str, str] | None = None, **body: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/{name}", person.token, headers, **body)
