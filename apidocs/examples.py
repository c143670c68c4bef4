"""Whole examples put together from those of the fields."""

from typing import Any

from apidocs.schemas import Schema, Schemas

NONE = object()


def of(schemas: Schemas, schema: Schema) -> Any:
    """Return an example; a field of an answer that has none shows the value that stands for nothing."""
    schema = schemas.resolved(schema)
    given = _given(schema)
    if given is not NONE:
        return given
    if "properties" in schema:
        return {name: of(schemas, field) for name, field in schema["properties"].items()}
    if "anyOf" in schema:
        return of(schemas, schema["anyOf"][0])
    if schema.get("type") == "array":
        item = schemas.resolved(schema.get("items", {}))
        shown = "properties" in item or _given(item) is not NONE
        return [of(schemas, item)] if shown else []
    return {"string": "", "object": {}}.get(schema.get("type", ""))


def request(schemas: Schemas, schema: Schema) -> Any:
    """Return an example of a body: what is required, and what is optional and has an example."""
    schema = schemas.resolved(schema)
    required = schema.get("required", [])
    whole = of(schemas, schema)
    if not isinstance(whole, dict) or "properties" not in schema:
        return whole
    fields = schema["properties"]
    return {name: whole[name] for name in fields if name in whole and (name in required or "examples" in fields[name])}


def _given(schema: Schema) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    return schema["enum"][0] if schema.get("enum") else NONE
