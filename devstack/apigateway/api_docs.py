"""Serve the API documentation at GET /docs, with Swagger UI from its Python package instead of a CDN.

If there is demo data, the examples of the document contain its ids, and tokens of its users: they can be executed.
"""

import json
import mimetypes
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from devstack.apigateway import demo_document
from devstack.apigateway.rest_api import HttpRequest, HttpResponse, build_error
from devstack.paths import LOCAL, ROOT

DEMO_FILE = LOCAL / "demo.json"

DOCS_PAGE = """<!doctype html>
<html lang="zh-CN">
<head><meta charset="utf-8"><title>诊讯 API</title><link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "/docs/openapi.json", dom_id: "#api", deepLinking: true, docExpansion: "none",
  tryItOutEnabled: true, persistAuthorization: true});</script></body>
</html>
"""


def find_page(request: HttpRequest) -> HttpResponse | None:
    """Return the page or file of the documentation, or None if the request is for another path."""
    path = unquote(urlsplit(request.target).path).rstrip("/")
    if request.method not in ("GET", "HEAD") or (path != "/docs" and not path.startswith("/docs/")):
        return None
    if path == "/docs":
        return build_response("text/html; charset=utf-8", DOCS_PAGE.encode())
    name = path.removeprefix("/docs/")
    if name == "openapi.json":
        return build_response("application/json", read_document())
    file = find_swagger_file(name)
    if file is None or not file.is_file():
        return build_error(404)
    return build_response(mimetypes.guess_type(name)[0] or "application/octet-stream", file.read_bytes())


def read_document() -> bytes:
    """Return the OpenAPI document, with the ids of the demo data if there is any."""
    content = (ROOT / "docs/openapi.json").read_bytes()
    if not DEMO_FILE.exists():
        return content
    demo = json.loads(DEMO_FILE.read_text("utf-8"))
    return json.dumps(demo_document.insert_demo_values(json.loads(content), demo), ensure_ascii=False).encode()


def find_swagger_file(name: str) -> Path | None:
    """Return the path of a file of Swagger UI. Its package is not imported, because it requires Flask."""
    spec = find_spec("flask_swagger_ui")
    if spec is None or spec.origin is None or "/" in name or name.startswith("."):
        return None
    return Path(spec.origin).parent / "dist" / name


def build_response(content_type: str, body: bytes) -> HttpResponse:
    """Build a response that browsers revalidate."""
    return HttpResponse(200, [("Content-Type", content_type), ("Cache-Control", "no-cache")], body)
