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

INDEX = "index"
NONCE = 12  # bytes


class Unopened(Exception):
    """A sealed value was changed, stood in another row, or its key is gone."""


def ready() -> None:
    """Have the keys at hand. Refused(UNAVAILABLE) where KMS cannot be reached."""
    _keys()


def seal(tenant_id: int, table: str, row: int, text: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 0.1 s of cold start, for few requests

    key_id = [name for name in _keys() if name != INDEX][-1]
    nonce = secrets.token_bytes(NONCE)
    sealed = AESGCM(_keys()[key_id]).encrypt(nonce, text.encode(), _place(tenant_id, table, row, key_id))
    return key_id.encode() + b":" + nonce + sealed


def unseal(tenant_id: int, table: str, row: int, sealed: bytes) -> str:
    """Return the text that was sealed for this row. Raises Unopened for anything else."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    name, _, rest = sealed.partition(b":")
    key_id = name.decode("ascii", "replace")
    if key_id == INDEX or key_id not in _keys():
        raise Unopened(f"no key {key_id[:16]!r}")
    try:
        plain = AESGCM(_keys()[key_id]).decrypt(rest[:NONCE], rest[NONCE:], _place(tenant_id, table, row, key_id))
    except (InvalidTag, ValueError) as error:
        raise Unopened(f"{table} {row}") from error
    return plain.decode()


def blind(tenant_id: int, purpose: str, text: str) -> bytes:
    """Return 32 bytes that are the same for the same text, and tell nothing of it without the key."""
    return hmac.digest(_keys()[INDEX], f"{tenant_id}:{purpose}:{text}".encode(), "sha256")


def _place(tenant_id: int, table: str, row: int, key_id: str) -> bytes:
    return f"{tenant_id}:{table}:{row}:{key_id}".encode()


@cache
def _keys() -> dict[str, bytes]:
    if settings.data_keys_file:
        return {name: base64.b64decode(key) for name, key in _pairs(Path(settings.data_keys_file).read_text("ascii"))}
    return {name: kms.decrypt(wrapped, {"zhenxun": name}) for name, wrapped in _pairs(settings.data_keys)}


def _pairs(text: str) -> list[tuple[str, str]]:
    """Read "2026:AQID… index:AQID…"."""
    return [(name, key) for name, _, key in (pair.partition(":") for pair in text.split())]
