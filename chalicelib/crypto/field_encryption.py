"""What a stolen database must not tell (ID numbers, a hospital's secrets): AES-256-GCM, and blind indexes beside it.

A sealed value names its key: key id, colon, 12 random bytes, ciphertext. It opens only for the tenant, table and row it
was sealed for, so a value moved to another row is no value. To rotate, put a new pair last: it seals from then on, and
the older ones still open. A blind index (HMAC) finds a value without opening any; its key, `index`, is never changed.

The data keys are wrapped by KMS and opened once in the life of a process. Whoever seals, opens or looks up inside a
transaction calls ready() before it: KMS is a network away.
"""

import base64
import hmac
import secrets
from functools import cache
from pathlib import Path

from chalicelib.adapters.aws import kms
from chalicelib.settings import settings

INDEX_KEY_ID = "index"
NONCE_BYTES = 12  # bytes


class DecryptionError(Exception):
    """A sealed value was changed, stood in another row, or its key is gone."""


def preload_keys() -> None:
    """Have the keys at hand. ApiError(UNAVAILABLE) where KMS cannot be reached."""
    _get_data_keys()


def encrypt(tenant_id: int, table: str, row: int, text: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 0.1 s of cold start, for few requests

    key_id = [name for name in _get_data_keys() if name != INDEX_KEY_ID][-1]
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(_get_data_keys()[key_id]).encrypt(
        nonce, text.encode(), _build_associated_data(tenant_id, table, row, key_id)
    )
    return key_id.encode() + b":" + nonce + sealed


def decrypt(tenant_id: int, table: str, row: int, sealed: bytes) -> str:
    """Return the text that was sealed for this row. Raises Unopened for anything else."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    name, _, rest = sealed.partition(b":")
    key_id = name.decode("ascii", "replace")
    if key_id == INDEX_KEY_ID or key_id not in _get_data_keys():
        raise DecryptionError(f"no key {key_id[:16]!r}")
    try:
        plain = AESGCM(_get_data_keys()[key_id]).decrypt(
            rest[:NONCE_BYTES], rest[NONCE_BYTES:], _build_associated_data(tenant_id, table, row, key_id)
        )
    except (InvalidTag, ValueError) as error:
        raise DecryptionError(f"{table} {row}") from error
    return plain.decode()


def compute_blind_index(tenant_id: int, purpose: str, text: str) -> bytes:
    """Return 32 bytes that are the same for the same text, and tell nothing of it without the key."""
    return hmac.digest(_get_data_keys()[INDEX_KEY_ID], f"{tenant_id}:{purpose}:{text}".encode(), "sha256")


def _build_associated_data(tenant_id: int, table: str, row: int, key_id: str) -> bytes:
    return f"{tenant_id}:{table}:{row}:{key_id}".encode()


@cache
def _get_data_keys() -> dict[str, bytes]:
    if settings.data_keys_file:
        return {
            name: base64.b64decode(key)
            for name, key in _parse_key_pairs(Path(settings.data_keys_file).read_text("ascii"))
        }
    return {name: kms.decrypt(wrapped, {"zhenxun": name}) for name, wrapped in _parse_key_pairs(settings.data_keys)}


def _parse_key_pairs(text: str) -> list[tuple[str, str]]:
    """Read "2026:AQID… index:AQID…"."""
    return [(name, key) for name, _, key in (pair.partition(":") for pair in text.split())]
