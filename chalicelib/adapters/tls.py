"""TLS for MySQL and Redis. The context is built once: reading the root certificates takes 20 ms."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


@cache
def get_context(ca_file: str) -> "ssl.SSLContext":
    """Return a context that accepts a server whose certificate is valid for its host and issued by one of the roots.

    Args:
        ca_file: the root certificates, PEM.
    """
    import ssl

    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as PyMySQL: roots of databases may lack extensions
    return context
