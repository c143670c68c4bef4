"""A client that knows nothing but the tables of the protocol documents: names, places and types of request fields.

It sends the fields that it is given in their documented types, and the optional fields that it is not given in one of
the ways in which clients leave them empty. Each response is checked against the tables.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

import requests

from tests.support import contract
from tests.support.contract import Field


class Style(StrEnum):
    """How a client sends bodies, and optional fields for which it has no value."""

    FORM = "form"  # omitted
    FORM_EMPTY = "form, empty texts"
    JSON = "json"  # omitted
    JSON_NULL = "json, null"
    JSON_ZERO = "json, zero values"  # of the documented type, as clients in Go send them


ZERO_VALUES: dict[str, Any] = {"string": "", "integer": 0, "boolean": False, "date": "", "list": None}


@dataclass(frozen=True)
class DocumentedClient:
    """A client of the served app."""

    url: str
    style: Style
    session: requests.Session

    @property
    def sends_forms(self) -> bool:
        return self.style in (Style.FORM, Style.FORM_EMPTY)

    def get(self, path: str, headers: dict[str, str], **fields: Any) -> Any:
        return self.call("GET", path, headers, fields)

    def post(self, path: str, headers: dict[str, str], **fields: Any) -> Any:
        return self.call("POST", path, headers, fields)

    def call(self, method: str, path: str, headers: dict[str, str], fields: dict[str, Any]) -> Any:
        """Send a request and return `data` of the response, which must be a success.

        Args:
            path: as documented; its parameters are taken from `fields`.
            headers: the credentials.
            fields: values by documented name, in any type.
        """
        entry = contract.find(method, path)
        assert entry, path
        assert fields.keys() <= {field["name"] for field in entry["request"]}, "every field is documented"
        places: dict[str, dict[str, Any]] = {"query": {}, "body": {}, "header": {}, "path": {}}
        for field in entry["request"]:
            name = field["name"]
            if name in fields:
                places[field["in"]][name] = convert(field, fields[name])
            elif self.style not in (Style.FORM, Style.JSON):
                assert not field["required"], f"{path}: {name} is required"
                places[field["in"]][name] = self.build_empty(field)
        response = self.session.request(
            method,
            self.url + path.format(**places["path"]),
            params={name: "" if value is None else value for name, value in places["query"].items()},
            data=self.encode_body(places["body"]) if method == "POST" else None,
            headers=headers | self.build_headers(method, places["header"]),
            timeout=30,
        )
        assert response.status_code == 200, f"{method} {path}: {response.text}"
        if not response.headers["Content-Type"].startswith("application/json"):
            return response.content
        body = response.json()
        contract.check_response(method, path, body if entry["returns"] == "envelope2" else body["data"])
        return body["data"]

    def build_empty(self, field: Field) -> Any:
        if self.style == Style.FORM_EMPTY:
            return ""
        return None if self.style == Style.JSON_NULL else ZERO_VALUES[field["type"]]

    def build_headers(self, method: str, named: dict[str, Any]) -> dict[str, str]:
        kind = "application/x-www-form-urlencoded" if self.sends_forms else "application/json"
        texts = {name: "" if value is None else str(value) for name, value in named.items()}
        return texts | ({"Content-Type": kind} if method == "POST" else {})

    def encode_body(self, body: dict[str, Any]) -> bytes:
        if not self.sends_forms:
            return json.dumps(body).encode()
        return urlencode({name: encode_form_value(value) for name, value in body.items()}, doseq=True).encode()


def convert(field: Field, value: Any) -> Any:
    """Return a value in the documented type of its field."""
    match field["type"]:
        case "integer":
            return int(value)
        case "boolean":
            return bool(value)
        case "list" if isinstance(field["items"], str):
            return [str(one) for one in value]
        case "list":
            types = {item["name"]: item for item in field["items"]}
            return [{name: convert(types[name], part) for name, part in one.items()} for one in value]
    return str(value)


def encode_form_value(value: Any) -> Any:
    """Return what urlencode takes: a list of texts is repeated, a list of objects is JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return json.dumps(value)
    return value
