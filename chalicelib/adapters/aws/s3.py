"""S3: forms by which a browser uploads one object, links by which it reads one, and the few calls we make ourselves.

boto3 would cost each cold start a quarter of a second for what is here; it is the oracle of the tests instead.
Where S3 cannot be reached the answer is ApiError(UNAVAILABLE): the client may repeat the request.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.aws import sigv4
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.settings import settings

CALL_TTL_SECONDS = 60  # seconds in which a call of our own must reach S3
MAX_DELETE_KEYS = 1000  # keys that one call can delete


class S3Error(Exception):
    """S3 would not do what was asked: rights or settings are wrong."""


@dataclass(frozen=True, slots=True)
class UploadForm:
    """What a browser posts as multipart/form-data to url: every field as it is, then `file`, last."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class ObjectPreview:
    size: int
    etag: str  # with its quotation marks
    first_bytes: bytes


def build_upload_form(key: str, content_type: str, min_size: int, max_size: int, life: int) -> UploadForm:
    """Return a form for exactly this key and type, and a size (bytes) between two limits; it works `life` seconds.

    The policy covers every field, so no other can be added.
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
    """
    keys, now = _get_credentials(), clock.now()
    at = sigv4.format_timestamp(now)
    signer = {
        "x-amz-algorithm": sigv4.ALGORITHM,
        "x-amz-credential": sigv4.build_credential(keys, at),
        "x-amz-date": at,
        **({"x-amz-security-token": keys.session_token} if keys.session_token else {}),
    }
    conditions = [
        {"Content-Type": content_type},
        ["content-length-range", min_size, max_size],
        {"bucket": settings.s3_bucket},
        {"key": key},
        *({name: value} for name, value in signer.items()),
    ]
    end = sigv4.EPOCH + timedelta(microseconds=now, seconds=life)
    document = json.dumps({"expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": conditions})
    policy = base64.b64encode(document.encode()).decode()
    signed = {"policy": policy, "x-amz-signature": sigv4.compute_signature(keys, at, policy)}
    origin, root = _get_bucket_base()
    return UploadForm(f"{origin}{root or '/'}", {"key": key, "Content-Type": content_type, **signer, **signed})


def presign_download(key: str, life: int) -> str:
    """Return a URL by which anybody can read an object for `life` seconds. It asks nobody: 30 µs."""
    return _presign_url("GET", key, life)


def find_preview(key: str, count: int) -> ObjectPreview | None:
    """Return an object's size and its first `count` bytes in one request; None where there is no object."""
    status, headers, body = _send_request("GET", key, {"range": f"bytes=0-{count - 1}"})
    if status == 404:
        return None
    if status == 416:  # no byte 0
        return ObjectPreview(0, headers.get("etag", ""), b"")
    if status not in (200, 206):
        raise S3Error(f"GET answered {status}")
    size = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length", "0")
    return ObjectPreview(int(size), headers.get("etag", ""), body[:count])


def copy(source: str, etag: str, target: str, content_type: str) -> bool:
    """Copy an object inside S3, giving it a type; False where the source is gone or is no longer what etag names."""
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
        raise S3Error(f"copying answered {status}")
    if b"<Error>" in body:  # S3 says 200 before it begins to copy
        raise ApiError(UNAVAILABLE, retry_after=2)
    return True


def delete(keys: list[str]) -> set[str]:
    """Delete up to AT_ONCE objects in one request; return those that S3 would not delete (a lock, a policy).

    An object that is not there counts as deleted.
    """
    listed = "".join(f"<Object><Key>{_escape_xml(key)}</Key></Object>" for key in keys)
    body = f"<Delete><Quiet>true</Quiet>{listed}</Delete>".encode()
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    status, _, answer = _send_request("POST", "", {"content-md5": digest}, {"delete": ""}, body)
    if status != 200:
        raise S3Error(f"deleting answered {status}")
    refused = re.findall(rb"<Error>.*?<Key>(.*?)</Key>.*?</Error>", answer, re.DOTALL)
    if b"<Error>" in answer and not refused:
        raise S3Error("deleting answered an error that names no object")
    return {key.decode().replace("&lt;", "<").replace("&amp;", "&") for key in refused}


def _send_request(
    method: str, key: str, headers: Mapping[str, str], query: Mapping[str, str] | None = None, body: bytes = b""
) -> tuple[int, Mapping[str, str], bytes]:
    url = _presign_url(method, key, CALL_TTL_SECONDS, query, headers)
    return https.send_request(method, url, headers, body, timeout=settings.s3_timeout_seconds)


def _presign_url(
    method: str,
    key: str,
    life: int,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    origin, root = _get_bucket_base()
    at = sigv4.format_timestamp(clock.now())
    return sigv4.presign_url(_get_credentials(), at, life, method, origin, f"{root}/{key}", query, headers)


def _get_credentials() -> sigv4.SigningCredentials:
    return sigv4.SigningCredentials(
        settings.access_key, settings.secret_key, settings.session_token, settings.region, "s3"
    )


def _get_bucket_base() -> tuple[str, str]:
    """The bucket's origin and the path before its keys: hosts follow the partition; a local S3 is asked by path."""
    if settings.s3_endpoint_url:
        return settings.s3_endpoint_url.rstrip("/"), f"/{settings.s3_bucket}"
    return f"https://{settings.s3_bucket}.s3.{settings.region}.{sigv4.get_domain(settings.region)}", ""


def _escape_xml(key: str) -> str:
    return key.replace("&", "&amp;").replace("<", "&lt;")
