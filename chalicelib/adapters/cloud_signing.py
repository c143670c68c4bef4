"""Sign requests to Aliyun and Tencent Cloud, whose own SDKs take up 5 and 42 MB."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from chalicelib import clock

JSON_CONTENT_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key of a cloud account."""

    key_id: str
    secret: str = field(repr=False)


def sign_aliyun_request(
    key: AccessKey, url: str, action: str, version: str, parameters: Mapping[str, str], now: int
) -> tuple[str, dict[str, str]]:
    """Return query string and headers of a POST without a body, signed with ACS3-HMAC-SHA256.

    Args:
        now: microseconds since 1970.

    Source: https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
    """
    query = "&".join(f"{_percent_encode(name)}={_percent_encode(value)}" for name, value in sorted(parameters.items()))
    headers = {
        "host": urlsplit(url).netloc,
        "x-acs-action": action,
        "x-acs-content-sha256": _compute_sha256(b""),
        "x-acs-date": clock.format_utc(now),
        "x-acs-signature-nonce": secrets.token_hex(16),
        "x-acs-version": version,
    }
    signature = _compute_acs3_signature("POST", query, headers, key.secret)
    names = ";".join(sorted(headers))
    authorization = f"ACS3-HMAC-SHA256 Credential={key.key_id},SignedHeaders={names},Signature={signature}"
    return query, {**headers, "Authorization": authorization}


def sign_tencent_request(
    key: AccessKey, url: str, action: str, version: str, service: str, body: bytes, now: int
) -> dict[str, str]:
    """Return the headers of a POST with a JSON body, signed with TC3-HMAC-SHA256.

    Args:
        now: microseconds since 1970.

    Source: https://cloud.tencent.com/document/api/382/52072
    """
    host, date = urlsplit(url).netloc, clock.format_utc(now)[:10]
    seconds = str(now // clock.SECOND)
    signature = _compute_tc3_signature(host, action, service, body, date, seconds, key.secret)
    scope = f"{date}/{service}/tc3_request"
    credential = f"Credential={key.key_id}/{scope}, SignedHeaders=content-type;host;x-tc-action"
    return {
        "Authorization": f"TC3-HMAC-SHA256 {credential}, Signature={signature}",
        "Content-Type": JSON_CONTENT_TYPE,
        "Host": host,
        "X-TC-Action": action,
        "X-TC-Version": version,
        "X-TC-Timestamp": seconds,
    }


def _compute_acs3_signature(method: str, query: str, headers: Mapping[str, str], secret: str) -> str:
    lines = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    names = ";".join(sorted(headers))
    canonical = f"{method}\n/\n{query}\n{lines}\n{names}\n{headers['x-acs-content-sha256']}"
    text = f"ACS3-HMAC-SHA256\n{_compute_sha256(canonical.encode())}"
    return hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()


def _compute_tc3_signature(
    host: str, action: str, service: str, body: bytes, date: str, seconds: str, secret: str
) -> str:
    lines = f"content-type:{JSON_CONTENT_TYPE}\nhost:{host}\nx-tc-action:{action.lower()}\n"
    canonical = f"POST\n/\n\n{lines}\ncontent-type;host;x-tc-action\n{_compute_sha256(body)}"
    text = f"TC3-HMAC-SHA256\n{seconds}\n{date}/{service}/tc3_request\n{_compute_sha256(canonical.encode())}"
    key = f"TC3{secret}".encode()
    for part in (date, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def _percent_encode(text: str) -> str:
    return quote(text, safe="-_.~")


def _compute_sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
