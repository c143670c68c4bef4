"""Bytes at the HTTP door: answers in no envelope, and files that come in a request's body."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalice.app import Response

from chalicelib import errors
from chalicelib.errors import ApiError

# API Gateway decodes the base64 of an answer only for who accepts one of these: for everybody. In return it encodes the
# body of every request. Chalice must not know of it: it would encode every answer, and refuse who accepts no picture.
BINARY_TYPES = ["*/*"]


@dataclass(frozen=True)
class RawContent:
    """An answer in no envelope: text, or bytes that reach the client unchanged; to be saved under a name, if any."""

    content_type: str
    body: str | bytes
    file_name: str = ""


@dataclass(frozen=True)
class RequestFile:
    """A file in a request's body; its name as the client's form said it, "" where the body is the file itself."""

    name: str
    content: bytes


@dataclass(frozen=True)
class RawRequest:
    """What another company has sent, as it came: what it has signed are these bytes and no others."""

    headers: Mapping[str, str]  # their names in lower case
    body: bytes


class RawResponse(Response):
    """Bytes leave as base64, which API Gateway decodes: see BINARY_TYPES."""

    def __init__(self, raw: RawContent) -> None:
        text = raw.body if isinstance(raw.body, str) else base64.b64encode(raw.body).decode()
        headers: dict[str, str | list[str]] = {"Content-Type": raw.content_type, "X-Content-Type-Options": "nosniff"}
        if raw.file_name:
            headers["Content-Disposition"] = f'attachment; filename="{raw.file_name}"'
        super().__init__(text, headers)
        self._is_base64 = isinstance(raw.body, bytes)

    def to_dict(self, binary_types: list[str] | None = None) -> dict[str, Any]:  # noqa: ARG002  # Chalice's signature
        return {**super().to_dict(), "isBase64Encoded": self._is_base64}


_BOUNDARY_PATTERN = re.compile(r'^multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.I)
_FILE_NAME_PATTERN = re.compile(rb'(?:^|\r\n)content-disposition:[^\r\n]*;\s*filename="([^"\r\n]*)"', re.I)


def parse_upload(content_type: str, body: bytes) -> RequestFile:
    """Return the one file of a multipart form, whatever its field is called; of any other body, the body itself.

    ApiError 400 for a form that is no form, and for one without a file or with several.
    """
    if not content_type.lower().startswith("multipart/"):
        return RequestFile("", body)
    found = _BOUNDARY_PATTERN.match(content_type)
    if not found:
        raise ApiError(errors.BAD_PARAMETER, "file：表单格式不正确")
    files = [one for one in map(_parse_file_part, _split_multipart(body, (found[1] or found[2]).encode())) if one]
    if len(files) != 1:
        raise ApiError(errors.BAD_PARAMETER, "file：不能超过 1 个文件" if files else "file：必填")
    return files[0]


def _split_multipart(body: bytes, boundary: bytes) -> list[bytes]:
    """What stands between the boundaries. https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1"""
    whole, end, _ = (b"\r\n" + body).partition(b"\r\n--" + boundary + b"--")
    if not end:
        raise ApiError(errors.BAD_PARAMETER, "file：表单格式不正确")
    return whole.split(b"\r\n--" + boundary + b"\r\n")[1:]


def _parse_file_part(part: bytes) -> RequestFile | None:
    """None for a field that is no file."""
    head, _, content = part.partition(b"\r\n\r\n")
    named = _FILE_NAME_PATTERN.search(head)
    return RequestFile(named[1].decode("utf-8", "replace"), content) if named else None
