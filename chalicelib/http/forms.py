"""Parse application/x-www-form-urlencoded bodies, which older pages send.

A form is a flat object of texts. A list is a repeated field (`a=1&a=2`, or `a[]=1&a[]=2` as jQuery spells it) or its
JSON text; a list of objects is JSON text. Everything else that frameworks encode into names is rejected.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel
from pydantic_core import from_json

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.http.validation import RequestField, find_fields
from chalicelib.http.validation_messages import BODY_LABEL

_NESTED_PATTERN = re.compile(r"[^\[\]]+(?:\[[^\[\]]*\])+")
MAX_FIELDS = 2000  # the longest list of a request has 1,000 elements


def parse(model: type[BaseModel], body: bytes) -> dict[str, Any]:
    """Return the fields of a form, to be validated by the model.

    Raises:
        ApiError: 400 for a body that is not a form, for nested fields, and for repeated fields that are not lists.
    """
    known = find_fields(model)
    fields: dict[str, Any] = {}
    for sent_name, values in _group(body).items():
        name = sent_name.removesuffix("[]")
        field = known.get(name)
        if _NESTED_PATTERN.fullmatch(name):
            raise ApiError(errors.BAD_PARAMETER, f"{_get_label(name, known)}：表单不支持嵌套字段，请用 JSON 提交")
        if field is None:
            fields[name] = values[-1]  # unknown fields are ignored, except tenantId
        elif field.is_structured:
            fields[name] = _parse_structure(field, [*fields.get(name, []), *values])
        elif len(values) > 1 or name != sent_name:
            raise ApiError(errors.BAD_PARAMETER, f"{name}：只能出现一次，它不是列表")
        else:
            fields[name] = values[0]
    return fields


def _group(body: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:  # not UTF-8, or too many fields
        raise ApiError(
            errors.BAD_PARAMETER, f"{BODY_LABEL}：不是合法的 UTF-8 表单，或超过 {MAX_FIELDS} 个字段"
        ) from None
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _parse_structure(field: RequestField, values: list[str]) -> Any:
    """Return the value of a list or object; a text that is not JSON stays one, for validation to reject."""
    decoded = [_decode(value) for value in values]
    if len(decoded) == 1 and (values == [""] or isinstance(decoded[0], list) or not field.is_list):
        return decoded[0]
    return decoded


def _decode(value: str) -> Any:
    if not value.startswith(("[", "{")):
        return value
    try:
        return from_json(value)
    except ValueError:
        return value


def _get_label(name: str, known: dict[str, RequestField]) -> str:
    """Return a name for a message that contains no other text of the client's than names of fields."""
    first = name.partition("[")[0]
    return first if first in known else BODY_LABEL
