"""Encrypt single fields (ID numbers, phones, a hospital's secrets) with AES-256-GCM, and compute blind indexes of them.

An encrypted value consists of key id, colon, 12 random bytes and ciphertext. Tenant, table and row are authenticated as
associated data, so a value that is copied to another row cannot be decrypted. To rotate keys, append a new pair to
DATA_KEYS: the last key encrypts, and older ones still decrypt. A blind index (HMAC) makes a value searchable without
decryption; its key, `index`, is never changed.

KMS decrypts the data keys once in the life of a process. Call `preload_keys` before a transaction that encrypts or
decrypts, so that no transaction waits for KMS.
"""

import base64
import hmac
import secrets
from functools import cache
from pathlib import Path

from chalicelib.adapters.aws import kms
from chalicelib.settings import settings

INDEX_KEY_ID = "index"
NONCE_BYTES = 12


class DecryptionError(Exception):
    """An encrypted value was modified or belongs to another row, or its key is missing."""


def preload_keys() -> None:
    """Load all keys and the cipher. Raises ApiError(UNAVAILABLE) if KMS cannot be reached."""

    _get_data_keys()
    _get_index_key()


def encrypt(tenant_id: int, table: str, row: int, text: str) -> bytes:
    """Return a text encrypted for one row of a table. Raises ApiError(UNAVAILABLE) if KMS cannot be reached."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # adds 0.1 s to a cold start; few requests need it

    key_id = list(_get_data_keys())[-1]
    nonce = secrets.token_bytes(NONCE_BYTES)
    associated_data = _build_associated_data(tenant_id, table, row, key_id)
    ciphertext = AESGCM(_get_data_keys()[key_id]).encrypt(nonce, text.encode(), associated_data)
    return key_id.encode() + b":" + nonce + ciphertext


def decrypt(tenant_id: int, table: str, row: int, encrypted: bytes) -> str:
    """Return the text that was encrypted for this row.

    Raises:
        DecryptionError: the value was not encrypted for this row, or its key is missing.
        ApiError: 503 if KMS cannot be reached.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    name, _, rest = encrypted.partition(b":")
    key_id = name.decode("ascii", "replace")
    if key_id not in _get_data_keys():
        raise DecryptionError(f"no key {key_id[:16]!r}")
    try:
        plain = AESGCM(_get_data_keys()[key_id]).decrypt(
            rest[:NONCE_BYTES], rest[NONCE_BYTES:], _build_associated_data(tenant_id, table, row, key_id)
        )
    except (InvalidTag, ValueError) as error:
        raise DecryptionError(f"{table} {row}") from error
    return plain.decode()


def compute_blind_index(tenant_id: int, purpose: str, text: str) -> bytes:
    """Return a keyed hash of a text (32 bytes), the same for the same tenant, purpose and text."""
    return hmac.digest(_get_index_key(), f"{tenant_id}:{purpose}:{text}".encode(), "sha256")


def _build_associated_data(tenant_id: int, table: str, row: int, key_id: str) -> bytes:
    return f"{tenant_id}:{table}:{row}:{key_id}".encode()


@cache
def _get_data_keys() -> dict[str, bytes]:
    return {name: _unwrap_key(name, wrapped) for name, wrapped in _list_key_pairs() if name != INDEX_KEY_ID}


@cache
def _get_index_key() -> bytes:
    """Return the index key. A function that only computes indexes may decrypt no other key."""
    return _unwrap_key(INDEX_KEY_ID, dict(_list_key_pairs())[INDEX_KEY_ID])


def _unwrap_key(name: str, wrapped: str) -> bytes:
    return base64.b64decode(wrapped) if settings.data_keys_file else kms.decrypt(wrapped, {"zhenxun": name})


def _list_key_pairs() -> list[tuple[str, str]]:
    file = settings.data_keys_file
    return _parse_key_pairs(Path(file).read_text("ascii") if file else settings.data_keys)


def _parse_key_pairs(text: str) -> list[tuple[str, str]]:
    """Parse "2026:AQID… index:AQID…"."""
    return [(name, key) for name, _, key in (pair.partition(":") for pair in text.split())]
