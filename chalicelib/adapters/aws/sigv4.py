"""Sign requests to AWS with Signature Version 4: POST policies, query strings (presigned URLs) and headers.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

from chalicelib.settings import Settings

ALGORITHM = "AWS4-HMAC-SHA256"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SigningCredentials:
    """Credentials of the function's role, with the region and service that a signature is valid for."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)  # "" for keys that do not expire
    region: str
    service: str


def load_credentials(settings: Settings, service: str) -> SigningCredentials:
    """Return the credentials in the settings, for one service."""
    return SigningCredentials(
        settings.access_key, settings.secret_key, settings.session_token, settings.region, service
    )


def get_domain(region: str) -> str:
    """Return the domain of a region's hosts, which depends on the partition."""
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def format_timestamp(instant: int) -> str:
    """Return microseconds since 1970 in the format of AWS: 20130524T000000Z."""
    return _format_seconds(instant // 1_000_000)


@lru_cache(maxsize=8)
def _format_seconds(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y%m%dT%H%M%SZ")


def build_credential(credentials: SigningCredentials, timestamp: str) -> str:
    """Return the value of X-Amz-Credential: access key and credential scope."""
    return f"{credentials.access_key}/{timestamp[:8]}/{credentials.region}/{credentials.service}/aws4_request"


def compute_signature(credentials: SigningCredentials, timestamp: str, text: str) -> str:
    """Return the signature of a string to sign, in hexadecimal."""
    key = _derive_signing_key(credentials.secret_key, timestamp[:8], credentials.region, credentials.service)
    return hmac.digest(key, text.encode(), "sha256").hex()


def presign_url(
    credentials: SigningCredentials,
    timestamp: str,
    ttl_seconds: int,
    method: str,
    origin: str,
    path: str,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Return a URL that can be requested without credentials for `ttl_seconds`, with any body.

    Args:
        timestamp: the result of format_timestamp.
        path: not encoded.
        headers: headers that the request must have, names in lower case; among them all its x-amz- headers.
    """
    path = quote(path, safe="/")
    signed_headers = {"host": origin.partition("://")[2], **(headers or {})}
    names = ";".join(sorted(signed_headers))
    query_string = _build_query(credentials, timestamp, ttl_seconds, names, tuple((query or {}).items()))
    lines = [method, path, query_string, *_format_headers(signed_headers), "", names, "UNSIGNED-PAYLOAD"]
    signature = _sign_request(credentials, timestamp, lines)
    return f"{origin}{path}?{query_string}&X-Amz-Signature={signature}"


def sign_headers(
    credentials: SigningCredentials,
    timestamp: str,
    host: str,
    headers: Mapping[str, str],
    body: bytes,
    method: str = "POST",
    path: str = "/",
) -> dict[str, str]:
    """Return the headers of a request to an AWS service other than S3, with the signature of headers and body.

    Args:
        timestamp: the result of format_timestamp.
        headers: names in lower case.
        path: as sent, that is, encoded once. It is encoded once more to be signed.
    """
    token = {"x-amz-security-token": credentials.session_token} if credentials.session_token else {}
    signed_headers = {**headers, **token, "host": host, "x-amz-date": timestamp}
    names = ";".join(sorted(signed_headers))
    body_hash = hashlib.sha256(body).hexdigest()
    lines = [method, quote(path, safe="/~"), "", *_format_headers(signed_headers), "", names, body_hash]
    signature = _sign_request(credentials, timestamp, lines)
    credential = build_credential(credentials, timestamp)
    authorization = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**signed_headers, "authorization": authorization}


def _format_headers(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}:{headers[name]}" for name in sorted(headers)]


def _sign_request(credentials: SigningCredentials, timestamp: str, canonical_request: list[str]) -> str:
    digest = hashlib.sha256("\n".join(canonical_request).encode()).hexdigest()
    scope = build_credential(credentials, timestamp).partition("/")[2]
    return compute_signature(credentials, timestamp, f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}")


@lru_cache(maxsize=8)
def _build_query(
    credentials: SigningCredentials,
    timestamp: str,
    ttl_seconds: int,
    header_names: str,
    query: tuple[tuple[str, str], ...],
) -> str:
    """Return the signed query string: the same for all URLs of one page, and a session token is long to encode."""
    parameters = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": build_credential(credentials, timestamp),
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(ttl_seconds),
        "X-Amz-SignedHeaders": header_names,
        **({"X-Amz-Security-Token": credentials.session_token} if credentials.session_token else {}),
        **dict(query),
    }
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(parameters.items()))


@lru_cache(maxsize=8)
def _derive_signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """Return the signing key, which stays the same until midnight UTC."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
