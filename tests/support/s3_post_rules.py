"""The rules by which S3 accepts upload forms, written from the manual and not from our code.

Source:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html (fields)
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html (policy)
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html (signature)
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.support.multipart_forms import Fields

FIELDS_WITHOUT_CONDITION = {"x-amz-signature", "file", "policy"}  # and names that begin with x-ignore-
SIGNATURE_FIELDS = ("policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")


@dataclass(frozen=True)
class Bucket:
    """A bucket, with the secrets by access key and the session tokens of temporary access keys."""

    name: str
    region: str
    secrets: dict[str, str]
    tokens: dict[str, str]


def find_objections(bucket: Bucket, fields: Fields, size: int | None, now: datetime) -> list[str]:
    """Return the reasons for which S3 rejects a form that is posted at `now`; an empty list if it accepts the form.

    Args:
        fields: the fields before `file`; S3 ignores those after it.
        size: of the file in bytes, None if there is no file.
    """
    if size is None:
        return ["no file"]
    form = {name.lower(): value for name, value in fields}
    missing = [name for name in ("key", *SIGNATURE_FIELDS) if not form.get(name)]
    if missing:
        return [f"no {name}" for name in missing]
    return [*_check_signature(bucket, form), *_check_policy(bucket, form, size, now)]


def _check_signature(bucket: Bucket, form: dict[str, str]) -> Iterator[str]:
    if form["x-amz-algorithm"] != "AWS4-HMAC-SHA256":
        yield "unknown algorithm"
    access_key, *scope = form["x-amz-credential"].split("/")
    if len(scope) != 4 or scope[1:] != [bucket.region, "s3", "aws4_request"]:
        yield "credential is not of this region and service"
        return
    if not re.fullmatch(r"\d{8}T\d{6}Z", form["x-amz-date"]) or form["x-amz-date"][:8] != scope[0]:
        yield "date is not the credential's"
    if access_key not in bucket.secrets:
        yield "unknown access key"
        return
    if form.get("x-amz-security-token", "") != bucket.tokens.get(access_key, ""):
        yield "the access key has another security token"
    key = f"AWS4{bucket.secrets[access_key]}".encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    if hmac.new(key, form["policy"].encode(), hashlib.sha256).hexdigest() != form["x-amz-signature"]:
        yield "wrong signature"


def _check_policy(bucket: Bucket, form: dict[str, str], size: int, now: datetime) -> Iterator[str]:
    try:
        policy = json.loads(base64.b64decode(form["policy"], validate=True))
        expiration = datetime.fromisoformat(policy["expiration"])
        conditions = [_normalize_condition(one) for one in policy["conditions"]]
    except (binascii.Error, UnicodeDecodeError, ValueError, KeyError, TypeError):
        yield "malformed policy"
        return
    if now >= expiration:
        yield "expired"
    values = {**form, "bucket": bucket.name}
    for kind, name, value in conditions:
        if not _is_met(kind, name, value, values, size):
            yield f"{name} does not meet its condition"
    covered = {name for _, name, _ in conditions} | FIELDS_WITHOUT_CONDITION
    yield from (f"{name} is not covered" for name in form if name not in covered and not name.startswith("x-ignore-"))


def _normalize_condition(condition: Any) -> tuple[str, str, Any]:
    """Return (kind, field, value): {"f": v} is ["eq", "$f", v]; a range is a condition of the field of its name."""
    if isinstance(condition, dict):
        [(name, value)] = condition.items()
        return "eq", name.lower(), value
    kind, name, value = condition
    if kind == "content-length-range":
        return kind, kind, (int(name), int(value))
    if kind not in ("eq", "starts-with") or not name.startswith("$"):
        raise ValueError(condition)
    return kind, name[1:].lower(), value


def _is_met(kind: str, name: str, value: Any, form: dict[str, str], size: int) -> bool:
    if kind == "content-length-range":
        min_size, max_size = value
        return bool(min_size <= size <= max_size)
    if name not in form:
        return False
    return form[name] == value if kind == "eq" else form[name].startswith(value)
