"""What answers are put into: a path says which of the two envelopes, so that an answer to a request that reached no
view wears it too."""

import json
from typing import Generic, TypeVar

from pydantic import Field

from chalicelib.errors import ErrorKind
from chalicelib.http.fields import WireModel

T = TypeVar("T")
MESSAGECENTER_PREFIX = "/message/"  # document 002


class CountedResult(WireModel, Generic[T]):
    """What a view of the messagecenter returns that has a count; others have count 0."""

    data: T
    count: int = Field(description="列表的总数；messageCount 为未读数", examples=[1])


def is_messagecenter_path(path: str) -> bool:
    return path.startswith(MESSAGECENTER_PREFIX)


def wrap_success(path: str, answer: str, counted: bool) -> str:
    """answer is what a view returned, as JSON; of a Counted, both its fields."""
    if not is_messagecenter_path(path):
        return f'{{"code":0,"data":{answer}}}'
    fields = answer[1:-1] if counted else f'"data":{answer},"count":0'
    return f'{{"error_code":0,"error_msg":"",{fields}}}'


def wrap_error(path: str, kind: ErrorKind, text: str = "") -> str:
    text = text or kind.text
    if is_messagecenter_path(path):
        said = {"error_code": kind.code, "error_msg": text, "data": None, "count": 0}
    else:
        said = {"code": kind.code, "error": text}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def wrap_error_for_any_path(kind: ErrorKind) -> str:
    """Both envelopes in one, for whoever answers without knowing the path: each client finds its own fields."""
    both = json.loads(wrap_error("", kind)) | json.loads(wrap_error(MESSAGECENTER_PREFIX, kind))
    return json.dumps(both, ensure_ascii=False, separators=(",", ":"))
