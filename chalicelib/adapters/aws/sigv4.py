"""AWS Signature Version 4, as far as it is needed here: signed texts (POST policies), query strings (links), headers.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SigningCredentials:
    """Who signs, and for which service of which region."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)  # "" for keys that do not expire
    region: str
    service: str


def get_domain(region: str) -> str:
    """Return what the names of a region's hosts end with: they follow the partition."""
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def format_timestamp(instant: int) -> str:
    """Return microseconds since 1970 as AWS writes an instant: 20130524T000000Z."""
    return _format_seconds(instant // 1_000_000)


@lru_cache(maxsize=8)
def _format_seconds(second: int) -> str:
    return (EPOCH + timedelta(seconds=second)).strftime("%Y%m%dT%H%M%SZ")


def build_credential(keys: SigningCredentials, at: str) -> str:
    """Return whose signature it is and what for, as forms and links say it. `at` is a stamp."""
    return f"{keys.access_key}/{at[:8]}/{keys.region}/{keys.service}/aws4_request"


def compute_signature(keys: SigningCredentials, at: str, text: str) -> str:
    """Return the signature of a text in hexadecimal."""
    key = _derive_signing_key(keys.secret_key, at[:8], keys.region, keys.service)
    return hmac.digest(key, text.encode(), "sha256").hex()


def presign_url(
    keys: SigningCredentials,
    at: str,
    life: int,
    method: str,
    origin: str,
    path: str,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Return a URL that whoever holds it may request for `life` seconds, with these headers and any body.

    `path` is plain; header names are in lower case. Every x-amz- header of the request must be among the headers.
    """
    path = quote(path, safe="/")
    signed = {"host": origin.partition("://")[2], **(headers or {})}
    names = sorted(signed)
    asked = _build_query(keys, at, life, ";".join(names), tuple((query or {}).items()))
    lines = [method, path, asked, *(f"{name}:{signed[name]}" for name in names)]
    lines += ["", ";".join(names), "UNSIGNED-PAYLOAD"]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = build_credential(keys, at).partition("/")[2]
    return f"{origin}{path}?{asked}&X-Amz-Signature=" + compute_signature(
        keys, at, f"{ALGORITHM}\n{at}\n{scope}\n{digest}"
    )


def sign_headers(
    keys: SigningCredentials,
    at: str,
    host: str,
    headers: Mapping[str, str],
    body: bytes,
    method: str = "POST",
    path: str = "/",
) -> dict[str, str]:
    """Return the headers of a request to an AWS service other than S3, with those that sign them and the body.

    Header names are in lower case. `at` is a stamp; `path` is as it is sent, and encoded once more to be signed.
    """
    token = {"x-amz-security-token": keys.session_token} if keys.session_token else {}
    signed = {**headers, **token, "host": host, "x-amz-date": at}
    names = ";".join(sorted(signed))
    lines = [method, quote(path, safe="/~"), "", *(f"{name}:{signed[name]}" for name in sorted(signed))]
    lines += ["", names, hashlib.sha256(body).hexdigest()]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    signer = build_credential(keys, at)
    scope = signer.partition("/")[2]
    seal = compute_signature(keys, at, f"{ALGORITHM}\n{at}\n{scope}\n{digest}")
    return {**signed, "authorization": f"{ALGORITHM} Credential={signer}, SignedHeaders={names}, Signature={seal}"}


@lru_cache(maxsize=8)
def _build_query(keys: SigningCredentials, at: str, life: int, names: str, query: tuple[tuple[str, str], ...]) -> str:
    """The links of one page differ in their paths alone: a role's token is long, and encoded once for all of them."""
    asked = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": build_credential(keys, at),
        "X-Amz-Date": at,
        "X-Amz-Expires": str(life),
        "X-Amz-SignedHeaders": names,
        **({"X-Amz-Security-Token": keys.session_token} if keys.session_token else {}),
        **dict(query),
    }
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(asked.items()))


@lru_cache(maxsize=8)
def _derive_signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """The day's key: four of the five hashes of a signature are the same until midnight UTC."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
