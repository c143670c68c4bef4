"""Build examples of requests and responses from the examples of their fields."""

from typing import Any

from apidocs.schemas import Schema, Schemas

MISSING = object()


def build(schemas: Schemas, schema: Schema) -> Any:
    """Return an example of a schema. A response field without an example gets its empty value."""
    schema = schemas.resolve(schema)
    declared = _find_declared_example(schema)
    if declared is not MISSING:
        return declared
    if "properties" in schema:
        return {name: build(schemas, field) for name, field in schema["properties"].items()}
    if "anyOf" in schema:
        return build(schemas, schema["anyOf"][0])
    if schema.get("type") == "array":
        item = schemas.resolve(schema.get("items", {}))
        has_example = "properties" in item or _find_declared_example(item) is not MISSING
        return [build(schemas, item)] if has_example else []
    return {"string": "", "object": {}}.get(schema.get("type", ""))


def build_request(schemas: Schemas, schema: Schema) -> Any:
    """Return an example of a request body: the required fields, and optional fields that have an example."""
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
