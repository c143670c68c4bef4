"""Send one HTTP request to an external service with a timeout."""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, BinaryIO, TypeVar
from urllib.parse import urlsplit

from chalicelib import clock
from chalicelib.errors import TOO_LARGE, UNAVAILABLE, ApiError

if TYPE_CHECKING:  # ssl and http.client add 0.01 s to a cold start, and few requests need them
    import ssl
    from http.client import HTTPResponse

T = TypeVar("T")

MAX_RESPONSE_BYTES = 1024 * 1024
BLOCK_BYTES = 64 * 1024


def send_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | BinaryIO = b"",
    *,
    timeout: float,
    certificate: str = "",
) -> tuple[int, Mapping[str, str], bytes]:
    """Send a request and return status, headers (names in lower case) and body, of which at most MAX_RESPONSE_BYTES.

    Args:
        body: a file is sent in blocks; its length must be among the headers.
        timeout: seconds for connecting, and for each read.
        certificate: client certificate with its private key, PEM; "" for none.

    Raises:
        ApiError: 503 if the server cannot be reached, returns a status of 500 or more or an incomplete response.
        ValueError: `certificate` is not a certificate with its key.
    """
    return _exchange(method, url, headers, body, timeout, certificate, _read_content)


def download(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    file: BinaryIO,
    *,
    timeout: float,
    max_bytes: int,
    max_seconds: float,
    certificate: str = "",
) -> tuple[int, Mapping[str, str]]:
    """Send a request and write the body of the response to a file in blocks; return status and headers.

    Args:
        max_seconds: for the whole body; each read has `timeout` seconds.

    Raises:
        ApiError: as send_request; also 503 if the body takes too long, 413 if it is too large.
        ValueError: as send_request.
    """
    status, response_headers, _ = _exchange(
        method,
        url,
        headers,
        body,
        timeout,
        certificate,
        lambda response: _copy_content(response, file, max_bytes, clock.monotonic() + max_seconds),
    )
    return status, response_headers


def _exchange(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | BinaryIO,
    timeout: float,
    certificate: str,
    read: "Callable[[HTTPResponse], T]",
) -> tuple[int, Mapping[str, str], T]:
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = urlsplit(url)
    connection = (
        HTTPSConnection(
            parts.netloc,
            timeout=timeout,
            context=_build_client_context(certificate) if certificate else get_default_context(),
        )
        if parts.scheme == "https"
        else HTTPConnection(parts.netloc, timeout=timeout)
    )
    try:
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        content = read(response)
    except (OSError, HTTPException) as error:
        raise ApiError(UNAVAILABLE, retry_after=2) from error
    finally:
        connection.close()
    if response.status >= 500:
        raise ApiError(UNAVAILABLE, retry_after=2)
    return response.status, {name.lower(): value for name, value in response.headers.items()}, content


def _read_content(response: "HTTPResponse") -> bytes:
    from http.client import IncompleteRead

    content = response.read(MAX_RESPONSE_BYTES)
    if response.length and len(content) < MAX_RESPONSE_BYTES:
        raise IncompleteRead(content)
    return content


def _copy_content(response: "HTTPResponse", file: BinaryIO, max_bytes: int, deadline: float) -> None:
    from http.client import IncompleteRead

    copied = 0
    while block := response.read(BLOCK_BYTES):
        copied += len(block)
        if copied > max_bytes:
            raise ApiError(TOO_LARGE)
        if clock.monotonic() > deadline:
            raise TimeoutError("the body takes too long")
        file.write(block)
    if response.length:
        raise IncompleteRead(b"")


@cache
def get_default_context() -> "ssl.SSLContext":
    """Return the context that accepts what the system's root certificates have issued; reading them takes 20 ms."""
    import ssl

    return ssl.create_default_context()


@lru_cache(maxsize=32)
def _build_client_context(certificate: str) -> "ssl.SSLContext":
    import ssl
    from tempfile import NamedTemporaryFile

    context = ssl.create_default_context()
    # ssl loads a certificate only from a file; NamedTemporaryFile creates one that only this user can read.
    with NamedTemporaryFile("w") as pem:
        pem.write(certificate)
        pem.flush()
        try:
            context.load_cert_chain(pem.name)
        except OSError as error:
            raise ValueError("not a certificate with its key") from error
    return context
