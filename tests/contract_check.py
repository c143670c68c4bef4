"""The contract of all 99 endpoints, and whether an answer, or the schema of an answer, keeps it.

    contract_check.check_answer("GET", "/pati_service/book_service/book/12", body["data"])

Where the contract says envelope2 (the messagecenter), hand over the whole body instead of its data.
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
PAGE = [{"name": name, "type": "integer"} for name in ("page_num", "page_size", "total", "pages")]
# These four answer null where there is no session or no message yet; other objects are always there.
MAY_BE_NULL = {
    f"/msg_service/msg/{side}/{what}" for side in ("patient", "doctor") for what in ("new_session", "new_msg")
}

# What is not there is null, except that text is "" and a list [].
NEVER_NULL = {"string", "list"}
ALLOWED = {
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
NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}


def find(method: str, path: str) -> Entry | None:
    """Return the contract of an endpoint, asked for by its path as declared or as called; None if it is ours alone."""
    for entry in CONTRACT:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(entry["path"]))
        if entry["method"] == method and re.fullmatch(pattern, path.partition("?")[0]):
            return entry
    return None


def check_answer(method: str, path: str, data: Any) -> None:
    """Fail unless the decoded `data` of a success has the contract's fields, each of its type."""
    entry = find(method, path)
    problems = list(answer_problems(entry, data)) if entry else []
    assert problems == [], f"{method} {path} breaks the contract: " + "; ".join(problems)


def answer_problems(entry: Entry, data: Any) -> Iterator[str]:
    if entry["returns"] == "none":
        yield from [] if data is None else ["data: must be null"]
    elif entry["returns"] == "stream" and data and "Msg" in data:
        yield from (problem for one in data["Msg"] for problem in _value(_whole(entry), one))
    elif entry["returns"] != "binary":
        yield from _value(_whole(entry), data)
        if data is None and not _may_be_null(entry):
            yield "data: must not be null"


def schema_problems(entry: Entry, schema: dict[str, Any], raw: str = "") -> Iterator[str]:
    """Hold the JSON Schema of an answer against the contract. `raw`: the content type of one in no envelope."""
    answer = _AnswerSchema(schema.get("$defs", {}))
    if entry["returns"] == "none":
        yield from [] if answer.types(schema) == {"null"} else ["data: must be null"]
    elif entry["returns"] == "binary":
        yield from [] if raw and not raw.startswith("application/json") else ["must be no JSON"]
    elif entry["returns"] == "stream":  # one message, which may be the only answer, in a list, or none
        yield from answer.value(_whole(entry), schema["$defs"]["Single"])
    elif entry["returns"] == "envelope2":
        fields = [field for field in entry["response"] if field["name"] in ("data", "count")]  # the others are web.py's
        counted = {"name": "", "type": "object", "items": fields}
        if answer.part(schema, "properties").keys() == {"data", "count"}:
            yield from answer.value(counted, schema)
    else:
        yield from answer.value(_whole(entry), schema)
        if "null" in answer.types(schema) and not _may_be_null(entry):
            yield "data: must not be null"


def _may_be_null(entry: Entry) -> bool:
    return entry["returns"] == "stream" or entry["path"] in MAY_BE_NULL


def _whole(entry: Entry) -> Field:
    """The whole of `data`, described as a field."""
    fields: list[Field] = entry["response"]
    kind = entry["returns"]
    if kind == "page":
        fields = [*PAGE, {"name": "list", "type": "list", "items": fields}]
    return {"name": "data", "type": kind if kind in ALLOWED else "object", "items": fields}


def _value(field: Field, value: Any, where: str = "") -> Iterator[str]:
    where, kind = where + field["name"], field["type"]
    type_name = NAMES.get(type(value), "null")
    if kind == "any" or (value is None and kind not in NEVER_NULL):
        return
    if type_name not in ALLOWED[kind]:
        yield f"{where}: {type_name} instead of {kind}"
    elif "options" in field and value not in field["options"]:
        yield f"{where}: {value!r} is none of {field['options']}"
    elif kind in FORMATS and not _is_moment(FORMATS[kind], value):
        yield f"{where}: {value!r} is not written {FORMATS[kind]}"
    elif kind == "object":
        yield from _fields(field.get("items", []), value, where)
    elif kind == "list":
        for number, element in enumerate(value):
            yield from _element(field.get("items", []), element, f"{where}[{number}]")


def _element(items: Any, element: Any, where: str) -> Iterator[str]:
    if isinstance(items, str):
        yield from _value({"name": "", "type": items}, element, where)
    elif isinstance(element, dict):
        yield from _fields(items, element, where)
    else:
        yield f"{where}: {NAMES.get(type(element), 'null')} instead of object"


def _fields(fields: list[Field], value: dict[str, Any], where: str) -> Iterator[str]:
    for field in fields:
        if field["name"] in value:
            yield from _value(field, value[field["name"]], f"{where}.")
        else:
            yield f"{where}.{field['name']}: missing"


def _is_moment(form: str, text: str) -> bool:
    try:
        return datetime.strptime(text, form).strftime(form) == text
    except ValueError:
        return False


class _AnswerSchema:
    def __init__(self, definitions: dict[str, Any]) -> None:
        self.definitions = definitions

    def value(self, field: Field, schema: dict[str, Any], where: str = "") -> Iterator[str]:
        where, kind = where + field["name"], field["type"]
        if kind == "any":
            return
        types = self.types(schema)
        null = set() if kind in NEVER_NULL else {"null"}
        if not types & ALLOWED[kind] or types - ALLOWED[kind] - null:
            yield f"{where}: {' or '.join(sorted(types))} instead of {kind}"
        elif kind == "object":
            yield from self.fields(field.get("items", []), schema, where)
        elif kind == "list":
            yield from self.element(field.get("items", []), self.part(schema, "items"), where)

    def element(self, items: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
        if isinstance(items, str):
            yield from self.value({"name": "[]", "type": items}, schema, where)
        else:
            yield from self.value({"name": "[]", "type": "object", "items": items}, schema, where)
            yield from [f"{where}[]: may be null"] if "null" in self.types(schema) else []

    def fields(self, fields: list[Field], schema: dict[str, Any], where: str) -> Iterator[str]:
        properties = self.part(schema, "properties")
        for field in fields:
            if field["name"] in properties:
                yield from self.value(field, properties[field["name"]], f"{where}.")
            else:
                yield f"{where}.{field['name']}: missing"

    def part(self, schema: dict[str, Any], name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = [option[name] for option in self.options(schema) if name in option]
        return found[0] if found else {}

    def types(self, schema: dict[str, Any]) -> set[str]:
        return {option.get("type", "anything") for option in self.options(schema)}

    def options(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The schemas that this one leaves the choice of."""
        if "$ref" in schema:
            yield from self.options(self.definitions[schema["$ref"].rpartition("/")[2]])
        elif "anyOf" in schema or "oneOf" in schema:
            for option in schema.get("anyOf", []) + schema.get("oneOf", []):
                yield from self.options(option)
        else:
            yield schema
