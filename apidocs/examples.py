"""Whole examples put together from those of the fields."""

from typing import Any

from apidocs.schemas import Schema, Schemas

MISSING = object()


def build(schemas: Schemas, schema: Schema) -> Any:
    """Return an example; a field of an answer that has none shows the value that stands for nothing."""
    schema = schemas.resolve(schema)
    given = _find_declared_example(schema)
    if given is not MISSING:
        return given
    if "properties" in schema:
        return {name: build(schemas, field) for name, field in schema["properties"].items()}
    if "anyOf" in schema:
        return build(schemas, schema["anyOf"][0])
    if schema.get("type") == "array":
        item = schemas.resolve(schema.get("items", {}))
        shown = "properties" in item or _find_declared_example(item) is not MISSING
        return [build(schemas, item)] if shown else []
    return {"string": "", "object": {}}.get(schema.get("type", ""))


def build_request(schemas: Schemas, schema: Schema) -> Any:
    """Return an example of a body: what is required, and what is optional and has an example."""
    schema = schemas.resolve(schema)
    required = schema.get("required", [])
    whole = build(schemas, schema)
    if not isinstance(whole, dict) or "properties" not in schema:
        return whole
    fields = schema["properties"]
    return {name: whole[name] for name in fields if name in whole and (name in required or "examples" in fields[name])}


def _find_declared_example(schema: Schema) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    return schema["enum"][0] if schema.get("enum") else MISSING
