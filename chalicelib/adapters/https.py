"""Send one HTTP request to an external service with a timeout."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from chalicelib.errors import UNAVAILABLE, ApiError

if TYPE_CHECKING:  # ssl and http.client add 0.01 s to a cold start, and few requests need them
    import ssl

MAX_RESPONSE_BYTES = 1024 * 1024


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
    from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead

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
        content = response.read(MAX_RESPONSE_BYTES)
        if response.length and len(content) < MAX_RESPONSE_BYTES:
            raise IncompleteRead(content)
    except (OSError, HTTPException) as error:
        raise ApiError(UNAVAILABLE, retry_after=2) from error
    finally:
        connection.close()
    if response.status >= 500:
        raise ApiError(UNAVAILABLE, retry_after=2)
    return response.status, {name.lower(): value for name, value in response.headers.items()}, content


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
