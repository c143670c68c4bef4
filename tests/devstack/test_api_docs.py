"""/docs is readable without any other server."""

import json
import re

import pytest

from devstack.apigateway import api_docs
from devstack.apigateway.rest_api import HttpRequest, HttpResponse


def get(path: str, method: str = "GET") -> HttpResponse | None:
    return api_docs.find_page(HttpRequest(method, path, [], b"", "127.0.0.1"))


def test_the_page_and_all_it_names_are_here() -> None:
    page = get("/docs/")
    assert page
    named = re.findall(r'(?:src|href|url)[=:] ?"([^"]+)"', page.body.decode())
    assert len(named) == 3
    for path in named:
        answer = get(path)
        assert answer
        assert answer.status == 200
        assert answer.body


def test_the_viewer_knows_openapi_3_1_and_the_document_is_one() -> None:
    bundle, document = get("/docs/swagger-ui-bundle.js"), get("/docs/openapi.json")
    assert bundle
    assert b"openapi31" in bundle.body.lower()
    assert document
    assert json.loads(document.body)["openapi"] == "3.1.0"


@pytest.mark.parametrize("path", ["/docs/../app.py", "/docs/%2e%2e/__init__.py", "/docs/.", "/docs/none.js"])
def test_nothing_else_is_served(path: str) -> None:
    answer = get(path)
    assert answer
    assert answer.status == 404


@pytest.mark.parametrize(("path", "method"), [("/docsx", "GET"), ("/", "GET"), ("/docs", "POST")])
def test_other_requests_are_the_apps(path: str, method: str) -> None:
    assert get(path, method) is None
