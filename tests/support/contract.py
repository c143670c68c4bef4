"""Check responses, and schemas of responses, against the contract of all 99 endpoints.

    contract.check_response("GET", "/pati_service/book_service/book/12", body["data"])

For endpoints whose contract says envelope2 (the messagecenter), pass the whole body instead of its data.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
Field = dict[str, Any]

CONTRACT: list[Entry] = json.loads((Path(__file__).parent / "contract.json").read_text("utf-8"))
PAGE_FIELDS = [{"name": name, "type": "integer"} for name in ("page_num", "page_size", "total", "pages")]
# These four return null if there is no session or no message yet; other objects are never null.
NULLABLE_PATHS = {
    f"/msg_service/msg/{side}/{what}" for side in ("patient", "doctor") for what in ("new_session", "new_msg")
}

# A missing value is null, except that a text is "" and a list []; unless a document says that the text is null
# ("nullable" in contract.json).
NEVER_NULL_TYPES = {"string", "list"}
JSON_TYPES = {
    "string": {"string"},
    "integer": {"integer"},
    "number": {"integer", "number"},
    "boolean": {"boolean"},
    "date": {"string"},
    "datetime": {"string"},
    "object": {"object"},
    "list": {"array"},
}
FORMATS = {"date": "%Y-%m-%d", "datetime": "%Y-%m-%d %H:%M:%S"}
TYPE_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}


def find(method: str, path: str) -> Entry | None:
    """Return the contract of an endpoint, given its path as declared or as called; None if the contract has none."""
    for entry in CONTRACT:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(entry["path"]))
        if entry["method"] == method and re.fullmatch(pattern, path.partition("?")[0]):
            return entry
    return None


def check_response(method: str, path: str, data: Any) -> None:
    """Fail unless the decoded `data` of a success has the contract's fields, each of its type."""
    entry = find(method, path)
    problems = list(find_response_problems(entry, data)) if entry else []
    assert problems == [], f"{method} {path} breaks the contract: " + "; ".join(problems)


def find_response_problems(entry: Entry, data: Any) -> Iterator[str]:
    if entry["returns"] == "none":
        yield from [] if data is None else ["data: must be null"]
    elif entry["returns"] == "stream" and data and "Msg" in data:
        yield from (problem for one in data["Msg"] for problem in _check_value(_build_data_field(entry), one))
    elif entry["returns"] != "binary":
        yield from _check_value(_build_data_field(entry), data)
        if data is None and not _is_nullable(entry):
            yield "data: must not be null"


def find_schema_problems(entry: Entry, schema: dict[str, Any], raw: str = "") -> Iterator[str]:
    """Yield the differences between the JSON Schema of a response and the contract.

    Args:
        raw: content type of a response without an envelope.
    """
    checker = _ResponseSchemaChecker(schema.get("$defs", {}))
    if entry["returns"] == "none":
        yield from [] if checker.list_types(schema) == {"null"} else ["data: must be null"]
    elif entry["returns"] == "binary":
        yield from [] if raw and not raw.startswith("application/json") else ["must not be JSON"]
    elif entry["returns"] == "stream":  # a single message, a list or nothing
        yield from checker.check_value(_build_data_field(entry), schema["$defs"]["PollOneResponse"])
    elif entry["returns"] == "envelope2":
        fields = [
            field for field in entry["response"] if field["name"] in ("data", "count")
        ]  # the others are added by http/envelopes.py
        counted = {"name": "", "type": "object", "items": fields}
        if checker.find_part(schema, "properties").keys() == {"data", "count"}:
            yield from checker.check_value(counted, schema)
    else:
        yield from checker.check_value(_build_data_field(entry), schema)
        if "null" in checker.list_types(schema) and not _is_nullable(entry):
            yield "data: must not be null"


def _is_nullable(entry: Entry) -> bool:
    return entry["returns"] == "stream" or entry["path"] in NULLABLE_PATHS


def _build_data_field(entry: Entry) -> Field:
    """Return `data` described as a field."""
    fields: list[Field] = entry["response"]
    kind = entry["returns"]
    if kind == "page":
        fields = [*PAGE_FIELDS, {"name": "list", "type": "list", "items": fields}]
    return {"name": "data", "type": kind if kind in JSON_TYPES else "object", "items": fields}


def _check_value(field: Field, value: Any, location: str = "") -> Iterator[str]:
    location, kind = location + field["name"], field["type"]
    type_name = TYPE_NAMES.get(type(value), "null")
    if kind == "any" or (value is None and _may_be_null(field)):
        return
    if type_name not in JSON_TYPES[kind]:
        yield f"{location}: {type_name} instead of {kind}"
    elif "options" in field and value not in field["options"]:
        yield f"{location}: {value!r} is none of {field['options']}"
    elif kind in FORMATS and not _matches_format(FORMATS[kind], value):
        yield f"{location}: {value!r} does not have the format {FORMATS[kind]}"
    elif kind == "object":
        yield from _check_fields(field.get("items", []), value, location)
    elif kind == "list":
        for number, element in enumerate(value):
            yield from _check_element(field.get("items", []), element, f"{location}[{number}]")


def _may_be_null(field: Field) -> bool:
    return field["type"] not in NEVER_NULL_TYPES or field.get("nullable", False)


def _check_element(items: Any, element: Any, location: str) -> Iterator[str]:
    if isinstance(items, str):
        yield from _check_value({"name": "", "type": items}, element, location)
    elif isinstance(element, dict):
        yield from _check_fields(items, element, location)
    else:
        yield f"{location}: {TYPE_NAMES.get(type(element), 'null')} instead of object"


def _check_fields(fields: list[Field], value: dict[str, Any], location: str) -> Iterator[str]:
    for field in fields:
        if field["name"] in value:
            yield from _check_value(field, value[field["name"]], f"{location}.")
        else:
            yield f"{location}.{field['name']}: missing"


def _matches_format(form: str, text: str) -> bool:
    try:
        return datetime.strptime(text, form).strftime(form) == text
    except ValueError:
        return False


class _ResponseSchemaChecker:
    def __init__(self, definitions: dict[str, Any]) -> None:
        self.definitions = definitions

    def check_value(self, field: Field, schema: dict[str, Any], location: str = "") -> Iterator[str]:
        location, kind = location + field["name"], field["type"]
        if kind == "any":
            return
        types = self.list_types(schema)
        null = {"null"} if _may_be_null(field) else set()
        if not types & JSON_TYPES[kind] or types - JSON_TYPES[kind] - null:
            yield f"{location}: {' or '.join(sorted(types))} instead of {kind}"
        elif kind == "object":
            yield from self.check_fields(field.get("items", []), schema, location)
        elif kind == "list":
            yield from self.check_element(field.get("items", []), self.find_part(schema, "items"), location)

    def check_element(self, items: Any, schema: dict[str, Any], location: str) -> Iterator[str]:
        if isinstance(items, str):
            yield from self.check_value({"name": "[]", "type": items}, schema, location)
        else:
            yield from self.check_value({"name": "[]", "type": "object", "items": items}, schema, location)
            yield from [f"{location}[]: may be null"] if "null" in self.list_types(schema) else []

    def check_fields(self, fields: list[Field], schema: dict[str, Any], location: str) -> Iterator[str]:
        properties = self.find_part(schema, "properties")
        for field in fields:
            if field["name"] in properties:
                yield from self.check_value(field, properties[field["name"]], f"{location}.")
            else:
                yield f"{location}.{field['name']}: missing"

    def find_part(self, schema: dict[str, Any], name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = [option[name] for option in self.iter_options(schema) if name in option]
        return found[0] if found else {}

    def list_types(self, schema: dict[str, Any]) -> set[str]:
        return {option.get("type", "anything") for option in self.iter_options(schema)}

    def iter_options(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the alternatives of a schema, with references resolved."""
        if "$ref" in schema:
            yield from self.iter_options(self.definitions[schema["$ref"].rpartition("/")[2]])
        elif "anyOf" in schema or "oneOf" in schema:
            for option in schema.get("anyOf", []) + schema.get("oneOf", []):
                yield from self.iter_options(option)
        else:
            yield schema
