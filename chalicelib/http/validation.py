"""Validate request bodies and queries, with one rule for empty values.

An optional field that is null, "" or 0 (`fields.is_empty`) counts as absent unless that is a valid value of it: clients
in Go send every field they know, forms send "" for what was not filled in, and pages send back what a response
contained. A valid empty value is used: 0 as a price, "" to clear a text. The rule costs nothing for a request without
invalid values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_core import from_json

from chalicelib.http.fields import WireModel, is_empty

M = TypeVar("M", bound=WireModel)


@dataclass(frozen=True)
class RequestField:
    """What validation needs to know of a field."""

    name: str  # in the model
    spellings: tuple[str, ...]  # names under which clients send it
    required: bool
    is_list: bool
    is_structured: bool  # a list or an object
    model: type[BaseModel] | None  # of an object, or of the elements of a list
    example: str  # a valid text, "" if the field has none


def parse_json(model: type[M], text: bytes | str) -> M:
    """Return the model of a JSON object.

    Raises:
        ValidationError: if the text is not JSON, not an object, or has invalid fields.
    """
    try:
        parsed = model.model_validate_json(text)
    except ValidationError:
        fields = _decode_object(text)
        if fields is None:
            raise
        return parse_fields(model, fields)
    return parse_fields(model, from_json(text)) if _has_optional_spellings(model) else parsed


def parse_fields(model: type[M], fields: Mapping[str, Any]) -> M:
    """Return the model of decoded fields: of a JSON object, a form or a query string.

    Raises:
        ValidationError: for invalid fields.
    """
    remaining = _drop_empty_spellings(model, fields)
    while True:
        try:
            return model.model_validate(remaining)
        except ValidationError as error:
            if not _drop_invalid_empty(model, remaining, error):
                raise


@cache
def find_fields(model: type[BaseModel]) -> dict[str, RequestField]:
    """Return the fields of a request model by each of their spellings."""
    found: dict[str, RequestField] = {}
    for name, info in model.model_fields.items():
        alias = info.validation_alias or info.alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        spellings = tuple(dict.fromkeys([*(str(one) for one in choices if one), name]))
        kinds = list(_iter_types(info.annotation))
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        is_list = list in kinds
        field = RequestField(
            name,
            spellings,
            info.is_required(),
            is_list,
            is_list or dict in kinds or bool(models),
            next(iter(models), None),
            next((one for one in info.examples or [] if one and isinstance(one, str)), ""),
        )
        found |= dict.fromkeys(spellings, field)
    return found


def find_field(model: type[BaseModel], location: Sequence[int | str]) -> RequestField | None:
    """Return the field at the location of a validation error, None if it is not a field of a model."""
    field: RequestField | None = None
    kind: type[BaseModel] | None = model
    for step in location:
        if isinstance(step, str):
            field = find_fields(kind).get(step) if kind else None
            kind = field.model if field else None
    return field


def _iter_types(annotation: Any) -> list[Any]:
    inner = [kind for argument in get_args(annotation) for kind in _iter_types(argument)]
    return [get_origin(annotation) or annotation, *inner]


@cache
def _has_optional_spellings(model: type[BaseModel]) -> bool:
    return any(len(field.spellings) > 1 and not field.required for field in find_fields(model).values())


def _decode_object(text: bytes | str) -> dict[str, Any] | None:
    try:
        decoded = from_json(text)
    except ValueError:
        return None
    return decoded if isinstance(decoded, dict) else None


def _drop_empty_spellings(model: type[BaseModel], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields without empty spellings of a field that has another one, which they would hide."""
    remaining = dict(fields)
    known = find_fields(model)
    for name in fields:
        field = known.get(name)
        if field and len(field.spellings) > 1 and is_empty(remaining[name]):
            others = [one for one in field.spellings if one != name and one in remaining]
            if any(not is_empty(remaining[one]) for one in others):
                del remaining[name]
    return remaining


def _drop_invalid_empty(model: type[BaseModel], fields: dict[str, Any], error: ValidationError) -> bool:
    """Remove optional fields whose values are invalid and empty, also nested ones; return whether there were any."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    dropped = [_drop_if_empty(model, fields, problem["loc"]) for problem in problems]
    return any(dropped)


def _drop_if_empty(model: type[BaseModel], fields: dict[str, Any], location: tuple[int | str, ...]) -> bool:
    holder: Any = fields
    kind: type[BaseModel] | None = model
    for step in location:
        if isinstance(holder, list) and isinstance(step, int):
            holder = holder[step]
            continue
        field = find_fields(kind).get(str(step)) if kind and isinstance(holder, dict) and step in holder else None
        if field is None:
            return False
        if is_empty(holder[step]):
            if field.required:
                return False
            del holder[step]
            return True
        holder, kind = holder[step], field.model
    return False
