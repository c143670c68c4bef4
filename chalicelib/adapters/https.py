"""One request to another server, with a time limit. Where it cannot be reached the answer is ApiError(UNAVAILABLE)."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chalicelib.errors import UNAVAILABLE, ApiError

if TYPE_CHECKING:  # only a few requests call out: http.client costs the others a hundredth of a second of cold start
    import ssl

MAX_RESPONSE_BYTES = 1024 * 1024  # bytes


def send_request(
    method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, timeout: float, certificate: str = ""
) -> tuple[int, Mapping[str, str], bytes]:
    """Return status, headers (names in lower case) and body. `timeout` is for each step, in seconds.

    `certificate` (PEM, with its key) says who we are, to a server that asks by TLS. ValueError where it is none.
    ApiError(UNAVAILABLE) also where the server says 500 or more, or breaks off.
    """
    from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead

    parts = urlsplit(url)
    line = (
        HTTPSConnection(
            parts.netloc,
            timeout=timeout,
            context=_build_client_context(certificate) if certificate else _get_default_context(),
        )
        if parts.scheme == "https"
        else HTTPConnection(parts.netloc, timeout=timeout)
    )
    try:
        line.request(method, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", body, dict(headers))
        response = line.getresponse()
        content = response.read(MAX_RESPONSE_BYTES)
        if response.length and len(content) < MAX_RESPONSE_BYTES:
            raise IncompleteRead(content)
    except (OSError, HTTPException) as error:
        raise ApiError(UNAVAILABLE, retry_after=2) from error
    finally:
        line.close()
    if response.status >= 500:
        raise ApiError(UNAVAILABLE, retry_after=2)
    return response.status, {name.lower(): value for name, value in response.headers.items()}, content


@cache
def _get_default_context() -> "ssl.SSLContext":
    import ssl

    return ssl.create_default_context()  # reads every root certificate: once is enough


@lru_cache(maxsize=32)
def _build_client_context(certificate: str) -> "ssl.SSLContext":
    import ssl
    from tempfile import NamedTemporaryFile

    context = ssl.create_default_context()
    with NamedTemporaryFile("w") as pem:  # Python takes a certificate from a file alone; this one is ours alone to read
        pem.write(certificate)
        pem.flush()
        try:
            context.load_cert_chain(pem.name)
        except OSError as error:
            raise ValueError("no certificate with its key") from error
    return context
