"""Adapters: one file for each outside thing.

PyMySQL loads cryptography wherever it finds it, to sign in without TLS: 0.05 s and more of every cold start. Deployed
functions speak TLS, so it is kept from finding it; what seals loads cryptography by itself.
"""

import sys

from chalicelib.settings import settings

if settings.stage != "local" and "cryptography" not in sys.modules:
    sys.modules["cryptography"] = None  # type: ignore[assignment]  # importing it now fails as if it were not there
    import pymysql as _pymysql  # noqa: F401  # imported so that it looks for cryptography now

    del sys.modules["cryptography"]
