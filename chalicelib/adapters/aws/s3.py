"""S3 client: upload forms and download links for browsers, and the requests that the backend itself makes.

Functions that send a request raise ApiError(UNAVAILABLE) if S3 cannot be reached: the client may repeat the request.
boto3, which would add 0.25 s to a cold start, is only used in tests, which compare the requests.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO
from urllib.parse import quote

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.aws import sigv4
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.settings import settings

REQUEST_TTL_SECONDS = 60  # validity of the backend's own requests
MAX_DELETE_KEYS = 1000  # limit of one request


class S3Error(Exception):
    """S3 rejected a request: missing permissions or wrong settings."""


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A form that a browser posts to `url` as multipart/form-data: all fields unchanged, then `file` as the last."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class ObjectPreview:
    """The beginning of an object."""

    size: int  # bytes
    etag: str  # including the quotation marks
    first_bytes: bytes


def build_upload_form(key: str, content_type: str, min_size: int, max_size: int, ttl_seconds: int) -> UploadForm:
    """Return a form that uploads one object with this key and type and a size between the limits (bytes, inclusive).

    The policy covers all fields, so the client can neither change nor add any.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
    """
    credentials, now = _get_credentials(), clock.now()
    timestamp = sigv4.format_timestamp(now)
    signature_fields = {
        "x-amz-algorithm": sigv4.ALGORITHM,
        "x-amz-credential": sigv4.build_credential(credentials, timestamp),
        "x-amz-date": timestamp,
        **({"x-amz-security-token": credentials.session_token} if credentials.session_token else {}),
    }
    conditions = [
        {"Content-Type": content_type},
        ["content-length-range", min_size, max_size],
        {"bucket": settings.s3_bucket},
        {"key": key},
        *({name: value} for name, value in signature_fields.items()),
    ]
    expires_at = sigv4.EPOCH + timedelta(microseconds=now, seconds=ttl_seconds)
    document = json.dumps({"expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": conditions})
    policy = base64.b64encode(document.encode()).decode()
    signature = sigv4.compute_signature(credentials, timestamp, policy)
    fields = {"key": key, "Content-Type": content_type, **signature_fields}
    origin, root = _get_bucket_base()
    return UploadForm(f"{origin}{root or '/'}", {**fields, "policy": policy, "x-amz-signature": signature})


def presign_download(key: str, ttl_seconds: int) -> str:
    """Return a URL from which an object can be read without credentials. Sends no request; takes 30 µs."""
    return _presign_url("GET", key, ttl_seconds)


def find_preview(key: str, count: int) -> ObjectPreview | None:
    """Return the size and the first `count` bytes of an object, or None if there is no object. One request."""
    status, headers, body = _send_request("GET", key, {"range": f"bytes=0-{count - 1}"})
    if status == 404:
        return None
    if status == 416:  # the object is empty
        return ObjectPreview(0, headers.get("etag", ""), b"")
    if status not in (200, 206):
        raise S3Error(f"GET returned {status}")
    size = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length", "0")
    return ObjectPreview(int(size), headers.get("etag", ""), body[:count])


def copy(source: str, etag: str, target: str, content_type: str) -> bool:
    """Copy an object and set its type; return False if the source does not exist or its ETag is another one."""
    headers = {
        "content-type": content_type,
        "x-amz-copy-source": quote(f"/{settings.s3_bucket}/{source}"),
        "x-amz-copy-source-if-match": etag,
        "x-amz-metadata-directive": "REPLACE",
    }
    status, _, body = _send_request("PUT", target, headers)
    if status in (404, 412):
        return False
    if status != 200:
        raise S3Error(f"copying returned {status}")
    if b"<Error>" in body:  # S3 sends status 200 before it starts to copy
        raise ApiError(UNAVAILABLE, retry_after=2)
    return True


def put(key: str, file: BinaryIO, size: int, content_type: str, file_name: str) -> None:
    """Store a file as an object, in one request.

    Args:
        file: is read from its beginning, in blocks.
        size: of the file, in bytes.
        file_name: under which a browser saves the object.
    """
    headers = {
        "content-type": content_type,
        "content-length": str(size),
        "content-disposition": f'attachment; filename="{file_name}"',
    }
    file.seek(0)
    status, _, _ = _send_request("PUT", key, headers, body=file)
    if status != 200:
        raise S3Error(f"PUT returned {status}")


def delete(keys: list[str]) -> set[str]:
    """Delete up to MAX_DELETE_KEYS objects in one request; an object that does not exist counts as deleted.

    Returns:
        The keys that S3 did not delete, because of an object lock or a policy.
    """
    objects = "".join(f"<Object><Key>{_escape_xml(key)}</Key></Object>" for key in keys)
    body = f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    status, _, content = _send_request("POST", "", {"content-md5": digest}, {"delete": ""}, body)
    if status != 200:
        raise S3Error(f"deleting returned {status}")
    failed = re.findall(rb"<Error>.*?<Key>(.*?)</Key>.*?</Error>", content, re.DOTALL)
    if b"<Error>" in content and not failed:
        raise S3Error("deleting returned an error without a key")
    return {key.decode().replace("&lt;", "<").replace("&amp;", "&") for key in failed}


def _send_request(
    method: str,
    key: str,
    headers: Mapping[str, str],
    query: Mapping[str, str] | None = None,
    body: bytes | BinaryIO = b"",
) -> tuple[int, Mapping[str, str], bytes]:
    url = _presign_url(method, key, REQUEST_TTL_SECONDS, query, headers)
    return https.send_request(method, url, headers, body, timeout=settings.s3_timeout_seconds)


def _presign_url(
    method: str,
    key: str,
    ttl_seconds: int,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    origin, root = _get_bucket_base()
    timestamp = sigv4.format_timestamp(clock.now())
    path = f"{root}/{key}"
    return sigv4.presign_url(_get_credentials(), timestamp, ttl_seconds, method, origin, path, query, headers)


def _get_credentials() -> sigv4.SigningCredentials:
    return sigv4.load_credentials(settings, "s3")


def _get_bucket_base() -> tuple[str, str]:
    """Return the origin of the bucket and the path in front of its keys; a local S3 is addressed path-style."""
    if settings.s3_endpoint_url:
        return settings.s3_endpoint_url.rstrip("/"), f"/{settings.s3_bucket}"
    return f"https://{settings.s3_bucket}.s3.{settings.region}.{sigv4.get_domain(settings.region)}", ""


def _escape_xml(key: str) -> str:
    return key.replace("&", "&amp;").replace("<", "&lt;")
