"""/docs works without other servers."""

import json
import re
from pathlib import Path

import pytest

from devstack.apigateway import api_docs
from devstack.apigateway.rest_api import HttpRequest, HttpResponse


@pytest.fixture(autouse=True)
def no_demo_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(api_docs, "DEMO_FILE", tmp_path / "demo.json")


def get(path: str, method: str = "GET") -> HttpResponse | None:
    return api_docs.find_page(HttpRequest(method, path, [], b"", "127.0.0.1"))


def test_page_and_the_files_it_references_are_served() -> None:
    page = get("/docs/")
    assert page
    urls = re.findall(r'(?:src|href|url)[=:] ?"([^"]+)"', page.body.decode())
    assert len(urls) == 3
    for path in urls:
        response = get(path)
        assert response
        assert response.status == 200
        assert response.body


def test_viewer_supports_the_version_of_the_document() -> None:
    bundle, document = get("/docs/swagger-ui-bundle.js"), get("/docs/openapi.json")
    assert bundle
    assert b"openapi31" in bundle.body.lower()
    assert document
    assert json.loads(document.body)["openapi"] == "3.1.0"


@pytest.mark.parametrize("path", ["/docs/../app.py", "/docs/%2e%2e/__init__.py", "/docs/.", "/docs/none.js"])
def test_other_files_are_not_served(path: str) -> None:
    response = get(path)
    assert response
    assert response.status == 404


@pytest.mark.parametrize(("path", "method"), [("/docsx", "GET"), ("/", "GET"), ("/docs", "POST")])
def test_other_requests_are_passed_to_the_app(path: str, method: str) -> None:
    assert get(path, method) is None
