"""Adapters: one module or package for each external service.

PyMySQL imports cryptography if it is installed, to log in without TLS; that adds 0.05 s or more to every cold start.
Deployed functions use TLS, so the import is made to fail here. crypto/field_encryption.py imports cryptography when it
needs it.
"""

import sys

from chalicelib.settings import settings

if settings.stage != "local" and "cryptography" not in sys.modules:
    sys.modules["cryptography"] = None  # type: ignore[assignment]  # makes the import raise ImportError
    import pymysql as _pymysql  # noqa: F401  # tries to import cryptography

    del sys.modules["cryptography"]
