"""Wrap responses in one of the two envelopes of the protocol documents.

The path determines the envelope, so that it is also known for a request that no view has handled.
"""

import json
from typing import Any, Generic, TypeVar

from pydantic import Field

from chalicelib.errors import ErrorKind
from chalicelib.http.fields import WireModel

T = TypeVar("T")
MESSAGECENTER_PREFIX = "/message/"  # paths of document 002


class CountedResult(WireModel, Generic[T]):
    """The result of a messagecenter view with a count. Other results are sent with count 0."""

    data: T
    count: int = Field(description="列表的总数；messageCount 为未读数", examples=[1])


def is_messagecenter_path(path: str) -> bool:
    """Return whether responses of the path use the messagecenter's envelope."""
    return path.startswith(MESSAGECENTER_PREFIX)


def wrap_success(path: str, result: str, counted: bool) -> str:
    """Return the response body for the result of a view.

    Args:
        result: JSON.
        counted: whether the result is a CountedResult.
    """
    if not is_messagecenter_path(path):
        return f'{{"code":0,"data":{result}}}'
    fields = result[1:-1] if counted else f'"data":{result},"count":0'
    return f'{{"error_code":0,"error_msg":"",{fields}}}'


def wrap_error(path: str, kind: ErrorKind, text: str = "", data: Any = None) -> str:
    """Return the response body for an error.

    Args:
        text: replaces the text of its kind.
        data: fields of the failure, which the messagecenter's envelope does not have; None for none.
    """
    text = text or kind.text
    if is_messagecenter_path(path):
        body = {"error_code": kind.code, "error_msg": text, "data": None, "count": 0}
    else:
        body = {"code": kind.code, "error": text, **({"data": data} if data else {})}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def wrap_error_for_any_path(kind: ErrorKind) -> str:
    """Return an error body with the fields of both envelopes, for API Gateway, which does not distinguish paths."""
    both = json.loads(wrap_error("", kind)) | json.loads(wrap_error(MESSAGECENTER_PREFIX, kind))
    return json.dumps(both, ensure_ascii=False, separators=(",", ":"))
