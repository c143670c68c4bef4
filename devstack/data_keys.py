"""The data keys of this machine, in the place of those that KMS wraps: see chalicelib/crypto/field_encryption.py."""

import base64
import os
import secrets

from devstack.paths import LOCAL, locked, write_whole

FILE = LOCAL / "data-keys"


def path() -> str:
    """Where they are; made once, and kept by --reset. DATA_KEYS_FILE of the developer's own goes before."""
    with locked(LOCAL / "data-keys.lock", busy=lambda: None):
        if not FILE.exists():
            write_whole(FILE, "".join(f"{name}:{_key()}\n" for name in ("local", "index")))
            FILE.chmod(0o600)
    return os.environ.get("DATA_KEYS_FILE") or str(FILE)


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
