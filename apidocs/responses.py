"""What comes back: the envelopes, their headers, and every refusal with its codes, texts and an example."""

from itertools import groupby
from typing import Any

from apidocs.endpoints import Documented
from chalicelib import errors
from chalicelib.errors import Kind

Json = dict[str, Any]

NAMES = {kind.code: name for name, kind in vars(errors).items() if isinstance(kind, Kind)}
RETRIED = {429, 503}

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
REFUSAL: Json = {
    "type": "object",
    "description": "失败：没有 data",
    "properties": {
        "code": {"type": "integer", "description": "错误码，见 docs/errors.md"},
        "error": {"type": "string", "description": "可以直接显示给用户的中文"},
    },
    "required": ["code", "error"],
    "additionalProperties": False,
}


def raw(content_type: str) -> Json:
    """An answer in no envelope."""
    return {"description": "成功", "headers": _headers(200), "content": {content_type: {}}}


def success(data: Json, example: Any) -> Json:
    envelope = {
        "type": "object",
        "properties": {"code": {"const": 0}, "data": data},
        "required": ["code", "data"],
        "additionalProperties": False,
    }
    return {
        "description": "成功",
        "headers": _headers(200),
        "content": {"application/json": {"schema": envelope, "example": {"code": 0, "data": example}}},
    }


def refusals(documented: Documented) -> Json:
    """Its refusals by HTTP status, as references to `shared`."""
    return {str(status): {"$ref": f"#/components/responses/{_name(kinds)}"} for status, kinds in _by_status(documented)}


def shared(every: list[Documented]) -> Json:
    """Each set of refusals that some endpoint answers with one status, described once."""
    sets = {_name(kinds): (status, kinds) for one in every for status, kinds in _by_status(one)}
    return {name: _refusal(status, kinds) for name, (status, kinds) in sorted(sets.items())}


def _by_status(documented: Documented) -> list[tuple[int, list[Kind]]]:
    return [(status, list(kinds)) for status, kinds in groupby(documented.refusals(), key=lambda kind: kind.status)]


def _name(kinds: list[Kind]) -> str:
    return "-".join(NAMES[kind.code] for kind in kinds)


def _refusal(status: int, kinds: list[Kind]) -> Json:
    codes = {"properties": {"code": {"enum": [kind.code for kind in kinds]}}}
    return {
        "description": "；".join(f"{kind.code} {kind.text}" for kind in kinds),
        "headers": _headers(status),
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Refusal", **codes},
                "examples": {NAMES[kind.code]: {"value": _example(kind)} for kind in kinds},
            }
        },
    }


def _headers(status: int) -> Json:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    if status in RETRIED:
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    return headers


def _example(kind: Kind) -> Json:
    return {"code": kind.code, "error": "phone：必填" if kind is errors.BAD_PARAMETER else kind.text}
