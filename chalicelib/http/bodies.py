"""Responses without an envelope, and request bodies that are not JSON: uploaded files and signed webhooks."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalice.app import Response

from chalicelib import errors
from chalicelib.errors import ApiError

# API Gateway decodes a base64 response only for clients that accept one of these types, so all are listed. It then
# encodes the body of every request. Chalice is not given this list: it would encode every response, and reject clients
# that accept none of the types.
BINARY_TYPES = ["*/*"]


@dataclass(frozen=True)
class RawContent:
    """A response without an envelope."""

    content_type: str
    body: str | bytes
    file_name: str = ""  # under which the client is to save it, "" for none


@dataclass(frozen=True)
class RequestFile:
    """A file in a request body."""

    name: str  # as sent by the client, "" if the body is the file itself
    content: bytes


@dataclass(frozen=True)
class RawRequest:
    """Headers and body of a webhook unchanged, because its sender has signed them."""

    headers: Mapping[str, str]  # names in lower case
    body: bytes


class RawResponse(Response):
    """Chalice's response for RawContent. Bytes are sent as base64, which API Gateway decodes: see BINARY_TYPES."""

    def __init__(self, raw: RawContent) -> None:
        text = raw.body if isinstance(raw.body, str) else base64.b64encode(raw.body).decode()
        headers: dict[str, str | list[str]] = {"Content-Type": raw.content_type, "X-Content-Type-Options": "nosniff"}
        if raw.file_name:
            headers["Content-Disposition"] = f'attachment; filename="{raw.file_name}"'
        super().__init__(text, headers)
        self._is_base64 = isinstance(raw.body, bytes)

    def to_dict(self, binary_types: list[str] | None = None) -> dict[str, Any]:  # noqa: ARG002  # Chalice's signature
        """Return the response for API Gateway."""
        return {**super().to_dict(), "isBase64Encoded": self._is_base64}


_BOUNDARY_PATTERN = re.compile(r'^multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.I)
_FILE_NAME_PATTERN = re.compile(rb'(?:^|\r\n)content-disposition:[^\r\n]*;\s*filename="([^"\r\n]*)"', re.I)


def parse_upload(content_type: str, body: bytes) -> RequestFile:
    """Return the only file of a multipart form, under any field name; any other body is the file itself.

    Raises:
        ApiError: 400 for a malformed form, and for a form without a file or with several.
    """
    if not content_type.lower().startswith("multipart/"):
        return RequestFile("", body)
    boundary = _BOUNDARY_PATTERN.match(content_type)
    if not boundary:
        raise ApiError(errors.BAD_PARAMETER, "file：表单格式不正确")
    parts = _split_multipart(body, (boundary[1] or boundary[2]).encode())
    files = [file for file in map(_parse_file_part, parts) if file]
    if len(files) != 1:
        raise ApiError(errors.BAD_PARAMETER, "file：不能超过 1 个文件" if files else "file：必填")
    return files[0]


def _split_multipart(body: bytes, boundary: bytes) -> list[bytes]:
    """Return the parts between the boundaries.

    Source: https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1
    """
    content, end, _ = (b"\r\n" + body).partition(b"\r\n--" + boundary + b"--")
    if not end:
        raise ApiError(errors.BAD_PARAMETER, "file：表单格式不正确")
    return content.split(b"\r\n--" + boundary + b"\r\n")[1:]


def _parse_file_part(part: bytes) -> RequestFile | None:
    """Return the file of a part, or None if the part is another field."""
    headers, _, content = part.partition(b"\r\n\r\n")
    file_name = _FILE_NAME_PATTERN.search(headers)
    return RequestFile(file_name[1].decode("utf-8", "replace"), content) if file_name else None
