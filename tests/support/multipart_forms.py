"""Post a form as a browser does: multipart/form-data, with the fields in the given order."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlsplit

Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def code(self) -> str:
        """S3's error code, "" for a response without one."""
        return self.body.decode().partition("<Code>")[2].partition("</Code>")[0]


def encode_form(fields: Fields, content: bytes | None, filename: str = "photo.jpg") -> tuple[str, bytes]:
    """Return Content-Type and body of a form with the fields and then `file`, unless content is None."""
    boundary = secrets.token_hex(16)
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields]
    if content is not None:
        parts.append(f'name="file"; filename="{filename}"\r\nContent-Type: image/jpeg\r\n\r\n'.encode() + content)
    opening = f"--{boundary}\r\nContent-Disposition: form-data; ".encode()
    body = b"".join(opening + part + b"\r\n" for part in parts)
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def post_form(url: str, fields: Fields, content: bytes | None) -> Reply:
    content_type, body = encode_form(fields, content)
    return send_request("POST", url, {"Content-Type": content_type}, body)


def send_request(method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Reply:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(
            method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, dict(headers or {})
        )
        response = connection.getresponse()
        return Reply(
            response.status, {name.lower(): value for name, value in response.headers.items()}, response.read()
        )
    finally:
        connection.close()
