"""Describe responses: envelopes, headers, and errors with codes, texts and examples."""

import json
from itertools import groupby
from typing import Any

from apidocs.endpoints import DocumentedEndpoint
from chalicelib import errors
from chalicelib.errors import ErrorKind
from chalicelib.http import envelopes

Json = dict[str, Any]

ERROR_NAMES = {kind.code: name for name, kind in vars(errors).items() if isinstance(kind, ErrorKind)}
RETRYABLE_STATUSES = {429, 503}

HEADERS: Json = {
    "RequestId": {
        "description": "这次请求的编号，日志中也有；反馈问题时请附上",
        "required": True,
        "schema": {"type": "string", "examples": ["c6af9ac6-7b61-11e6-9a41-93e8deadbeef"]},
    },
    "RetryAfter": {
        "description": "多少秒后可以再试",
        "schema": {"type": "integer", "minimum": 1, "examples": [2]},
    },
}
ERROR_SCHEMA: Json = {
    "type": "object",
    "description": "失败：没有 data，除非接口的文档另有说明",
    "properties": {
        "code": {"type": "integer", "description": "错误码，见 docs/errors.md"},
        "error": {"type": "string", "description": "可以直接显示给用户的中文"},
        "data": {"type": "object", "description": "仅 pay/appo_order 的 409：is_success、error_code、error_msg 等"},
    },
    "required": ["code", "error"],
    "additionalProperties": False,
}


MESSAGECENTER_ERROR_SCHEMA: Json = {
    "type": "object",
    "description": "消息中心的失败",
    "properties": {
        "error_code": {"type": "integer", "description": "错误码，见 docs/errors.md"},
        "error_msg": {"type": "string", "description": "可以直接显示给用户的中文"},
        "data": {"type": "null"},
        "count": {"const": 0},
    },
    "required": ["error_code", "error_msg", "data", "count"],
    "additionalProperties": False,
}


def build_raw(content_type: str) -> Json:
    """Describe a success without an envelope."""
    return {"description": "成功", "headers": _build_headers(200), "content": {content_type: {}}}


def build_success(path: str, fields: Json, example: Any) -> Json:
    """Describe a success in the envelope of its path.

    Args:
        fields: schemas of the envelope's fields apart from the error code: data, and count for the messagecenter.
        example: example values of those fields.
    """
    code_fields: Json = {"error_code": 0, "error_msg": ""} if envelopes.is_messagecenter_path(path) else {"code": 0}
    properties = {**{name: {"const": value} for name, value in code_fields.items()}, **fields}
    envelope = {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }
    return {
        "description": "成功",
        "headers": _build_headers(200),
        "content": {"application/json": {"schema": envelope, "example": {**code_fields, **example}}},
    }


def build_error_references(documented: DocumentedEndpoint) -> Json:
    """Return references to the shared errors of an endpoint, by HTTP status."""
    center = _is_messagecenter(documented)
    return {
        str(status): {"$ref": f"#/components/responses/{_build_name(kinds, center)}"}
        for status, kinds in _group_by_status(documented)
    }


def build_shared_errors(every: list[DocumentedEndpoint]) -> Json:
    """Describe each set of errors that share a status at some endpoint, by name."""
    sets = {
        _build_name(kinds, _is_messagecenter(one)): (status, kinds, _is_messagecenter(one))
        for one in every
        for status, kinds in _group_by_status(one)
    }
    return {name: _build_error(*found) for name, found in sorted(sets.items())}


def _is_messagecenter(documented: DocumentedEndpoint) -> bool:
    return envelopes.is_messagecenter_path(documented.endpoint.path)


def _group_by_status(documented: DocumentedEndpoint) -> list[tuple[int, list[ErrorKind]]]:
    return [(status, list(kinds)) for status, kinds in groupby(documented.list_errors(), key=lambda kind: kind.status)]


def _build_name(kinds: list[ErrorKind], center: bool) -> str:
    return ("messagecenter-" if center else "") + "-".join(ERROR_NAMES[kind.code] for kind in kinds)


def _build_error(status: int, kinds: list[ErrorKind], center: bool) -> Json:
    codes = {"enum": [kind.code for kind in kinds]}
    schema = {"$ref": "#/components/schemas/Error", "properties": {"code": codes}}
    if center:
        schema = {"$ref": "#/components/schemas/MessagecenterError", "properties": {"error_code": codes}}
    return {
        "description": "；".join(f"{kind.code} {kind.text}" for kind in kinds),
        "headers": _build_headers(status),
        "content": {
            "application/json": {
                "schema": schema,
                "examples": {ERROR_NAMES[kind.code]: {"value": _build_example(kind, center)} for kind in kinds},
            }
        },
    }


def _build_headers(status: int) -> Json:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    if status in RETRYABLE_STATUSES:
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    return headers


def _build_example(kind: ErrorKind, center: bool) -> Json:
    text = "phone：必填" if kind is errors.BAD_PARAMETER else kind.text
    example: Json = json.loads(envelopes.wrap_error(envelopes.MESSAGECENTER_PREFIX if center else "", kind, text))
    return example
