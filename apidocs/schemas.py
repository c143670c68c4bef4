"""Generate JSON Schemas of request and response models."""

import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

Schema = dict[str, Any]
REF_PREFIX = "#/components/schemas/"


# Pydantic does not translate these constraints if a validator is between them and the type.
JSON_SCHEMA_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}

ANNOTATIONS = ("title", "description", "default", "examples")
EMPTY_SCHEMA: Schema = {"enum": [None, "", 0, "0", "null", "undefined"]}
EMPTY_TEXT_SCHEMA: Schema = {"enum": ["", "0", "null", "undefined"]}


class WireSchema(GenerateJsonSchema):
    """Pydantic's generator without redundant titles. All keys of a response are required."""

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        return {JSON_SCHEMA_LIMITS.get(name, name): value for name, value in super().generate_inner(schema).items()}

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # Pydantic's signature
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return {name: value for name, value in super().model_schema(schema).items() if name != "title"}

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        return {name: value for name, value in super().typed_dict_schema(schema).items() if name != "title"}

    def field_is_required(self, field: Any, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)

    def model_field_schema(self, schema: core_schema.ModelField) -> JsonSchemaValue:
        described = super().model_field_schema(schema)
        others = _list_aliases(schema.get("validation_alias"))[1:]
        if self.mode == "validation" and others:
            also = "也接受 " + "、".join(f"`{name}`" for name in others)
            description = described.get("description")
            described = {**described, "description": f"{description}。{also}" if description else also}
        if self.mode == "validation" and not self.field_is_required(schema, total=True):
            described = _allow_empty(described)
        return described


class Schemas:
    """The schemas of several types; definitions that they share exist once."""

    def __init__(self, types: Iterable[tuple[str, Literal["validation", "serialization"], Any]]) -> None:
        inputs: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
            (key, mode, kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)) for key, mode, kind in types
        ]
        schemas, shared = TypeAdapter.json_schemas(
            inputs, ref_template=REF_PREFIX + "{model}", schema_generator=WireSchema
        )
        self._of: dict[str, Schema] = {str(key): dict(schema) for (key, _), schema in schemas.items()}
        self.shared: dict[str, Schema] = shared.get("$defs", {})

    def get(self, key: str) -> Schema:
        """Return the schema of a type."""
        return self._of[key]

    def resolve(self, schema: Schema) -> Schema:
        """Return the definition that a schema refers to, or the schema itself if it is no reference."""
        while "$ref" in schema:
            schema = {**self.shared[schema["$ref"].removeprefix(REF_PREFIX)], **_remove_key(schema, "$ref")}
        return schema

    def find_used(self, document: Any) -> dict[str, Schema]:
        """Return the shared definitions that a document refers to, directly or indirectly."""
        found: dict[str, Schema] = {}
        pending = [document]
        while pending:
            text = json.dumps(pending.pop())
            for name, schema in self.shared.items():
                if name not in found and f'"{REF_PREFIX}{name}"' in text:
                    found[name] = schema
                    pending.append(schema)
        return dict(sorted(found.items()))


def _allow_empty(schema: Schema) -> Schema:
    """Add the empty values of an optional field, which http/validation.py accepts."""
    annotations = {name: value for name, value in schema.items() if name in ANNOTATIONS}
    constraints = {name: value for name, value in schema.items() if name not in ANNOTATIONS}
    options = constraints["anyOf"] if constraints.keys() == {"anyOf"} else [constraints]
    return {"anyOf": [*(one for one in options if one != {"type": "null"}), EMPTY_SCHEMA], **annotations}


def remove_null(schema: Schema) -> Schema:
    """Remove null from a schema of a header or query parameter: the parameter is left out instead."""
    options = [
        EMPTY_TEXT_SCHEMA if option == EMPTY_SCHEMA else option
        for option in schema.get("anyOf", [])
        if option != {"type": "null"}
    ]
    if len(options) == 1:
        schema = {**options[0], **_remove_key(schema, "anyOf")}
    elif options:
        schema = {**schema, "anyOf": options}
    return _remove_key(schema, "default") if schema.get("default", "") is None else schema


def _remove_key(schema: Schema, name: str) -> Schema:
    return {key: value for key, value in schema.items() if key != name}


def _list_aliases(alias: Any) -> list[str]:
    """Return the aliases of a field: Pydantic stores one as text, and several as a list of paths."""
    if not isinstance(alias, list):
        return [alias] if alias else []
    return [str(path[0]) for path in alias if isinstance(path, list)]
