"""Data keys of this machine, instead of those that KMS wraps; see chalicelib/crypto/field_encryption.py."""

import base64
import os
import secrets

from devstack.paths import LOCAL, hold_lock, write_atomically

KEYS_FILE = LOCAL / "data-keys"


def ensure_file() -> str:
    """Return the path of the file of keys: DATA_KEYS_FILE if it is set, otherwise ours, created on first use.

    bin/dev --reset does not delete it.
    """
    with hold_lock(LOCAL / "data-keys.lock", busy=lambda: None):
        if not KEYS_FILE.exists():
            write_atomically(KEYS_FILE, "".join(f"{name}:{_generate_key()}\n" for name in ("local", "index")))
            KEYS_FILE.chmod(0o600)
    return os.environ.get("DATA_KEYS_FILE") or str(KEYS_FILE)


def _generate_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
