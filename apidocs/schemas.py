"""JSON Schemas of the models: what a request may look like, and what an answer does look like."""

import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

Schema = dict[str, Any]
REF_PREFIX = "#/components/schemas/"


# Pydantic leaves these as they are where a validator stands between them and the type.
JSON_SCHEMA_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


class WireSchema(GenerateJsonSchema):
    """Pydantic's own, without titles that repeat the name, and with an answer's keys all present, as they are."""

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
            told = described.get("description")
            described = {**described, "description": f"{told}。{also}" if told else also}
        return described


class Schemas:
    """The schemas of several types at once, so that what they share is described once."""

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
        return self._of[key]

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself where this one only points at it."""
        while "$ref" in schema:
            schema = {**self.shared[schema["$ref"].removeprefix(REF_PREFIX)], **_remove_key(schema, "$ref")}
        return schema

    def find_used(self, document: Any) -> dict[str, Schema]:
        """Those shared schemas that a document points at, and those that they point at in turn."""
        found: dict[str, Schema] = {}
        asked = [document]
        while asked:
            text = json.dumps(asked.pop())
            for name, schema in self.shared.items():
                if name not in found and f'"{REF_PREFIX}{name}"' in text:
                    found[name] = schema
                    asked.append(schema)
        return dict(sorted(found.items()))


def remove_null(schema: Schema) -> Schema:
    """For headers and query strings, which have no null: leaving the field out says the same."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        schema = {**options[0], **_remove_key(schema, "anyOf")}
    elif options:
        schema = {**schema, "anyOf": options}
    return _remove_key(schema, "default") if schema.get("default", "") is None else schema


def _remove_key(schema: Schema, name: str) -> Schema:
    return {key: value for key, value in schema.items() if key != name}


def _list_aliases(alias: Any) -> list[str]:
    """Pydantic writes one alias as text, and several as a list of paths."""
    if not isinstance(alias, list):
        return [alias] if alias else []
    return [str(path[0]) for path in alias if isinstance(path, list)]
